"""Who may do what, once keys are configured."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.http_stack import (
    BACKEND_KEY,
    PAGE_KEY,
    WITH_KEYS,
    Stack,
    new_id,
    running_stack,
)
from tests.integration.test_http_bad_input import refused

pytestmark = pytest.mark.slow
ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {**WITH_KEYS, "ASSISTANT_ALLOWED_ORIGINS": ORIGIN}
    with running_stack(tmp_path_factory.mktemp("keys"), **environ) as running:
        running.has_worker()
        yield running


@pytest.fixture
def page(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(PAGE_KEY) as client:
        yield client


@pytest.fixture
def backend(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(BACKEND_KEY) as client:
        yield client


CALLS = (
    ("POST", "/api/token"),
    ("POST", "/api/session/start"),
    ("POST", "/api/session/end"),
    ("POST", "/api/livekit/token"),
    ("GET", "/api/sessions/x"),
    ("GET", "/stats"),
)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_key(stack: Stack, method: str, path: str) -> None:
    """No key, a wrong one, and a wrong scheme get the same answer, before the body is read."""
    answers = []
    wrong = (None, "Bearer", "Bearer wrong-key-0123456789", f"Basic {BACKEND_KEY}", BACKEND_KEY)
    with stack.client() as http:
        for authorization in wrong:
            headers = {} if authorization is None else {"Authorization": authorization}
            answer = http.request(method, path, headers=headers)
            refused(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
            answers.append(answer.text)
    assert len(set(answers)) == 1


def test_what_needs_no_key(stack: Stack) -> None:
    """Probes, the talk page's own question and the description are open."""
    with stack.client() as http:
        for path in ("/livez", "/readyz", "/health", "/openapi.json", "/api/talk"):
            assert http.get(path).status_code == 200, path


def test_a_page_has_no_figures(page: httpx.Client, backend: httpx.Client) -> None:
    """The figures name hosts and workers: secret keys alone see them."""
    refused(page.get("/stats"), 403, "forbidden")
    assert backend.get("/stats").status_code == 200


def test_a_page_and_its_session(stack: Stack, page: httpx.Client) -> None:
    """The call that makes a session returns its key; with it the page does everything else."""
    session_id = new_id()
    body = {"sessionId": session_id, "userId": "visitor"}
    token = page.post("/api/token", json=body).json()
    key = token["sessionKey"]
    assert key not in str(stack.record(session_id))
    assert key not in stack.service.log()
    body["sessionKey"] = key
    started = page.post("/api/session/start", json=body)
    assert started.status_code == 200
    assert "sessionKey" not in started.json()
    again = page.post("/api/token", json=body)
    assert (again.status_code, "sessionKey" in again.json()) == (200, False)
    shown = page.get(f"/api/sessions/{session_id}", headers={"X-Session-Key": key})
    assert (shown.status_code, shown.json()["timeline"]) == (200, None)
    ending = page.post("/api/session/end", json={"sessionId": session_id, "sessionKey": key})
    assert ending.status_code == 200
    stack.wait_status(session_id, "ended")


def test_a_page_may_start_first(page: httpx.Client) -> None:
    """A start without a token before it makes the session, and returns its key."""
    body = {"sessionId": new_id(), "userId": "visitor"}
    assert page.post("/api/session/start", json=body).json()["sessionKey"]


def test_taken_and_foreign_sessions(page: httpx.Client, backend: httpx.Client) -> None:
    """A taken id is 409; all else of somebody else's looks as if it did not exist."""
    taken, theirs = new_id(), new_id()
    page.post("/api/token", json={"sessionId": taken, "userId": "visitor"})
    backend.post("/api/token", json={"sessionId": theirs, "userId": "visitor"})
    for session_id in (taken, theirs):
        body = {"sessionId": session_id, "userId": "visitor"}
        guess = {**body, "sessionKey": "guess"}
        for path in ("/api/token", "/api/session/start"):
            refused(page.post(path, json=body), 409, "session_exists")
            refused(page.post(path, json=guess), 404, "session_not_found")
        end = {"sessionId": session_id}
        foreign = page.post("/api/session/end", json=end)
        unknown = page.post("/api/session/end", json={"sessionId": new_id()})
        refused(foreign, 404, "session_not_found")
        assert foreign.text == unknown.text
        refused(
            page.post("/api/session/end", json={**end, "sessionKey": "guess"}),
            404,
            "session_not_found",
        )
        path = f"/api/sessions/{session_id}"
        refused(page.get(path), 404, "session_not_found")
        refused(page.get(path, headers={"X-Session-Key": "guess"}), 404, "session_not_found")


def test_a_key_does_not_change_the_user(page: httpx.Client) -> None:
    """With the session's key, the token is still for the session's first user alone."""
    body = {"sessionId": new_id(), "userId": "visitor"}
    key = page.post("/api/token", json=body).json()["sessionKey"]
    other = {**body, "userId": "other", "sessionKey": key}
    refused(page.post("/api/token", json=other), 404, "session_not_found")


def test_a_backend_needs_no_session_key(page: httpx.Client, backend: httpx.Client) -> None:
    """A product's backend looks at and ends whatever its pages began."""
    session_id = new_id()
    page.post("/api/token", json={"sessionId": session_id, "userId": "visitor"})
    shown = backend.get(f"/api/sessions/{session_id}")
    assert shown.json()["timeline"][0]["name"] == "session.created"
    assert backend.post("/api/session/end", json={"sessionId": session_id}).status_code == 200


def test_what_pages_may_choose(page: httpx.Client, backend: httpx.Client) -> None:
    """A page gets only what agents.yaml lets the public choose; a backend gets it all."""
    config = {"systemPrompt": "You are a pirate."}
    body = {"sessionId": new_id(), "userId": "visitor", "config": config}
    problem = refused(page.post("/api/session/start", json=body), 422, "override_not_allowed")
    assert problem["errors"][0]["field"] == "config.systemPrompt"
    assert backend.post("/api/session/start", json=body).status_code == 200
    body = {"sessionId": new_id(), "userId": "visitor", "config": {"voice": "inworld-male-1"}}
    assert page.post("/api/session/start", json=body).status_code == 200


def test_livekits_endpoint_with_a_page_key(page: httpx.Client) -> None:
    """The session's key comes in a header, and is shown in one."""
    body = {"room_name": new_id(), "participant_identity": "zoe"}
    answer = page.post("/api/livekit/token", json=body)
    assert (answer.status_code, set(answer.json())) == (201, {"server_url", "participant_token"})
    headers = {"X-Session-Key": answer.headers["x-session-key"]}
    refused(page.post("/api/livekit/token", json=body), 409, "session_exists")
    assert page.post("/api/livekit/token", json=body, headers=headers).status_code == 201


def test_the_talk_page_gets_its_key(stack: Stack) -> None:
    """With keys, the page is told the publishable key that ASSISTANT_TALK_PAGE_KEY names."""
    with stack.client() as http:
        assert http.get("/api/talk").json()["key"] == PAGE_KEY


def test_without_a_talk_page_key(stack: Stack, tmp_path: Path) -> None:
    """With keys and no key for it, there is no talk page; others embed it with a key of theirs."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "embed.js").write_text("{}")
    environ = {"ASSISTANT_TALK_PAGE_KEY": "", "ASSISTANT_WEB_DIR": str(tmp_path)}
    with stack.another_service(**environ) as url, stack.client(url=url) as http:
        refused(http.get("/api/talk"), 404, "talk_page_off")
        refused(http.get("/"), 404, "talk_page_off")
        refused(http.get("/assets/x.js"), 404, "not_found")
        shown = {"Authorization": f"Bearer {PAGE_KEY}"}
        offered = http.get("/api/talk", headers=shown).json()
        assert (offered["key"], [agent["default"] for agent in offered["agents"]].count(True)) == (
            None,
            1,
        )
        wrong = {"Authorization": "Bearer wrong-key-0123456789"}
        refused(http.get("/api/talk", headers=wrong), 401, "unauthenticated")
        framed, script = http.get("/embed"), http.get("/embed.js")
        assert f"frame-ancestors 'self' {ORIGIN}" in framed.headers["content-security-policy"]
        assert script.headers["content-type"].startswith("text/javascript")
        assert script.headers["cache-control"] == "public, max-age=300"
        for answer in (framed, script):
            assert answer.status_code == 200
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    with (
        stack.another_service(**environ, ASSISTANT_ALLOWED_ORIGINS="") as url,
        stack.client(url=url) as http,
    ):
        refused(http.get("/embed"), 404, "talk_page_off")
        refused(http.get("/embed.js"), 404, "talk_page_off")


def test_allowed_origins(stack: Stack) -> None:
    """A page of an allowed origin may call and read; credentials are never allowed."""
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-session-key",
    }
    with stack.client() as http:
        preflight = http.options("/api/token", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        answer = http.get("/api/talk", headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in answer.headers
        for origin in ("https://app.example.evil.example", "http://app.example", "null"):
            assert (
                "access-control-allow-origin"
                not in http.get("/api/talk", headers={"Origin": origin}).headers
            )


def test_allowed_hosts(stack: Stack) -> None:
    """With keys any host name is answered, unless some are named."""
    with stack.client() as http:
        assert http.get("/api/talk", headers={"Host": "voice.example"}).status_code == 200
    with (
        stack.another_service(ASSISTANT_ALLOWED_HOSTS="voice.example") as url,
        stack.client(url=url) as http,
    ):
        assert http.get("/api/talk", headers={"Host": "voice.example"}).status_code == 200
        refused(http.get("/api/talk"), 421, "host_not_allowed")


def test_rate_limit(stack: Stack) -> None:
    """A backend's users are limited one by one, and with a page's key one address."""
    with stack.another_service(ASSISTANT_RATE_LIMIT="3") as url:
        with stack.client(BACKEND_KEY, url=url) as http:
            statuses = [
                http.post("/api/token", json={"sessionId": new_id(), "userId": "busy"})
                for _ in range(7)
            ]
            # A minute may turn in between, which lets as many pass again.
            assert 1 <= [answer.status_code for answer in statuses].count(429) <= 4
            limited = next(answer for answer in statuses if answer.status_code == 429)
            refused(limited, 429, "rate_limited")
            assert 1 <= int(limited.headers["retry-after"]) <= 60
            other = http.post("/api/token", json={"sessionId": new_id(), "userId": "calm"})
            assert other.status_code == 200
        with stack.client(PAGE_KEY, url=url) as http:
            statuses = [
                http.post("/api/token", json={"sessionId": new_id(), "userId": new_id("u")})
                for _ in range(7)
            ]
            assert 429 in [answer.status_code for answer in statuses]
