"""A server that is farther away: its TCP port, reached through so many seconds each way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from assistant.local_stack.ports import HOST

CHUNK_BYTES = 65_536
# Chunks under way in one direction; a sender that is faster waits.
MOST_UNDER_WAY = 1000


@asynccontextmanager
async def relay(port: int, one_way_s: float) -> AsyncIterator[int]:
    """A port whose bytes reach `port`, and come back, `one_way_s` later and in order.

    A new connection takes a round trip, as TCP's handshake does; TLS, which the loopback has none
    of, would take more.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def carry(near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * one_way_s)
        far, ask = await asyncio.open_connection(HOST, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_one_way(near, ask, one_way_s), name="there")
            both.create_task(_one_way(far, answer, one_way_s), name="back")

    def accept(near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(near, answer), name="relay")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, s: float) -> None:
    """Ends when the sender does, or when nobody takes what it sends."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_UNDER_WAY)
    loop = asyncio.get_running_loop()

    async def take() -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                await under_way.put((loop.time() + s, chunk))
        await under_way.put((loop.time() + s, b""))

    async def give() -> None:
        with suppress(ConnectionError):
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(due - loop.time())
                if not chunk:
                    return
                writer.write(chunk)
                await writer.drain()

    taking = asyncio.create_task(take(), name="take")
    try:
        await give()
    finally:
        taking.cancel()
        writer.close()
