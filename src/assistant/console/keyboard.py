"""Lines from standard input, whether somebody types them or a program writes them."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError

READ_BYTES = 4096
# A paste of some pages; a conversation has no longer lines.
MAX_LINE_BYTES = 64 * 1024


class Keyboard:
    """Reads on a thread, since neither a terminal nor a file can be read from a loop.

    The thread is a daemon and reads the descriptor itself: a conversation that ends by itself
    must not wait for a line that nobody writes.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor

    async def lines(self) -> AsyncIterator[str]:
        """Each line without its end, blank ones left out; ends with the input."""
        loop = asyncio.get_running_loop()
        # One line ahead: whoever writes faster than the agent answers has to wait.
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)

        def hand_over(line: str | None) -> None:
            putting = queue.put(line)
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except RuntimeError:
                putting.close()
                raise

        def read() -> None:
            # A loop that has ended wants no more lines.
            with contextlib.suppress(RuntimeError, CancelledError):
                for line in self._read_lines():
                    hand_over(line)
                hand_over(None)

        threading.Thread(target=read, name="keyboard", daemon=True).start()
        while (line := await queue.get()) is not None:
            if line.strip():
                yield line.strip()

    def _read_lines(self) -> Iterator[str]:
        rest = b""
        while piece := os.read(self._descriptor, READ_BYTES):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", errors="replace")
            if len(rest) > MAX_LINE_BYTES:
                yield rest.decode("utf-8", errors="replace")
                rest = b""
        if rest:
            yield rest.decode("utf-8", errors="replace")
