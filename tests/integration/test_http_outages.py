"""Full fleets, and parts that are away."""

import base64
import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import jwt
import pytest

from tests.integration.http_stack import (
    PAGE_KEY,
    WITH_KEYS,
    Running,
    Stack,
    new_id,
    running_stack,
)
from tests.integration.test_http_bad_input import refused
from tests.timing import scaled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("outages")) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


@contextmanager
def frozen(part: Running) -> Iterator[None]:
    part.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        part.process.send_signal(signal.SIGCONT)


def body(session_id: str | None = None) -> dict[str, str]:
    return {"sessionId": session_id or new_id(), "userId": "u"}


def test_no_worker_and_no_queue(stack: Stack) -> None:
    """Where starts are not queued, one without a worker is refused, and leaves nothing."""
    stack.has_no_workers()
    asked = body()
    with (
        stack.another_service(ASSISTANT_WHEN_FULL="reject") as url,
        stack.client(url=url) as http,
    ):
        answer = http.post("/api/session/start", json=asked)
        refused(answer, 503, "no_worker")
        assert int(answer.headers["retry-after"]) >= 1
        assert stack.record(asked["sessionId"]) == {}
        stack.has_worker()
        assert http.post("/api/session/start", json=asked).status_code == 200


def test_full(stack: Stack) -> None:
    """Where starts are not queued, one too many is refused; a page may try the same id again."""
    stack.has_worker()
    used = int(stack.redis.zcard("assistant:slots"))
    environ = {**WITH_KEYS, "ASSISTANT_WHEN_FULL": "reject", "MAX_BOTS": str(used + 1)}
    with stack.another_service(**environ) as url, stack.client(PAGE_KEY, url=url) as http:
        first, second = body(), body()
        started = http.post("/api/session/start", json=first)
        assert started.status_code == 200
        answer = http.post("/api/session/start", json=second)
        refused(answer, 503, "capacity_exhausted")
        assert int(answer.headers["retry-after"]) >= 1
        assert stack.record(second["sessionId"]) == {}
        key = started.json()["sessionKey"]
        http.post("/api/session/end", json={"sessionId": first["sessionId"], "sessionKey": key})
        stack.wait_status(first["sessionId"], "ended")
        assert http.post("/api/session/start", json=second).status_code == 200


def test_full_queue(stack: Stack) -> None:
    """One too many in the queue is refused too, under a code of its own."""
    stack.has_no_workers()
    waiting = int(stack.redis.zcard("assistant:queue"))
    with (
        stack.another_service(ASSISTANT_QUEUE_LIMIT=str(waiting + 1)) as url,
        stack.client(url=url) as http,
    ):
        assert http.post("/api/session/start", json=body()).json()["status"] == "queued"
        answer = http.post("/api/session/start", json=body())
        refused(answer, 503, "queue_full")
        assert "retry-after" in answer.headers
    stack.has_worker()


def test_redis_frozen(stack: Stack, http: httpx.Client) -> None:
    """With Redis away every route that needs it says so in time, and recovers by itself."""
    session_id = new_id()
    http.post("/api/token", json=body(session_id))
    event = b'{"event": "participant_joined", "room": {"name": "va-x"}}'
    claims = {
        "iss": stack.livekit_keys.api_key,
        "exp": int(time.time()) + 300,
        "sha256": base64.b64encode(hashlib.sha256(event).digest()).decode(),
    }
    signed = {"Authorization": jwt.encode(claims, stack.livekit_keys.api_secret, "HS256")}
    with frozen(stack.valkey):
        assert http.get("/livez").status_code == 200
        health = http.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["parts"]["redis"] == "down"
        began = time.monotonic()
        calls: tuple[Callable[[], httpx.Response], ...] = (
            lambda: http.get("/readyz"),
            lambda: http.get("/stats"),
            lambda: http.get(f"/api/sessions/{session_id}"),
            lambda: http.post("/api/token", json=body()),
            lambda: http.post("/api/livekit/token", json={}),
            lambda: http.post("/api/session/start", json=body()),
            lambda: http.post("/api/session/end", json={"sessionId": session_id}),
            lambda: http.post("/livekit/webhook", content=event, headers=signed),
        )
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = list(pool.map(lambda call: call(), calls))
        assert time.monotonic() - began < scaled(7)
        for answer in answers:
            refused(answer, 503, "store_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    deadline = time.monotonic() + scaled(10)
    while http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
    assert http.post("/api/token", json=body()).status_code == 200


def test_livekit_frozen(stack: Stack, http: httpx.Client) -> None:
    """With LiveKit away tokens wait for it, but starts and ends are taken and kept."""
    stack.has_worker()
    with frozen(stack.livekit):
        answer = http.post("/api/token", json=body())
        refused(answer, 503, "livekit_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        session_id = new_id()
        began = time.monotonic()
        assert http.post("/api/session/start", json=body(session_id)).status_code == 200
        assert http.post("/api/session/end", json={"sessionId": session_id}).status_code == 200
        assert time.monotonic() - began < scaled(1)
        deadline = time.monotonic() + scaled(10)
        while http.get("/health").json()["parts"]["livekit"] != "down":  # it is a second old
            assert time.monotonic() < deadline
        assert http.get("/readyz").status_code == 200
    stack.wait_status(session_id, "ended")


def test_a_page_may_try_again_after_livekit_was_away(stack: Stack) -> None:
    """A page's token that failed leaves no session whose key nobody knows.

    A start that was to bring one holds without it, and says the key.
    """
    asked, wished = body(), body()
    with stack.another_service(**WITH_KEYS) as url, stack.client(PAGE_KEY, url=url) as http:
        with frozen(stack.livekit):
            refused(http.post("/api/token", json=asked), 503, "livekit_unavailable")
            started = http.post("/api/session/start", json={**wished, "withToken": True}).json()
        assert http.post("/api/token", json=asked).json()["sessionKey"]
        assert (started["success"], "token" in started, "url" in started) == (True, False, False)
        wished["sessionKey"] = started["sessionKey"]
        assert http.post("/api/token", json=wished).json()["token"]
