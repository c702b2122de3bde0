"""Every route's exact answer, on a service without keys."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from livekit import rtc

from tests.integration.http_stack import Stack, new_id, running_stack
from tests.timing import scaled

pytestmark = pytest.mark.slow
NUMBER = (int, float)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("routes")) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    stack.has_worker()
    with stack.client() as client:
        yield client


def claims(stack: Stack, token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(
        token, stack.livekit_keys.api_secret, algorithms=["HS256"], options={"verify_exp": True}
    )
    return found


def start(http: httpx.Client, session_id: str, **more: Any) -> httpx.Response:
    body = {"sessionId": session_id, "userId": "u", **more}
    return http.post("/api/session/start", json=body)


def test_token(stack: Stack, http: httpx.Client) -> None:
    """A token for one room, LiveKit's address, and the older fields under their names."""
    session_id = new_id()
    answer = http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert claims(stack, body.pop("token"))["video"]["room"] == f"va-{session_id}"
    assert body == {
        "url": stack.livekit_url,
        "sessionId": session_id,
        "room": f"va-{session_id}",
    }
    record = stack.record(session_id)
    assert (record["status"], record["userId"]) == ("created", "u")
    again = http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    assert again.status_code == 200


def test_start(stack: Stack, http: httpx.Client) -> None:
    """A start needs no token first; a repeated one is the same start."""
    session_id = new_id()
    answer = start(http, session_id)
    assert answer.status_code == 200
    body = answer.json()
    task_id = body.pop("taskId")
    assert body == {
        "success": True,
        "sessionId": session_id,
        "status": "dispatching",
        "agent": "assistant",
        "room": f"va-{session_id}",
    }
    again = start(http, session_id, config={"voice": "inworld-male-1"})
    assert again.status_code == 200
    assert again.json()["taskId"] == task_id
    assert stack.record(session_id)["taskId"] == task_id
    assert json.loads(stack.record(session_id)["spec"])["voice"] == "inworld-female-1"


def test_start_decides_what_the_token_left_open(stack: Stack, http: httpx.Client) -> None:
    """A session that was made with a token gets its agent, voice and prompt from the start."""
    session_id = new_id()
    http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    config = {
        "agent": "concierge",
        "voice": "inworld-male-2",
        "systemPrompt": "canary-prompt",
        "greeting": "Good day.",
        "metadata": {"room": 12},
        "maxDuration": 99,
    }
    assert start(http, session_id, config=config).json()["agent"] == "concierge"
    record = stack.record(session_id)
    assert json.loads(record["config"]) == config
    spec = json.loads(record["spec"])
    assert (spec["name"], spec["voice"], spec["instructions"], spec["greeting"]) == (
        "concierge",
        "inworld-male-2",
        "canary-prompt",
        "Good day.",
    )
    assert float(record["maxDurationS"]) == 99
    timeline = http.get(f"/api/sessions/{session_id}").json()["timeline"]
    assert "canary-prompt" not in json.dumps(timeline)
    assert "canary-prompt" not in stack.service.log()


def test_parallel_starts_are_one(stack: Stack, http: httpx.Client) -> None:
    """Many identical starts at once give one session with one task."""
    session_id = new_id()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: start(http, session_id), range(32)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["taskId"] for answer in answers}) == 1
    names = [entry["name"] for entry in http.get(f"/api/sessions/{session_id}").json()["timeline"]]
    assert names.count("session.created") == names.count("session.queued") == 1
    assert stack.record(session_id)["attempt"] == "1"


def test_end(stack: Stack, http: httpx.Client) -> None:
    """Ending works from any state, twice too, and leaves the record with its reason."""
    session_id = new_id()
    start(http, session_id)
    answer = http.post("/api/session/end", json={"sessionId": session_id, "reason": "enough"})
    assert (answer.status_code, set(answer.json())) == (200, {"success", "message"})
    assert answer.json()["success"] is True
    record = stack.wait_status(session_id, "ended")
    assert (record["reason"], record["detail"]) == ("user_requested", "enough")
    again = http.post("/api/session/end", json={"sessionId": session_id})
    assert (again.status_code, again.json()["success"]) == (200, True)
    late = start(http, session_id)
    assert (late.status_code, late.json()["code"]) == (409, "session_over")
    token = http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    assert (token.status_code, token.json()["code"]) == (409, "session_over")
    assert stack.redis.zscore("assistant:slots", session_id) is None


def test_end_before_start(stack: Stack, http: httpx.Client) -> None:
    """A session that has only a token can be ended."""
    session_id = new_id()
    http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    assert http.post("/api/session/end", json={"sessionId": session_id}).status_code == 200
    stack.wait_status(session_id, "ended")


def test_session(http: httpx.Client) -> None:
    """One session, with every field there is, times as numbers or null, and its timeline."""
    session_id = new_id()
    start(http, session_id)
    body = http.get(f"/api/sessions/{session_id}").json()
    assert set(body) == {
        "sessionId",
        "userId",
        "status",
        "reason",
        "detail",
        "agent",
        "room",
        "taskId",
        "attempt",
        "position",
        "verdict",
        "muted",
        "estimatedWaitS",
        "maxDurationS",
        "times",
        "timeline",
    }
    assert (body["status"], body["reason"], body["attempt"]) == ("dispatching", None, 1)
    assert set(body["times"]) == {
        "created",
        "queued",
        "seeking",
        "dispatched",
        "accepted",
        "claimed",
        "joined",
        "active",
        "userJoined",
        "userLeft",
        "ending",
        "ended",
    }
    assert all(at is None or isinstance(at, NUMBER) for at in body["times"].values())
    assert body["timeline"][0]["name"] == "session.created"
    assert set(body["timeline"][0]) == {"id", "name", "at", "data"}


def test_queue(stack: Stack, http: httpx.Client) -> None:
    """Without a worker a session waits, and says at which place."""
    stack.has_no_workers()
    first, second = new_id(), new_id()
    one, two = start(http, first).json(), start(http, second).json()
    assert (one["status"], two["status"]) == ("queued", "queued")
    assert two["position"] == one["position"] + 1
    assert http.get(f"/api/sessions/{second}").json()["position"] == two["position"]
    stack.has_worker()
    stack.wait_status(second, "dispatching")


def test_livekit_token(stack: Stack, http: httpx.Client) -> None:
    """LiveKit's standard endpoint: 201, its own two names, and no body fields needed."""
    answer = http.post("/api/livekit/token", json={})
    assert answer.status_code == 201
    assert set(answer.json()) == {"server_url", "participant_token"}
    assert answer.json()["server_url"] == stack.livekit_url
    session_id = answer.headers["x-session-id"]
    found = claims(stack, answer.json()["participant_token"])
    assert found["video"]["room"] == f"va-{session_id}"
    assert "roomConfig" not in found
    assert stack.record(session_id)["startsOnJoin"] == "1"


def test_livekit_token_honours_the_agent(stack: Stack, http: httpx.Client) -> None:
    """The agent and the metadata of room_config, and the participant's own fields, are kept."""
    session_id = new_id()
    body = {
        "room_name": session_id,
        "participant_identity": "zoe",
        "participant_name": "Zoë",
        "participant_attributes": {"colour": "red"},
        "room_config": {"agents": [{"agent_name": "concierge", "metadata": '{"seat": 4}'}]},
        "unknown": 1,
    }
    answer = http.post("/api/livekit/token", json=body)
    assert answer.status_code == 201
    found = claims(stack, answer.json()["participant_token"])
    assert (found["sub"], found["name"], found["attributes"]) == ("zoe", "Zoë", {"colour": "red"})
    record = stack.record(session_id)
    assert (record["agent"], json.loads(record["config"])["metadata"]) == ("concierge", {"seat": 4})
    wrong = {"room_config": {"agents": [{"agent_name": "nobody"}]}}
    refused = http.post("/api/livekit/token", json=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_agent")


async def test_a_session_starts_when_its_user_joins(stack: Stack) -> None:
    """With LiveKit's endpoint nobody calls start: joining the room with the token does it."""
    stack.has_worker()
    async with httpx.AsyncClient(base_url=stack.url) as http:
        answer = await http.post("/api/livekit/token", json={"participant_identity": "zoe"})
    session_id = answer.headers["x-session-id"]
    assert stack.record(session_id)["status"] == "created"
    room = rtc.Room()
    await room.connect(stack.livekit_url, answer.json()["participant_token"])
    try:
        assert room.name == f"va-{session_id}"
        assert json.loads(room.local_participant.metadata) == {
            "sessionId": session_id,
            "userId": "zoe",
        }
        record = await asyncio.to_thread(stack.wait_status, session_id, "dispatching", "active")
        assert record["taskId"]
    finally:
        await room.disconnect()


async def test_a_start_that_brings_its_token(stack: Stack) -> None:
    """With `withToken` one answer has what the two calls have, and the room is there to be joined.

    Repeated, it is the same start.
    """
    stack.has_worker()
    asked = {"sessionId": new_id(), "userId": "u"}
    async with httpx.AsyncClient(base_url=stack.url) as http:
        wished = {**asked, "withToken": True}
        started = (await http.post("/api/session/start", json=wished)).json()
        room = rtc.Room()
        await room.connect(started["url"], started["token"])
        await room.disconnect()
        again = (await http.post("/api/session/start", json=wished)).json()
        token = (await http.post("/api/token", json=asked)).json()["token"]
    assert started["taskId"] == again["taskId"]
    ours = [claims(stack, each) for each in (started["token"], again["token"], token)]
    assert ours[0]["video"]["room"] == started["room"]
    assert len({json.dumps({**each, "nbf": 0, "exp": 0}) for each in ours}) == 1


async def test_no_join_without_a_room(stack: Stack) -> None:
    """When a session has ended, the token that was minted for it opens nothing."""
    async with httpx.AsyncClient(base_url=stack.url) as http:
        session_id = new_id()
        body = {"sessionId": session_id, "userId": "u"}
        token = (await http.post("/api/token", json=body)).json()["token"]
        await http.post("/api/session/end", json={"sessionId": session_id})
    await asyncio.to_thread(stack.wait_status, session_id, "ended")
    with pytest.raises(rtc.ConnectError):
        await asyncio.wait_for(rtc.Room().connect(stack.livekit_url, token), scaled(15))


def test_probes(http: httpx.Client) -> None:
    """Alive, ready, and healthy with a worker."""
    assert http.get("/livez").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}
    health = http.get("/health")
    assert health.status_code == 200
    assert set(health.json()) == {"status", "parts", "lastWebhookAt"}
    assert set(health.json()["parts"]) == {"redis", "livekit", "workers"}


def test_stats(http: httpx.Client) -> None:
    """The figures' shape, and that they count what there is."""
    before = http.get("/stats").json()
    session_id = new_id()
    http.post("/api/token", json={"sessionId": session_id, "userId": "u"})
    stats = http.get("/stats").json()
    assert set(stats) == {
        "sessions",
        "complete",
        "agents",
        "catalog",
        "deliveries",
        "slots",
        "queue",
        "pool",
        "workers",
        "redis",
    }
    assert set(stats["catalog"]) == {"digest", "since"}
    assert set(stats["sessions"]) == {"created", "queued", "dispatching", "active", "ending"}
    assert stats["sessions"]["created"] == before["sessions"]["created"] + 1
    assert stats["slots"]["limit"] == 50
    assert stats["pool"] == {
        "warm": 3,
        "standby": 0,
        "jobs": 0,
        "maxJobs": 100,
        "free": 100,
    }
    assert [worker["id"] for worker in stats["workers"]] == ["worker-test"]
    assert stats["redis"]["latencyS"] < 1
    assert stats["complete"] is True


def test_talk(http: httpx.Client) -> None:
    """What the talk page may offer, without a key where none is needed."""
    body = http.get("/api/talk").json()
    assert set(body) == {"key", "agents", "startTimeout", "url"}
    assert (body["key"], body["startTimeout"]) == (None, 30)
    assert {"name", "title", "voices", "voice", "default"} == set(body["agents"][0])
    assert [agent["default"] for agent in body["agents"]].count(True) == 1


def test_openapi_describes_every_route(http: httpx.Client) -> None:
    """The description names every route of ours, and every reference in it leads somewhere."""
    document = http.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/api/token",
        "/api/session/start",
        "/api/session/end",
        "/api/livekit/token",
        "/api/sessions",
        "/api/sessions/{sessionId}",
        "/livekit/webhook",
        "/stats",
        "/health",
        "/readyz",
        "/livez",
        "/api/talk",
        "/api/events",
        "/api/sessions/{sessionId}/events",
        "/api/sessions/{sessionId}/transcript",
        "/api/sessions/{sessionId}/logs",
        "/api/sessions/{sessionId}/report",
        "/api/sessions/{sessionId}/recording",
        "/api/sessions/{sessionId}/deliveries",
        "/api/deliveries",
        "/api/deliveries/{deliveryId}/replay",
        "/api/sessions/{sessionId}/say",
        "/api/sessions/{sessionId}/interrupt",
        "/api/sessions/{sessionId}/context",
        "/api/sessions/{sessionId}/instructions",
        "/api/sessions/{sessionId}/agent",
        "/api/sessions/{sessionId}/mute",
        "/api/sessions/{sessionId}/listen",
        "/api/agents",
        "/api/figures",
        "/api/overview/stream",
        "/api/checks",
    }
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas
    start_body = schemas["StartBody"]
    assert start_body["required"] == ["sessionId", "userId"]
    assert start_body["additionalProperties"] is False


def test_every_request_has_an_id_in_the_log(stack: Stack, http: httpx.Client) -> None:
    """An answer's X-Request-Id is found in the log, whose lines never hold a token."""
    body = {"sessionId": new_id(), "userId": "u"}
    answer = http.post("/api/token?access_token=canary-query", json=body)
    assert answer.headers["x-request-id"] in stack.service.log()
    assert answer.json()["token"] not in stack.service.log()
    assert "canary-query" not in stack.service.log()
