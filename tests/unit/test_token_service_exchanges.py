"""What every answer has: an id, safe headers, a figure; also when something broke."""

import json
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from token_service.exchanges import Exchanges
from token_service.http_figures import HttpFigures

POLICY = b"content-security-policy"


async def sent_by(app: ASGIApp, figures: HttpFigures | None = None) -> list[Message]:
    """What a client is sent by the app inside the layer, to the end or to an error of the app's."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/token", "headers": []}
    if figures is None:
        await Exchanges(app, HttpFigures())(scope, receive, send)
    else:
        with pytest.raises(ZeroDivisionError):
            await Exchanges(app, figures)(scope, receive, send)
    return sent


async def test_an_answers_own_headers_stay() -> None:
    """What an answer does not say itself is added, once; no two requests have one id."""
    plain = (await sent_by(Response(b"{}")))[0]["headers"]
    own = (await sent_by(Response(b"{}", headers={"Content-Security-Policy": "own"})))[0]["headers"]
    assert [value for name, value in own if name == POLICY] == [b"own"]
    assert [name for name, _ in own].count(b"cache-control") == 1
    assert sorted(name for name, _ in plain) == sorted(name for name, _ in own)
    assert dict(plain)[b"cache-control"] == b"no-store"
    assert dict(plain)[b"x-request-id"] != dict(own)[b"x-request-id"]


async def test_an_error_that_nobody_expected() -> None:
    """The caller gets a problem with an id, the server the error, and it is counted."""

    async def breaks(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError("canary")

    figures = HttpFigures()
    start, body = await sent_by(breaks, figures)
    headers = dict(start["headers"])
    assert start["status"] == 500
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-request-id"]
    assert json.loads(body["body"])["status"] == 500
    assert b"canary" not in body["body"]
    counted: list[Any] = [sample for metric in figures.collect() for sample in metric.samples]
    assert [(one.labels["status"], one.value) for one in counted if "status" in one.labels] == [
        ("500", 1)
    ]


async def test_an_error_within_an_answer() -> None:
    """A second answer would be no HTTP; the server closes the connection."""

    async def breaks(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    (start,) = await sent_by(breaks, HttpFigures())
    assert start["status"] == 200
