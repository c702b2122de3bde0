"""A bell that wakes everybody who waits for something to change."""

import asyncio


class Bell:
    """Waiters look at the state again after each ring; a ring nobody waits for is forgotten."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
