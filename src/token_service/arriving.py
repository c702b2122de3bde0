"""What arrives with a request, within bounds: its headers and its body."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

from starlette.requests import ClientDisconnect, Request

from token_service.errors import BodySlowError, BodyTooLargeError

BODY_TIMEOUT_S = 10.0  # a phone on a bad network; a slower sender only holds a connection

_HELD = "assistant.body"  # a field of the request's scope


def header(request: Request, name: bytes) -> str | None:
    """The first header of this name, which is in lower case; None: there is none.

    Starlette's own mapping is several times as slow, and a call asks for a handful.
    """
    for key, value in request.scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of which never more than `limit` bytes and one chunk are held.

    Raises:
        BodyTooLargeError, BodySlowError: as they say.
        ClientDisconnect: the client went away.
    """
    held: bytes | None = request.scope.get(_HELD)
    if held is not None:
        return held
    declared = header(request, b"content-length") or ""
    if declared.isdecimal() and (len(declared) > 12 or int(declared) > limit):
        raise BodyTooLargeError(limit)
    # A small body comes along with the headers: a timer for it costs more than reading it.
    coming = _Begun(_arrived(request, limit))
    body = coming.result
    if body is None:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await coming
        except TimeoutError:
            raise BodySlowError from None
    # Whoever looks at it first, such as the check for repetitions, does not take it away.
    request.scope[_HELD] = body
    return body


async def _arrived(request: Request, limit: int) -> bytes:
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise BodyTooLargeError(limit)
    return body


class _Begun:
    """A coroutine of ours that has run as far as it goes without waiting.

    `result` None: it waits, and has to be awaited, once.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, bytes]) -> None:
        self._coroutine = coroutine
        self._awaited: Any = None
        self.result: bytes | None = None
        try:
            self._awaited = coroutine.send(None)
        except StopIteration as end:
            self.result = end.value

    def __await__(self) -> Generator[Any, Any, bytes]:
        try:
            yield self._awaited
        except BaseException as error:
            # It does not hold on to what it is cancelled by.
            self._coroutine.throw(error)
            raise
        return (yield from self._coroutine.__await__())
