"""An asyncio loop whose time jumps to the next timer: hours pass in milliseconds.

Nothing in it waits for the world outside, so a run depends on its seed alone.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# What one turn of the loop takes; nothing takes no time.
TURN_S = 20e-6
# Wall clocks start here; small, so that floats keep microseconds apart.
EPOCH = 1_000_000.0


class StuckError(AssertionError):
    """Every task waits for something that will never come."""


class _JumpingSelector(selectors.SelectSelector):
    """Does not wait; tells the loop how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("every task waits, and no timer is set")
        self.now += max(timeout, TURN_S)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time is what its timers say. Threads, sockets and signals do not work in it."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def wall() -> float:
    """Unix seconds of the simulated world."""
    return EPOCH + asyncio.get_running_loop().time()
