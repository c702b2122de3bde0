"""The client of the token service, against a loopback server that records what it is asked."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from assistant.local_stack.ports import free_port
from assistant.rehearsal.api import MAX_ANSWER_BYTES, ServiceClient
from assistant.rehearsal.errors import (
    ServiceAnswerInvalidError,
    ServiceRefusedError,
    ServiceUnreachableError,
)


@dataclass
class Server:
    """Gives every request the same answer."""

    url: str
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        asked = json.loads(raw) if raw else None
        self.requests.append((request.method, request.raw_path, asked, dict(request.headers)))
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    def answer(
        self, body: Any, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.status, self.headers = status, headers or {}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    port = free_port()
    server = Server(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield server
    await runner.cleanup()


async def test_a_token_is_asked_for_by_the_older_backends_shape(server: Server) -> None:
    """Session and user go out; token, URL and session key come back, added fields do not hurt."""
    server.answer({"token": "jwt", "url": "ws://x", "sessionKey": "sk", "added": 1}, status=201)
    async with ServiceClient(server.url + "/") as client:
        grant = await client.token("s1", "u1")
    assert (grant.token, grant.url, grant.session_key) == ("jwt", "ws://x", "sk")
    ((method, path, asked, headers),) = server.requests
    assert (method, path, asked) == ("POST", "/api/token", {"sessionId": "s1", "userId": "u1"})
    assert "Authorization" not in headers
    assert "jwt" not in repr(grant)
    assert "sk" not in repr(grant)


async def test_start_end_and_view_carry_key_and_session_key(server: Server) -> None:
    """The Bearer key goes with all requests, the session key in bodies or its header."""
    async with ServiceClient(server.url, key="secret") as client:
        server.answer({"success": True, "sessionId": "s1", "taskId": "t", "status": "queued"})
        started = await client.start("s1", "u1", config={"voice": "Ashley"}, session_key="sk")
        server.answer({"success": True, "message": "ended"})
        await client.end("s1", session_key="sk")
        server.answer({"status": "failed", "reason": "no_worker", "detail": "None is free"})
        view = await client.session("s/1", session_key="sk")
    assert (started.task_id, started.status) == ("t", "queued")
    assert (view.status, view.reason, view.detail) == ("failed", "no_worker", "None is free")
    assert [(method, path, asked) for method, path, asked, _ in server.requests] == [
        (
            "POST",
            "/api/session/start",
            {"sessionId": "s1", "userId": "u1", "sessionKey": "sk", "config": {"voice": "Ashley"}},
        ),
        ("POST", "/api/session/end", {"sessionId": "s1", "sessionKey": "sk"}),
        ("GET", "/api/sessions/s%2F1", None),
    ]
    assert all(headers["Authorization"] == "Bearer secret" for *_, headers in server.requests)
    assert server.requests[-1][3]["X-Session-Key"] == "sk"


async def test_a_problem_document_becomes_a_typed_error(server: Server) -> None:
    """Status, code, detail and Retry-After survive, and the message says them."""
    problem = {"title": "Full", "detail": "No slot is free", "code": "no_capacity", "status": 503}
    server.answer(problem, status=503, headers={"Retry-After": "7"})
    async with ServiceClient(server.url) as client:
        with pytest.raises(ServiceRefusedError) as caught:
            await client.start("s1", "u1")
    error = caught.value
    assert (error.status, error.code, error.detail) == (503, "no_capacity", "No slot is free")
    assert error.retry_after_s == 7.0
    assert str(error) == (
        "POST /api/session/start was refused with 503 no_capacity: No slot is free; "
        "try again in 7 s"
    )


@pytest.mark.parametrize("body", [b"<html>oops</html>", b"[1]", b'{"code": 5}', b""])
async def test_an_error_without_a_problem_document_is_still_typed(
    server: Server, body: bytes
) -> None:
    """A proxy's error page has a status and no code."""
    server.answer(body, status=502, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    async with ServiceClient(server.url) as client:
        with pytest.raises(ServiceRefusedError) as caught:
            await client.end("s1")
    assert (caught.value.status, caught.value.code) == (502, None)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello", "Invalid JSON"),
        (b'{"url": "ws://x"}', "token: Field required"),
        (b" " * (MAX_ANSWER_BYTES + 1), "Invalid JSON"),
    ],
)
async def test_something_else_at_the_address_is_recognised(
    server: Server, body: bytes, reason: str
) -> None:
    """An answer that is not the service's is refused, without showing what it held."""
    server.answer(body)
    async with ServiceClient(server.url) as client:
        with pytest.raises(ServiceAnswerInvalidError, match=reason):
            await client.token("s1", "u1")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "not a url", "http://"])
async def test_no_service_says_what_to_do(url: str) -> None:
    """Nobody listening and nonsense addresses both lead to `make up` and --url."""
    async with ServiceClient(url.format(port=free_port())) as client:
        with pytest.raises(ServiceUnreachableError, match=r"make up.*--url"):
            await client.token("s1", "u1")
