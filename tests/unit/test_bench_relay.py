"""The distance that a benchmark puts between a page and its servers."""

import asyncio

from bench.relay import relay

from tests.timing import scaled

ONE_WAY_S = 0.03
WITHIN_S = 10.0


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1000):
        writer.write(chunk)
        await writer.drain()
    writer.close()


async def test_what_is_sent_comes_later_and_in_order() -> None:
    """A new connection takes two round trips until its first answer, each later answer one."""
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, relay(port, ONE_WAY_S) as far, asyncio.timeout(scaled(WITHIN_S)):
        began = loop.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", far)
        for number, least_s in enumerate((4 * ONE_WAY_S, 2 * ONE_WAY_S)):
            writer.write(b"%d" % number)
            assert await reader.read(1) == b"%d" % number
            assert loop.time() - began >= least_s
            began = loop.time()
        for number in range(100):
            writer.write(b"%04d" % number)
        assert await reader.readexactly(400) == b"".join(b"%04d" % n for n in range(100))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


async def test_a_relay_leaves_nothing_behind() -> None:
    """Its connections end with it, whatever their far side does."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(scaled(WITHIN_S)):
        async with relay(port, ONE_WAY_S) as far:
            reader, writer = await asyncio.open_connection("127.0.0.1", far)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        assert await reader.read() == b""
        writer.close()
    left = [task.get_name() for task in asyncio.all_tasks()]
    assert not {"relay", "there", "back", "take"} & set(left)
