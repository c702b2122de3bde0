"""What the agent is in the middle of: what would be on record if it were lost now. Pure."""

from collections.abc import Iterator

from livekit.agents.llm import FunctionCall
from livekit.agents.tts._provider_format import strip_all_markup

from assistant.sessions.item import Item, ToolUse

#: What the next agent reads of a tool of which nobody knows what came of it.
NOT_KNOWN = (
    "Nobody knows what came of this: the connection was lost while it ran. "
    "It may have been done. Tell the user so, and do not repeat it unless they ask for it."
)


class Unfinished:
    """Tools that run, and the words that are being said, of one attempt."""

    def __init__(self, attempt: int) -> None:
        self._attempt = attempt
        self._tools: dict[str, Item] = {}
        self._words = ""
        self._began_at = 0.0

    def __iter__(self) -> Iterator[Item]:
        text = strip_all_markup(self._words).strip()
        if text:
            yield Item(
                id=f"lost-{self._attempt}",
                role="assistant",
                text=text,
                interrupted=True,
                at=self._began_at,
                started_at=self._began_at,
                attempt=self._attempt,
                lost=True,
            )
        yield from self._tools.values()

    def runs(self, call: FunctionCall) -> None:
        """A tool was begun."""
        self._tools[call.call_id] = Item(
            id=call.id,
            role="tool",
            text="",
            interrupted=False,
            at=call.created_at,
            started_at=call.created_at,
            attempt=self._attempt,
            tool=ToolUse(
                name=call.name,
                call_id=call.call_id,
                arguments=call.arguments,
                output=NOT_KNOWN,
                is_error=True,
            ),
            lost=True,
        )

    def ran(self, call_id: str) -> bool:
        """A tool is over; whether it had been begun."""
        return self._tools.pop(call_id, None) is not None

    def says(self, text: str, now: float) -> None:
        """More of the agent's words were heard, at `now` in Unix seconds."""
        if not self._words:
            self._began_at = now
        self._words += text

    def said(self) -> bool:
        """What was being said is an item, or nothing; whether there were words."""
        words, self._words = self._words, ""
        return bool(words.strip())
