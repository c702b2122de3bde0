"""Ready probes: each asks a part once, and answers None when it is ready, else why it is not."""

import asyncio
from collections.abc import Awaitable, Callable

from assistant.local_stack.ports import HOST

Probe = Callable[[], Awaitable[str | None]]

TIMEOUT_S = 2.0  # loopback answers in milliseconds; a hung part must not hang the probe
STATUS_LINE_BYTES = 4096


def http_ready(port: int, path: str) -> Probe:
    """Ready when `GET path` answers 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"

    async def probe() -> str | None:
        line = await _first_line(port, request.encode())
        parts = line.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/"):
            return f"no HTTP answer on port {port}"
        return None if parts[1] == "200" else f"GET {path} answered {parts[1]}"

    return lambda: _guarded(probe, port)


def valkey_ready(port: int) -> Probe:
    """Ready when `PING` answers; while it loads its file it answers an error."""

    async def probe() -> str | None:
        line = await _first_line(port, b"PING\r\n")
        return None if line == "+PONG" else f"PING answered {line or 'nothing'}"

    return lambda: _guarded(probe, port)


async def _guarded(probe: Probe, port: int) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await probe()
    except TimeoutError:
        return f"no answer on port {port} within {TIMEOUT_S:.0f} s"
    except (OSError, ValueError) as error:  # refused, reset, or an overlong line
        return f"port {port}: {error}"


async def _first_line(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection(HOST, port, limit=STATUS_LINE_BYTES)
    try:
        writer.write(request)
        await writer.drain()
        return (await reader.readline()).decode("latin-1").strip()
    finally:
        writer.transport.abort()  # nothing is left to say, and no wait can hang
