"""What of a conversation is written down: `record` of an agent."""

from typing import Literal

RecordMode = Literal["none", "text", "audio"]
_MORE_AND_MORE: tuple[RecordMode, ...] = ("none", "text", "audio")


def is_more(asked: RecordMode, than: RecordMode) -> bool:
    """Whether `asked` writes down something that `than` does not."""
    return _MORE_AND_MORE.index(asked) > _MORE_AND_MORE.index(than)
