"""SIGHUP: a running process is asked to read agents.yaml again.

A terminal that closes sends the same signal, and means that whoever sat there has gone.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType


class Hangup:
    """From the moment it is made SIGHUP ends nothing; make it before the file is first read."""

    def __init__(self) -> None:
        self._had_terminal = _has_terminal()
        self._came_early = False
        self._came = asyncio.Event()
        self._stop: Callable[[], None] | None = None
        signal.signal(signal.SIGHUP, self._on_early)

    def follow(self, stop: Callable[[], None]) -> None:
        """Listen on the running loop; `stop` is called when the process's terminal has closed."""
        self._stop = stop
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_signal)
        if self._came_early:
            self._on_signal()

    async def wait(self) -> None:
        """Return when the file is to be read again; signals that come together count as one."""
        await self._came.wait()
        self._came.clear()

    def _on_early(self, _number: int, _frame: FrameType | None) -> None:
        self._came_early = True

    def _on_signal(self) -> None:
        if self._had_terminal and not _has_terminal() and self._stop is not None:
            self._stop()
        else:
            self._came.set()


def _has_terminal() -> bool:
    """Whether the process is controlled from a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
