"""A clock and its processes: discrete events, in order of time, then of their making."""

import heapq
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from typing import Any


class Signal:
    """Something that happens once; whoever waits for it goes on then."""

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []
        self.fired = False

    def fire(self) -> None:
        if self.fired:
            return
        self.fired = True
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            self._loop.at(self._loop.now, resume)

    def then(self, resume: Callable[[], None]) -> None:
        if self.fired:
            self._loop.at(self._loop.now, resume)
        else:
            self._waiting.append(resume)


@dataclass(frozen=True)
class Wait:
    """Yielded by a process: go on when the signal fires, or after so long; None: only then."""

    signal: Signal
    timeout_s: float | None = None


#: What a process yields: seconds to sleep, or what to wait for. It is sent whether that came.
Process = Generator[float | Wait, bool, Any]


class Loop:
    """Runs processes; `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), act))

    def spawn(self, process: Process) -> None:
        self._step(process, came=None)

    def run(self, until: float) -> None:
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, act = heapq.heappop(events)
            act()
        self.now = until

    def _step(self, process: Process, *, came: bool | None) -> None:
        try:
            # A generator begins with None, and only with that.
            wish = process.send(came)  # type: ignore[arg-type]
        except StopIteration:
            return
        if isinstance(wish, Wait):
            self._await(process, wish)
        else:
            self.at(self.now + wish, lambda: self._step(process, came=True))

    def _await(self, process: Process, wish: Wait) -> None:
        done = False

        def go_on(*, came: bool) -> None:
            nonlocal done
            if not done:
                done = True
                self._step(process, came=came)

        wish.signal.then(lambda: go_on(came=True))
        if wish.timeout_s is not None:
            self.at(self.now + wish.timeout_s, lambda: go_on(came=False))


class Places:
    """So many at once; others wait in line."""

    def __init__(self, loop: Loop, places: int) -> None:
        self._loop = loop
        self._free = places
        self._line: list[Signal] = []
        self._head = 0

    def take(self) -> Process:
        if self._free:
            self._free -= 1
            return
        yield Wait(self.line_up())

    @property
    def has_free(self) -> bool:
        return self._free > 0

    def line_up(self) -> Signal:
        """A turn in the line; it fires with a place taken."""
        turn = Signal(self._loop)
        self._line.append(turn)
        return turn

    def give(self) -> None:
        if self._head < len(self._line):
            turn = self._line[self._head]
            self._head += 1
            turn.fire()
        else:
            self._line.clear()
            self._head = 0
            self._free += 1
