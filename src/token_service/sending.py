"""One POST to an endpoint: signed, bounded in time and size, and never to an internal address."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from assistant.addresses import is_internal
from token_service.endpoints import Endpoint
from token_service.signing import signed_headers

# Read so that the connection can be used again; what is longer is cut off, and nothing is kept.
MAX_ANSWER_BYTES = 16 * 1024
MAX_ANSWER_HEADER_BYTES = 8 * 1024
# Below the 5 s after which common servers close: a request on a closed connection is a failure.
KEEP_ALIVE_S = 3.0
MAX_RETRY_AFTER_S = 3600.0  # A receiver may ask for more, and is then asked sooner.
USER_AGENT = "voice-assistant-webhooks/1"


class InternalAddressError(OSError):
    """The endpoint's host is at an internal address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` None: there was no answer. `error` None: it was taken.

    `retry_after_s`: how long the receiver asks to be left alone; None: it does not.
    """

    status: int | None
    error: str | None
    retry_after_s: float | None = None


class _GuardedResolver(AbstractResolver):
    """Resolves once, and gives the connection public addresses alone: it goes to what was checked.

    Raises: InternalAddressError where a name has any internal address, since a name with both
    is either a mistake or an attack.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family
        )
        addresses = [(kind, str(address[0])) for kind, _, _, _, address in found]
        if any(is_internal(address) for _, address in addresses):
            raise InternalAddressError
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, address in addresses
        ]

    async def close(self) -> None:
        pass


class Sender:
    """An async context manager; `post` never raises because of the receiver."""

    def __init__(
        self, *, allow_internal: bool, timeout_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._allow_internal = allow_internal
        self._timeout_s = timeout_s
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=None if self._allow_internal else _GuardedResolver(),
            use_dns_cache=False,
            limit=0,  # Whoever calls bounds how many there are for each endpoint.
            keepalive_timeout=KEEP_ALIVE_S,
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Content-Type": "application/json"},
            auto_decompress=False,
            max_line_size=MAX_ANSWER_HEADER_BYTES,
            max_field_size=MAX_ANSWER_HEADER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def post(self, endpoint: Endpoint, message_id: str, body: bytes) -> Answer:
        """Send one message; takes `timeout_s` at most."""
        if self._http is None:
            raise RuntimeError("the sender is not open")
        if not self._allow_internal and _is_internal_literal(endpoint.url):
            return Answer(None, "internal_address")
        headers = signed_headers(endpoint.keys, message_id, int(self._clock()), body)
        try:
            async with self._http.post(
                endpoint.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if not 200 <= response.status < 300:
                    wait_s = _retry_after(response.headers.get("Retry-After"))
                    return Answer(response.status, f"status {response.status}", wait_s)
                await _drain(response)
                return Answer(response.status, None)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # TimeoutError is an OSError; ValueError: a host that cannot be encoded.
            return Answer(None, _named(error))


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the rest, if it is short; a receiver that breaks off after its status has taken it."""
    try:
        left = MAX_ANSWER_BYTES
        while left > 0:
            chunk = await response.content.read(left)
            if not chunk:
                return
            left -= len(chunk)
    except (aiohttp.ClientError, OSError):
        pass
    response.close()


def _is_internal_literal(url: str) -> bool:
    """Whether the URL names an internal address itself; the connector resolves only names."""
    host = urlsplit(url).hostname or ""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return is_internal(host)


def _retry_after(text: str | None) -> float | None:
    if text is None or not text.isdecimal() or len(text) > 9:
        return None
    return min(float(text), MAX_RETRY_AFTER_S)


def _named(error: Exception) -> str:
    """A short constant word: an error's own text may hold the URL."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and len(causes) < 5:
        causes.append(cause)
    if any(isinstance(one, InternalAddressError) for one in causes):
        return "internal_address"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if any(isinstance(one, socket.gaierror) for one in causes):
        return "dns"
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return "refused"
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return "connection"
    return "not_http"
