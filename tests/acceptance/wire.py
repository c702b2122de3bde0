"""A wire between callers and a server that can be cut and mended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from assistant.local_stack.ports import HOST, free_port

CHUNK_BYTES = 65536


class Wire:
    """Relays TCP from `port` to a port of the same machine."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._relay, HOST, self.port)

    async def cut(self) -> None:
        """Break what is connected, and refuse what comes."""
        if self._server is not None:
            self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._to_port)
        self._ends |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Who cuts the wire ends both directions; each then closes the other's end.
    with suppress(ConnectionError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def wire(to_port: int) -> AsyncIterator[Wire]:
    """A wire that is whole; it is cut at the end."""
    made = Wire(to_port)
    await made.mend()
    try:
        yield made
    finally:
        await made.cut()
