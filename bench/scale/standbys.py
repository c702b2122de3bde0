"""A worker's jobs that stand by.

Source: src/assistant/worker/process/standbys.py; its constant is imported.
"""

from assistant.refilling import AFTER_START_S


class Standbys:
    """Those that wait, and what the worker says of them. Times are the simulation's."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Since when each of them waits for a session.
        self.since: list[float] = []
        #: Sessions that took one, of which the worker has not heard yet.
        self.unheard = 0
        #: What the last beat said, and when that was.
        self.wanted_told = 0
        self.beat_at = float("-inf")
        self._not_before = float("-inf")

    @property
    def believed(self) -> int:
        """How many wait, as far as the worker knows."""
        return len(self.since) + self.unheard

    def taken(self, since: float) -> None:
        """A session took the one that waits since then."""
        self.since.remove(since)
        self.unheard += 1

    def learn(self, now: float) -> None:
        """The worker looks which of them were taken; for a moment it wants no other.

        Here it does with its beat; the real one every half second.
        """
        if self.unheard:
            self.unheard = 0
            self._not_before = now + AFTER_START_S

    def wanted(self, now: float, *, free: int, warm: int) -> int:
        """How many more it would take: `free` slots, as the worker counts, and `warm` processes."""
        if now < self._not_before:
            return 0
        return max(min(self.limit - self.believed, free - self.believed, warm), 0)

    def give_way(self) -> bool:
        """One goes home for the sake of another job; False: none waits."""
        if not self.since:
            return False
        self.since.pop()
        return True
