"""Words while they are being spoken, as a session's job tells them. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any

MAX_WORDS_CHARS = 1000  # Of a line that is longer the end is told, where it grows.


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A line of one side as far as it is spoken; each replaces the one of the same `id` before.

    `role`: user or assistant. `item`: what became of the line; None: it still grows. An empty
    `text`: nothing became of it. `at` in Unix seconds.
    """

    id: str
    role: str
    text: str
    item: str | None
    attempt: int
    at: float

    def encode(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def decode(cls, text: str) -> "Words | None":
        """None: it is not what this release understands."""
        try:
            told: dict[str, Any] = json.loads(text)
            return cls(**told)
        except (ValueError, TypeError):
            return None
