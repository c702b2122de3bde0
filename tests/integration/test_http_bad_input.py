"""Wrong input of every kind is refused with a problem document, and changes nothing."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.http_stack import Stack, new_id, running_stack
from tests.timing import scaled

pytestmark = pytest.mark.slow
POSTS = ("/api/token", "/api/session/start", "/api/session/end", "/api/livekit/token")
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("input")) as running:
        running.has_worker()
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "success"} <= set(problem)
    assert problem["status"] == status
    assert problem["success"] is False
    assert problem["type"].endswith(code)
    return problem


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_content_types(http: httpx.Client, path: str, kind: str | None) -> None:
    """Only JSON is read: a page of another origin may send the other types unasked."""
    headers = {} if kind is None else {"Content-Type": kind}
    refused(http.post(path, content=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"not json", 400, "invalid_json"),
        (b'{"sessionId": NaN}', 400, "invalid_json"),
        (b'{"a": 1, "a": 2}', 400, "invalid_json"),
        (b"[" * 60_000, 400, "invalid_json"),
        (b'{"a": ' + b"1" * 5000 + b"}", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[]", 422, "invalid_body"),
        (rb'{"sessionId": "\ud800"}', 422, "invalid_body"),
        (rb'{"sessionId": "a\u0000"}', 422, "invalid_body"),
        (b'{"a": "' + b"x" * 65_536 + b'"}', 413, "body_too_large"),
    ],
)
def test_bodies(http: httpx.Client, path: str, body: bytes, status: int, code: str) -> None:
    """What is not a JSON object within bounds is refused alike on every route."""
    refused(http.post(path, content=body, headers=JSON), status, code)


@pytest.mark.parametrize("path", POSTS[:3])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sessionId": None}, "sessionId"),
        ({"sessionId": "a b"}, "sessionId"),
        ({"sessionId": "x" * 65}, "sessionId"),
        ({"sessionId": 5}, "sessionId"),
        ({"sessionId": {"$ne": ""}}, "sessionId"),
        ({"roomConfig": {"agents": []}}, "roomConfig"),
        ({"ttl": 1}, "ttl"),
        ({"sessionKey": 5}, "sessionKey"),
    ],
)
def test_fields(
    stack: Stack, http: httpx.Client, path: str, change: dict[str, Any], field: str
) -> None:
    """A wrong or unknown field is refused by name, and no record is made."""
    session_id = new_id()
    body: dict[str, Any] = {"sessionId": session_id, **change}
    if path != "/api/session/end":
        body.setdefault("userId", "u")
    problem = refused(http.post(path, json=body), 422, "invalid_body")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert stack.record(session_id) == {}


@pytest.mark.parametrize("user_id", ["", "agent-x-1", "x" * 129, "a\nb", "a\u202eb", 5, None])
@pytest.mark.parametrize("path", POSTS[:2])
def test_user_ids(stack: Stack, http: httpx.Client, path: str, user_id: Any) -> None:
    """No user may be called like an agent of ours, or in a way that cannot be printed."""
    session_id = new_id()
    body = {"sessionId": session_id, "userId": user_id}
    problem = refused(http.post(path, json=body), 422, "invalid_body")
    assert problem["errors"][0]["field"] == "userId"
    assert stack.record(session_id) == {}


@pytest.mark.parametrize(
    ("config", "code", "field"),
    [
        ({"agent": "nobody"}, "unknown_agent", "config.agent"),
        ({"voice": "nobody"}, "unknown_voice", "config.voice"),
        ({"voicee": "x"}, "invalid_body", "config.voicee"),
        ({"maxDuration": 1e9}, "invalid_body", "config.maxDuration"),
        ({"systemPrompt": "é" * 8193}, "invalid_body", "config.systemPrompt"),
        ({"metadata": {"a": [1]}}, "invalid_body", "config.metadata.a"),
        ({"language": "not a tag"}, "invalid_body", "config.language"),
    ],
)
def test_overrides(
    stack: Stack, http: httpx.Client, config: dict[str, Any], code: str, field: str
) -> None:
    """What a session may not have is refused by name, and nothing is started."""
    session_id = new_id()
    body = {"sessionId": session_id, "userId": "u", "config": config}
    problem = refused(http.post("/api/session/start", json=body), 422, code)
    assert problem["errors"][0]["field"] == field
    assert stack.record(session_id) == {}


def test_sessions_of_others(stack: Stack, http: httpx.Client) -> None:
    """A session belongs to its first user: nobody else gets a token or a start for it."""
    session_id = new_id()
    http.post("/api/token", json={"sessionId": session_id, "userId": "owner"})
    for path in POSTS[:2]:
        body = {"sessionId": session_id, "userId": "thief"}
        refused(http.post(path, json=body), 409, "session_exists")
    stolen = {"room_name": session_id, "participant_identity": "thief"}
    refused(http.post("/api/livekit/token", json=stolen), 409, "session_exists")
    assert stack.record(session_id)["userId"] == "owner"


def test_unknown_sessions(http: httpx.Client) -> None:
    """Ending or asking for what there is not is 404, however the id looks."""
    body = {"sessionId": new_id()}
    refused(http.post("/api/session/end", json=body), 404, "session_not_found")
    for session_id in (new_id(), "a%20b", "x" * 200, "%2e%2e", "%00"):
        refused(http.get(f"/api/sessions/{session_id}"), 404, "session_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/token", 405, "method_not_allowed"),
        ("PUT", "/api/session/start", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api/token/", 404, "not_found"),
    ],
)
def test_wrong_addresses(
    http: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    """Unknown pages and methods are problem documents too."""
    refused(http.request(method, path), status, code)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "localhost:x"])
def test_foreign_hosts(stack: Stack, http: httpx.Client, host: str) -> None:
    """Without keys only loopback's names are answered, so no rebound name reaches us."""
    session_id = new_id()
    body = {"sessionId": session_id, "userId": "u"}
    answer = http.post("/api/token", json=body, headers={"Host": host})
    refused(answer, 421, "host_not_allowed")
    assert stack.record(session_id) == {}
    assert http.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "[::1]:80", "127.0.0.1"])
def test_own_hosts(http: httpx.Client, host: str) -> None:
    """Loopback's own names are answered, with any port."""
    assert http.get("/api/talk", headers={"Host": host}).status_code == 200


def test_a_body_without_a_length_is_bounded(http: httpx.Client) -> None:
    """A chunked body is cut off at the same bound."""

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 4096

    refused(http.post("/api/token", content=endless(), headers=JSON), 413, "body_too_large")


def test_no_origin_is_allowed_by_default(http: httpx.Client) -> None:
    """Pages of other origins get no permission to read or to send."""
    for origin in ("https://evil.example", "null"):
        answer = http.get("/api/talk", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = http.options("/api/token", headers=asked)
        assert "access-control-allow-origin" not in preflight.headers


def test_a_slow_body_is_given_up(stack: Stack) -> None:
    """Whoever sends half a body and waits gets 408 after the time limit, not a hung connection."""
    parts = urlsplit(stack.url)
    assert parts.port is not None
    with socket.create_connection((parts.hostname or "", parts.port), scaled(30)) as connection:
        connection.sendall(
            b"POST /api/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"sessionId":'
        )
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")


def test_nothing_was_a_server_error(stack: Stack) -> None:
    """After all of the above, no request has ended in a 5xx."""
    lines = [line for line in stack.service.log().splitlines() if '"http.request"' in line]
    assert len(lines) > 50
    assert [line for line in lines if json.loads(line)["status"] >= 500] == []
