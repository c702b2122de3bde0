"""Something that was said or done in a conversation. Pure."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

TRANSFER = "transfer"  # The tool by which an agent hands the conversation over.
MAX_ITEM_CHARS = 8000  # About ten minutes of speech; what is longer is cut, at its end.


class ToolUse(BaseModel):
    """A tool that the model called: with what, and what came of it, each at most MAX_ITEM_CHARS.

    `arguments` is JSON as the model wrote it; `is_error`: the output is an error's text.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    call_id: str
    arguments: str
    output: str
    is_error: bool

    @property
    def transferred_to(self) -> str | None:
        """The agent that the conversation was handed to by this; None: it was not."""
        if self.name != TRANSFER or self.is_error:
            return None
        try:
            given = json.loads(self.arguments)
        except ValueError:
            return None  # they were longer than is kept
        name = given.get("agent") if isinstance(given, dict) else None
        return name if isinstance(name, str) else None


class Item(BaseModel):
    """One message of a conversation, or one use of a tool; times in Unix seconds.

    `interrupted`: the user stopped the agent, and `text` is what was heard of it.
    `started_at` and `ended_at`: when it was spoken, or the tool ran; None: it was typed, or nobody
    measured. `attempt`: whose agent heard, said or did it; None: an older release did not say.
    Of role "tool" is what has a `tool`; its `text` is empty. `lost`: the agent was lost while it
    said or did it; `text` is what was said by then, and nobody knows what came of the tool.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    role: Literal["user", "assistant", "tool"]
    text: str
    interrupted: bool
    at: float
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int | None = None
    tool: ToolUse | None = None
    lost: bool = False
