"""Connections that reach no internal address, whatever a name or a number stands for."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2
from aiohttp.connector import AddrInfoType

from assistant.addresses import is_internal

# Of one answer of an MCP server, events included; what a model may read is far less.
MAX_ANSWER_BYTES = 1024 * 1024


def public_socket(address: AddrInfoType) -> socket.socket:
    """For aiohttp's `socket_factory`: it is asked with the very address that is connected to.

    Raises:
        OSError: the address is internal.
    """
    family, kind, protocol, _, where = address
    if is_internal(str(where[0])):
        raise OSError("an internal address")
    return socket.socket(family=family, type=kind, proto=protocol)


async def public_address(host: str, port: int | None) -> str:
    """One address of a host, to connect to instead of asking for the name again.

    Raises:
        OSError: the host is unknown, or any of its addresses is internal: a name with both is
            either a mistake or an attack.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    if any(is_internal(address) for address in addresses):
        raise OSError("an internal address")
    return addresses[0]


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """For MCP's client: answers are bounded, and unless `allow_internal` so is where they are from.

    Without the environment's proxies, which would be asked instead of the address.
    """

    def __init__(self, *, allow_internal: bool) -> None:
        super().__init__(trust_env=False)
        self._allow_internal = allow_internal

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self._allow_internal:
            request = await _to_public_address(request)
        response = await super().handle_async_request(request)
        # What a server tells by itself, over the GET that stays open, adds up without an end.
        if request.method != "GET" and isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(response.stream)
        return response


async def _to_public_address(request: httpx2.Request) -> httpx2.Request:
    url = request.url
    try:
        address = await public_address(url.host, url.port)
    except OSError as error:
        raise httpx2.ConnectError(str(error), request=request) from error
    return httpx2.Request(
        request.method,
        url.copy_with(host=address),
        # The name that was asked for stays in `Host`, and in what the certificate must show.
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": url.host},
    )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise httpx2.ReadError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
