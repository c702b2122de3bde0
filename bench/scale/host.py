"""A host's CPU: shared evenly among what computes on it."""

import heapq
from itertools import count

from bench.scale.loop import Loop, Process, Signal, Wait

EPSILON_S = 1e-9


class Cpu:
    """Tasks take one core each at most; conversations take a part of one for as long as they last.

    When more is wanted than there is, everything gets the same share of what it wants.
    """

    def __init__(self, loop: Loop, *, cores: int, other_cores: float) -> None:
        self._loop = loop
        self._cores = cores
        self._steady = other_cores
        #: How much of what they want all tasks have got since the beginning, in seconds.
        self._served = 0.0
        self._served_at = 0.0
        self._tasks: list[tuple[float, int, Signal]] = []
        self._order = count()
        self._alarm = 0
        self._busy_area = 0.0

    @property
    def demand(self) -> float:
        """Cores that are wanted now."""
        return self._steady + len(self._tasks)

    @property
    def is_overloaded(self) -> bool:
        return self.demand > self._cores

    def busy_area(self) -> float:
        """The busy share of this host, added up over time."""
        self._advance()
        return self._busy_area

    def begin_talk(self, cores: float) -> None:
        self._advance()
        self._steady += cores
        self._set_alarm()

    def end_talk(self, cores: float) -> None:
        self._advance()
        self._steady = max(self._steady - cores, 0.0)
        self._set_alarm()

    def compute(self, core_s: float) -> Process:
        """Take so many core-seconds."""
        if core_s <= 0:
            return
        self._advance()
        done = Signal(self._loop)
        heapq.heappush(self._tasks, (self._served + core_s, next(self._order), done))
        self._set_alarm()
        yield Wait(done)

    def _rate(self) -> float:
        return min(1.0, self._cores / self.demand) if self.demand else 1.0

    def _advance(self) -> None:
        passed_s = self._loop.now - self._served_at
        if passed_s > 0:
            self._served += passed_s * self._rate()
            self._busy_area += passed_s * min(1.0, self.demand / self._cores)
            self._served_at = self._loop.now

    def _set_alarm(self) -> None:
        self._alarm += 1
        if not self._tasks:
            return
        mine = self._alarm
        left_s = max(self._tasks[0][0] - self._served, 0.0) / self._rate()
        self._loop.at(self._loop.now + left_s, lambda: self._ring(mine))

    def _ring(self, alarm: int) -> None:
        if alarm != self._alarm:
            return
        self._advance()
        while self._tasks and self._tasks[0][0] <= self._served + EPSILON_S:
            heapq.heappop(self._tasks)[2].fire()
        self._set_alarm()
