"""Bodies as they arrive: at once, in pieces, never, or not to the end."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from token_service.arriving import header, read_body
from token_service.errors import BodyTooLargeError

LIMIT = 100
GONE = {"type": "http.disconnect"}


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def request_of(messages: Iterable[Any], **headers: str) -> Request:
    """Gives these messages; an event among them is waited for first."""
    left = iter(messages)

    async def receive() -> Any:
        message = next(left)
        while isinstance(message, asyncio.Event):
            await message.wait()
            message = next(left)
        return message

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw}, receive)


async def test_at_once_and_in_pieces() -> None:
    """However a body comes, it is whole, and can be read again."""
    for messages in (
        [piece(b"whole")],
        [piece(b"who", more=True), piece(b"le")],
        [piece(b"", more=True), piece(b"whole", more=True), piece(b"")],
    ):
        request = request_of(messages)
        assert await read_body(request, LIMIT) == b"whole"
        assert await read_body(request, LIMIT) == b"whole"


async def test_later() -> None:
    """A body that comes after the headers is waited for, before its first piece and after."""
    first, second = asyncio.Event(), asyncio.Event()
    messages = [first, piece(b"who", more=True), second, piece(b"le")]
    reading = asyncio.create_task(read_body(request_of(messages), LIMIT))
    for event in (first, second):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not reading.done()
        event.set()
    assert await reading == b"whole"


async def test_cancelled_while_it_waits() -> None:
    """Reading ends with its task, whatever it waits for."""
    reading = asyncio.create_task(read_body(request_of([asyncio.Event()]), LIMIT))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_refused() -> None:
    """Too long, as it says or as it is, at once or later; and a client that goes away."""
    event = asyncio.Event()
    event.set()
    for messages, headers in (
        ([], {"content_length": "101"}),
        ([], {"content_length": "9" * 13}),
        ([piece(b"x" * 101)], {}),
        ([piece(b"x" * 60, more=True), event, piece(b"x" * 60, more=True)], {}),
    ):
        with pytest.raises(BodyTooLargeError):
            await read_body(request_of(messages, **headers), LIMIT)
    for messages in ([GONE], [piece(b"x", more=True), event, GONE]):
        with pytest.raises(ClientDisconnect):
            await read_body(request_of(messages), LIMIT)


def test_the_first_header_counts() -> None:
    """Of two of a name the first is meant, as Starlette has it."""
    request = Request({"type": "http", "headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]})
    assert (header(request, b"a"), header(request, b"c")) == ("1", None)
    assert request.headers["a"] == "1"
