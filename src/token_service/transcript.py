"""A conversation as it is shown: an answer in JSON, or lines to read."""

from collections.abc import Iterable

from assistant.sessions.item import Item
from assistant.sessions.store.archive import Page
from token_service.answers import Answer

_SPEAKERS = {"user": "user", "assistant": "agent", "tool": "tool"}


class ToolUseAnswer(Answer):
    name: str
    call_id: str
    arguments: str
    """JSON, as the model wrote it."""
    output: str
    is_error: bool


class ItemAnswer(Answer):
    id: str
    role: str
    """`user`, `assistant` or `tool`."""
    text: str
    """What was said; of an interrupted agent, what was heard. Empty for a tool."""
    interrupted: bool
    at: float
    started_at: float | None
    """When it was spoken, or the tool ran; null: it was typed, or nobody measured."""
    ended_at: float | None
    attempt: int | None
    """Whose agent heard, said or did it."""
    tool: ToolUseAnswer | None

    @classmethod
    def of(cls, item: Item) -> "ItemAnswer":
        return cls.model_validate(item.model_dump())


class TranscriptAnswer(Answer):
    session_id: str
    items: list[ItemAnswer]
    """Oldest first. Publishable keys see no tools."""
    dropped: int
    """How many of the oldest are not kept any more: the conversation was very long."""
    cursor: str | None
    """Asks for the next page; null: there is none so far."""

    @classmethod
    def of(cls, session_id: str, page: Page, *, tools: bool) -> "TranscriptAnswer":
        shown = [item for item in page.items if tools or item.tool is None]
        return cls(
            session_id=session_id,
            items=[ItemAnswer.of(item) for item in shown],
            dropped=page.dropped,
            cursor=None if page.next is None else str(page.next),
        )


def as_text(items: Iterable[Item], *, since: float, tools: bool) -> str:
    """One line an item, with the minutes and seconds since `since` (Unix s)."""
    lines = []
    for item in items:
        if item.tool is not None and not tools:
            continue
        passed_s = max(int((item.started_at or item.at) - since), 0)
        tool = item.tool
        said = f"{tool.name}({tool.arguments}) -> {tool.output}" if tool else item.text
        end = " (interrupted)" if item.interrupted else ""
        # What somebody said must not look like a line of ours.
        said = " ".join(said.split())
        lines.append(
            f"[{passed_s // 60:02}:{passed_s % 60:02}] {_SPEAKERS[item.role]}: {said}{end}\n"
        )
    return "".join(lines)
