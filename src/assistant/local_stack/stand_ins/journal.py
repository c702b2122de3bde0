"""What the stand-ins received, kept for tests to read."""

import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assistant.local_stack.stand_ins.faults import Service

#: Enough for a whole test run's requests; a load run only keeps its end.
MAX_ENTRIES = 1_000
#: Chat histories can be long; this bounds the memory whatever they hold.
MAX_TOTAL_CHARS = 16 << 20


@dataclass(frozen=True)
class Entry:
    """One request as received: `at` is seconds since the epoch; keys are never kept."""

    number: int
    at: float
    service: Service
    operation: str
    content: Mapping[str, Any]
    chars: int

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": self.at,
            "service": self.service,
            "operation": self.operation,
            "content": self.content,
        }


class Journal:
    """The newest requests, bounded in number and size."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._numbers = itertools.count(1)
        self._chars = 0

    def add(self, service: Service, operation: str, content: Mapping[str, Any]) -> str:
        """Keep one request; returns its content as text, for faults to match."""
        text = json.dumps(content, ensure_ascii=False)
        entry = Entry(next(self._numbers), time.time(), service, operation, content, len(text))
        self._entries.append(entry)
        self._chars += entry.chars
        while len(self._entries) > MAX_ENTRIES or self._chars > MAX_TOTAL_CHARS:
            self._chars -= self._entries.popleft().chars
        return text

    def clear(self) -> None:
        self._entries.clear()
        self._chars = 0

    def select(
        self, service: str | None = None, operation: str | None = None, after: int = 0
    ) -> list[Entry]:
        """Entries, oldest first, numbered above `after`; None selects all."""
        return [
            entry
            for entry in self._entries
            if entry.number > after
            and service in (None, entry.service)
            and operation in (None, entry.operation)
        ]
