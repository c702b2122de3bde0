"""`Idempotency-Key`: a repeated POST gets its first answer, and does nothing again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
from tests.integration.test_http_outages import frozen
from tests.timing import scaled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("idempotency"), **WITH_KEYS) as running:
        running.has_worker()
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(BACKEND_KEY) as client:
        yield client


def post(http: httpx.Client, path: str, body: Any, key: str) -> httpx.Response:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


def body(**more: Any) -> dict[str, Any]:
    return {"sessionId": new_id(), "userId": "u", **more}


@pytest.mark.parametrize("path", ["/api/token", "/api/session/start", "/api/livekit/token"])
def test_the_first_answer_again(http: httpx.Client, path: str) -> None:
    """Byte for byte, with its status and its headers; said so in a header."""
    asked: dict[str, Any] = {"participant_name": "Zoë"} if "livekit" in path else body()
    key = new_id()
    first = post(http, path, asked, key)
    assert first.status_code in {200, 201}
    assert "idempotency-replayed" not in first.headers
    time.sleep(1.1)  # A token that was minted a second later would be another one.
    again = post(http, path, dict(reversed(asked.items())), key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers.get("x-session-id") == first.headers.get("x-session-id")
    assert again.headers["cache-control"] == "no-store"


def test_a_post_without_a_body_is_done_once(http: httpx.Client) -> None:
    """A replay of a delivery honours the header as every other POST does."""
    path, key = f"/api/deliveries/{'0' * 32}/replay", new_id()
    first = http.post(path, headers={"Idempotency-Key": key})
    again = http.post(path, headers={"Idempotency-Key": key})
    refused(first, 404, "delivery_not_found")
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


def test_what_is_final_is_repeated(stack: Stack, http: httpx.Client) -> None:
    """A refusal that would come again is kept: nobody can make it succeed under the same key."""
    session_id, key = new_id(), new_id()
    first = post(http, "/api/session/end", {"sessionId": session_id}, key)
    refused(first, 404, "session_not_found")
    http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    again = post(http, "/api/session/end", {"sessionId": session_id}, key)
    assert again.content == first.content
    assert stack.record(session_id)["status"] == "created"


def test_what_may_pass_is_tried_again(stack: Stack) -> None:
    """A 503 is not kept: the same call with the same key works once there is a worker."""
    stack.has_no_workers()
    asked, key = body(), new_id()
    try:
        with (
            stack.another_service(ASSISTANT_WHEN_FULL="reject") as url,
            stack.client(BACKEND_KEY, url=url) as http,
        ):
            refused(post(http, "/api/session/start", asked, key), 503, "no_worker")
            stack.has_worker()
            assert post(http, "/api/session/start", asked, key).status_code == 200
    finally:
        stack.has_worker()


def test_another_request_with_the_same_key(http: httpx.Client) -> None:
    """Refused, and without any effect; on another route the key is another one."""
    key, asked = new_id(), body()
    assert post(http, "/api/session/start", asked, key).status_code == 200
    other = body()
    refused(post(http, "/api/session/start", other, key), 422, "idempotency_mismatch")
    assert http.get(f"/api/sessions/{other['sessionId']}").status_code == 404
    assert post(http, "/api/token", asked, key).status_code == 200


def test_keys_are_each_callers_own(stack: Stack, http: httpx.Client) -> None:
    """What one caller was answered, another caller's key never brings out."""
    key, asked = new_id(), body()
    assert post(http, "/api/session/start", asked, key).status_code == 200
    with stack.client(PAGE_KEY) as page:
        refused(post(page, "/api/session/start", asked, key), 409, "session_exists")


def test_while_the_first_is_under_way(stack: Stack, http: httpx.Client) -> None:
    """Whoever is too quick is told when to come back, and then gets the first answer."""
    key, asked = new_id(), body()
    with ThreadPoolExecutor(1) as pool:
        with frozen(stack.livekit):
            first = pool.submit(post, http, "/api/token", asked, key)
            while not stack.redis.keys("assistant:idempotency:*") or not stack.record(
                asked["sessionId"]
            ):
                assert not first.done()
            early = post(http, "/api/token", asked, key)
            refused(early, 409, "idempotency_in_flight")
            assert int(early.headers["retry-after"]) >= 1
        answer = first.result(scaled(20))
    assert answer.status_code == 200
    assert post(http, "/api/token", asked, key).content == answer.content


def test_many_at_once_are_one(http: httpx.Client) -> None:
    """Of many equal requests one is made; the others get its answer, or come too early."""
    key, asked = new_id(), body()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(http, "/api/session/start", asked, key), range(32)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1


def test_redis_cannot_read_the_answers(stack: Stack) -> None:
    """Neither token nor session key nor idempotency key stands in Redis in the clear."""
    key, asked = new_id("canary"), body()
    with stack.client(PAGE_KEY) as page:
        answer = post(page, "/api/token", asked, key).json()
    kept = 0
    for name in stack.redis.scan_iter("assistant:idempotency:*"):
        kept += 1
        assert 0 < stack.redis.ttl(name) <= 86_400
        text = f"{name} {stack.redis.hgetall(name)}"
        for secret in (answer["token"], answer["sessionKey"], key, asked["sessionId"]):
            assert secret not in text
    assert kept


def test_a_tokens_answer_lasts_as_long_as_the_token(stack: Stack) -> None:
    """A token that has expired is of no use: the same call then gives a fresh one."""
    key, asked = new_id(), body()
    with (
        stack.another_service(ASSISTANT_TOKEN_TTL="10") as url,
        stack.client(BACKEND_KEY, url=url) as http,
    ):
        post(http, "/api/token", asked, key)
    untils = [
        float(stack.redis.hget(name, "until"))
        for name in stack.redis.scan_iter("assistant:idempotency:*")
    ]
    assert any(until < time.time() + 11 for until in untils)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
def test_keys_that_are_none(http: httpx.Client, key: str) -> None:
    """Up to 255 printable ASCII characters; nothing else reaches Redis."""
    answer = http.post(
        "/api/session/start", json=body(), headers=[(b"Idempotency-Key", key.encode())]
    )
    refused(answer, 422, "invalid_query")


def test_a_pages_key_must_not_be_guessable(stack: Stack) -> None:
    """All visitors share the page's API key, so a short key could be somebody else's."""
    with stack.client(PAGE_KEY) as page:
        refused(post(page, "/api/session/start", body(), "1"), 422, "invalid_query")
