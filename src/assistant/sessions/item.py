"""Something that was said in a conversation. Pure."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Item(BaseModel):
    """One message of a conversation; `at` in Unix seconds.

    `interrupted`: the user stopped the agent, and `text` is what was heard of it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    role: Literal["user", "assistant"]
    text: str
    interrupted: bool
    at: float
