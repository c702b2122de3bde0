"""LiveKit's webhooks: only ours count, and none changes anything by itself."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from livekit import api

from tests.integration.http_stack import Stack, new_id, running_stack
from tests.integration.test_http_bad_input import refused
from tests.timing import scaled

pytestmark = pytest.mark.slow
PATH = "/livekit/webhook"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("webhooks")) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def event(room: str, name: str = "participant_joined", **more: Any) -> bytes:
    return json.dumps({"event": name, "id": new_id("EV"), "room": {"name": room}, **more}).encode()


def signature(stack: Stack, body: bytes, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": stack.livekit_keys.api_key,
        "nbf": now,
        "exp": now + 300,
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        **changes,
    }
    return jwt.encode(claims, stack.livekit_keys.api_secret, "HS256")


def send(http: httpx.Client, body: bytes, authorization: str | None) -> httpx.Response:
    headers = {"Content-Type": "application/webhook+json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    return http.post(PATH, content=body, headers=headers)


def created(http: httpx.Client) -> str:
    session_id = new_id()
    http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    return session_id


def test_livekit_itself_is_understood(stack: Stack, http: httpx.Client) -> None:
    """The real server's own webhooks arrive, are verified, and are answered with 200."""
    session_id = created(http)
    deadline = time.monotonic() + scaled(10)
    answered: list[int] = []
    while not answered:
        assert time.monotonic() < deadline, stack.service.log()[-2000:]
        time.sleep(0.05)
        # Only whole lines: the last one may be in the writing.
        lines = [json.loads(line) for line in stack.service.log().split("\n")[:-1]]
        requests = {line["request"] for line in lines if line.get("room") == f"va-{session_id}"}
        answered = [
            line["status"]
            for line in lines
            if line["event"] == "http.request" and line["request"] in requests
        ]
    assert set(answered) == {200}


def test_a_webhook_changes_nothing_by_itself(stack: Stack, http: httpx.Client) -> None:
    """Told that the user joined, left or that the room is gone, the record stays what it is."""
    session_id = created(http)
    before = stack.record(session_id)
    for name in ("participant_joined", "participant_left", "room_finished", "unheard_of"):
        body = event(f"va-{session_id}", name, participant={"identity": "u"})
        answer = send(http, body, signature(stack, body))
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert stack.record(session_id) == before


def test_replays_do_no_harm(stack: Stack, http: httpx.Client) -> None:
    """The same webhook many times is fine each time, and changes nothing."""
    session_id = created(http)
    before = stack.record(session_id)
    body = event(f"va-{session_id}")
    authorization = signature(stack, body)
    answers = [send(http, body, authorization).status_code for _ in range(10)]
    assert answers == [200] * 10
    assert stack.record(session_id) == before


@pytest.mark.parametrize("room", ["va-nobody", "other-room", "va-", "va-a b", ""])
def test_rooms_that_are_not_ours(stack: Stack, http: httpx.Client, room: str) -> None:
    """Unknown rooms are taken note of, and leave no trace in Redis."""
    body = event(room)
    assert send(http, body, signature(stack, body)).status_code == 200
    assert stack.redis.zscore("assistant:due", room.removeprefix("va-")) is None


def test_forgeries(stack: Stack, http: httpx.Client) -> None:
    """Unsigned, forged, tampered, old, alg none, join token: one answer for all."""
    session_id = created(http)
    body = event(f"va-{session_id}")
    now = int(time.time())
    good = signature(stack, body)
    keys = stack.livekit_keys
    claims = {"iss": keys.api_key, "exp": now + 300, "sha256": "x"}
    grants = api.VideoGrants(room_join=True, room=f"va-{session_id}")
    join = api.AccessToken(keys.api_key, keys.api_secret).with_identity("u").with_grants(grants)
    forged = (
        (body, None),
        (body, "nonsense"),
        (body, f"Bearer {good}"),
        (body, jwt.encode(claims, "t" * 40, "HS256")),
        (body, jwt.encode(claims, "", "none")),
        (body, signature(stack, body, iss="APIother")),
        (body, signature(stack, body, exp=now - 120)),
        (body, signature(stack, body, exp=now + 86_400)),
        (body, join.to_jwt()),
        (body.replace(b"joined", b"left"), good),
        (b"", good),
        (b"not json", signature(stack, b"not json")),
    )
    before = stack.record(session_id)
    texts = set()
    for content, authorization in forged:
        answer = send(http, content, authorization)
        refused(answer, 401, "webhook_rejected")
        texts.add(answer.text)
    assert len(texts) == 1
    assert stack.record(session_id) == before


def test_size(stack: Stack, http: httpx.Client) -> None:
    """More than 256 KiB is refused before it is hashed."""
    body = event("va-x", padding="x" * 256 * 1024)
    refused(send(http, body, signature(stack, body)), 413, "body_too_large")


def test_any_host(stack: Stack, http: httpx.Client) -> None:
    """A webhook is signed, so it may come under whatever name LiveKit knows us by."""
    body = event("va-x")
    headers = {"Host": "service.internal", "Authorization": signature(stack, body)}
    assert http.post(PATH, content=body, headers=headers).status_code == 200
