"""What the operator's console is given: by a real service, to secret keys alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
import yaml
from livekit import api, rtc

from assistant.sessions import events as ev
from assistant.sessions.record import agent_identity
from assistant.sessions.store import keys
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect
from assistant.sessions.usage import Spent, Usage
from tests.integration.events_world import TURN, make_store, reading
from tests.integration.http_stack import (
    BACKEND_KEY,
    PAGE_KEY,
    PROJECT,
    WITH_KEYS,
    Stack,
    new_id,
    running_stack,
)
from tests.integration.rehearsal_room import RATE, tone
from tests.integration.session_servers import leave
from tests.integration.test_http_bad_input import refused
from tests.integration.test_http_outages import frozen
from tests.timing import scaled

pytestmark = pytest.mark.slow
IN_THE_LOOP = pytest.mark.asyncio(loop_scope="module")
SECRET_HEADER = "canary-header"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("operator")
    assets = folder / "web" / "console" / "assets"
    assets.mkdir(parents=True)
    (folder / "web" / "console" / "index.html").write_text("<!doctype html><title>Console</title>")
    (assets / "index-abc123.js").write_text("export {};")
    agents = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agent = agents["agents"]["assistant"]
    agent["limits"] = {"user_return_timeout_s": 1}
    headers = {"X-Fixed": SECRET_HEADER, "X-Key": "${ORDERS_KEY}"}
    tool = {"type": "http", "name": "orders", "description": "Looks orders up", "headers": headers}
    agent["tools"] = [{**tool, "method": "GET", "url": "https://shop.example/orders"}]
    (folder / "agents.yaml").write_text(yaml.safe_dump(agents), encoding="utf-8")
    environ = {"ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"), **WITH_KEYS}
    with running_stack(folder, **environ) as running:
        running.has_worker(max_jobs=7)
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {BACKEND_KEY}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=scaled(20)) as opened:
        yield opened


async def started(http: httpx.AsyncClient, session_id: str) -> str:
    """Starts a session; its user's token."""
    body = {"sessionId": session_id, "userId": "u"}
    token = (await http.post("/api/token", json=body)).json()["token"]
    answer = await http.post("/api/session/start", json=body)
    assert answer.status_code == 200, answer.text
    return str(token)


async def ended(http: httpx.AsyncClient, stack: Stack, session_id: str) -> None:
    await http.post("/api/session/end", json={"sessionId": session_id})
    await asyncio.to_thread(stack.wait_status, session_id, "ended")


@IN_THE_LOOP
async def test_they_are_for_backends(stack: Stack) -> None:
    """A page learns nothing of the deployment, and nobody without a key."""
    with stack.client(PAGE_KEY) as page, stack.client() as nobody:
        for path in ("/api/agents", "/api/figures", "/api/checks", "/api/overview/stream"):
            refused(page.get(path), 403, "forbidden")
            refused(nobody.get(path), 401, "unauthenticated")
        refused(page.post("/api/sessions/s/listen"), 403, "forbidden")


@IN_THE_LOOP
async def test_agents(http: httpx.AsyncClient) -> None:
    """Every agent with what is decided for it, and no header that somebody wrote out."""
    answer = await http.get("/api/agents")
    told = answer.json()
    assert told["default"] == "assistant"
    agent = next(agent for agent in told["agents"] if agent["name"] == "assistant")
    assert agent["tools"] == ["orders"]
    assert (agent["stt"]["provider"], agent["tts"]["provider"]) == ("assemblyai", "inworld")
    assert agent["effective"]["limits"]["user_return_timeout_s"] == 1
    assert agent["effective"]["limits"]["user_join_timeout_s"] == 60
    (tool,) = agent["effective"]["tools"]
    assert tool["headers"] == {"X-Fixed": "(hidden)", "X-Key": "${ORDERS_KEY}"}
    assert SECRET_HEADER not in answer.text
    assert (await http.get("/api/agents")).json()["digest"] == told["digest"]


@IN_THE_LOOP
async def test_figures_count_what_happens(stack: Stack, http: httpx.AsyncClient) -> None:
    """What happened is in the last steps, and expires; of an erased session only counts stay."""
    session_id = new_id("canary")
    query = {"window": 300, "step": 60}

    async def total() -> dict[str, Any]:
        points = (await http.get("/api/figures", params=query)).json()["points"]
        return {
            "started": sum(p["started"] for p in points),
            "ended": sum(p["ended"] for p in points),
            "over": sum(p["over"].get("user_requested", 0) for p in points),
            "turns": sum(p["turns"] for p in points),
            "measured": sum(
                p["latencies"].get("e2e_latency", {"count": 0})["count"] for p in points
            ),
            "cost": sum(p["cost"] or 0 for p in points),
            "slots": points[-1]["slots"],
        }

    before = await total()
    await started(http, session_id)
    assert (await total())["slots"] == before["slots"] + 1
    async with connect(stack.redis_url) as redis:
        turn = ev.TurnCompleted(at=time.time(), turn=1, **TURN)
        await make_store(redis).note(session_id, turn)
        used = Usage(kind="llm", provider="groq", model="m", output_tokens=9, cost=0.25)
        spent = Spent(models=(used,), currency="EUR")
        for _ in range(2):  # what was said twice is counted once
            await Archive(redis).spend(session_id, 1, spent)
    await ended(http, stack, session_id)
    after = await total()
    grown = {name: after[name] - before[name] for name in after}
    assert grown == {
        "started": 1,
        "ended": 1,
        "over": 1,
        "turns": 1,
        "measured": 1,
        "cost": 0.25,
        "slots": 0,
    }
    assert (await http.delete(f"/api/sessions/{session_id}")).status_code == 200
    assert await total() == after
    minutes = list(stack.redis.scan_iter(keys.minute(0).removesuffix("0") + "*"))
    assert minutes
    for key in minutes:
        assert 0 < stack.redis.ttl(key) <= 25 * 3600
        assert "canary" not in str(stack.redis.hgetall(key))


@IN_THE_LOOP
async def test_steps_are_whole(http: httpx.AsyncClient) -> None:
    """Steps begin at multiples of their length, up to the one under way; others are refused."""
    told = (await http.get("/api/figures", params={"window": 86_400, "step": 300})).json()
    assert [p["at"] % 300 for p in told["points"]] == [0] * 288
    assert told["points"][0]["at"] == told["from"]
    assert told["points"][-1]["at"] <= told["to"] < told["points"][-1]["at"] + 300
    for query, field in (
        ("step=30", "step"),
        ("step=90", "step"),
        ("step=x", "step"),
        ("window=90", "window"),
        ("window=86460", "window"),
        ("window=0", "window"),
        ("hours=1", "hours"),
    ):
        answer = await http.get(f"/api/figures?{query}")
        refused(answer, 422, "invalid_query")
        assert answer.json()["errors"][0]["field"] == field


@IN_THE_LOOP
async def test_checks(stack: Stack, http: httpx.AsyncClient) -> None:
    """Each part has a line; with Redis frozen the answer still comes, and says what to do."""
    told = {check["name"]: check for check in (await http.get("/api/checks")).json()["checks"]}
    fine = {name for name, check in told.items() if check["status"] == "ok"}
    assert fine >= {"redis", "livekit", "workers", "webhooks out", "recordings", "keys", "console"}
    # The test has built no talk page.
    assert told["talk page"]["status"] == "fail"
    assert "make web" in told["talk page"]["remedy"]
    with frozen(stack.valkey):
        await asyncio.sleep(2.1)  # what it says may be two seconds old
        asked_at = time.monotonic()
        answer = await http.get("/api/checks")
        assert time.monotonic() - asked_at < scaled(6)
    told = {check["name"]: check for check in answer.json()["checks"]}
    assert (told["redis"]["status"], told["livekit"]["status"]) == ("fail", "ok")
    assert told["redis"]["remedy"]


@IN_THE_LOOP
async def test_readers_of_the_overview_share_its_looks(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    """Each is told at once how it stands, and then of changes; ten look as often as one."""
    url, key = f"{stack.url}/api/overview/stream", f"Bearer {BACKEND_KEY}"
    async with asyncio.TaskGroup() as group:
        ready, change = asyncio.Barrier(11), asyncio.Event()
        session_id = new_id()

        async def read() -> None:
            async with reading(url, Authorization=key) as reader:
                first = await reader.next()
                assert first is not None
                assert first.name == "overview"
                assert first.data["workers"][0]["id"] == "worker-test"
                used = first.data["slots"]["used"]
                await ready.wait()
                await change.wait()
                while (told := await reader.next()) is not None:
                    if told.data["slots"]["used"] == used + 1:
                        assert told.data["at"] > first.data["at"]
                        return

        for _ in range(10):
            group.create_task(read())
        await ready.wait()
        looks, began = looked(stack), time.monotonic()
        await started(http, session_id)
        change.set()
    assert looked(stack) - looks <= time.monotonic() - began + 2
    await ended(http, stack, session_id)


def looked(stack: Stack) -> int:
    """How often Redis was asked for its INFO, which is once for each look."""
    return int(stack.redis.info("commandstats")["cmdstat_info"]["calls"])


@IN_THE_LOOP
async def test_the_overview_without_redis(stack: Stack, http: httpx.AsyncClient) -> None:
    """Redis goes: the stream says so and ends, and a new one is refused until it is back."""
    path, key = "/api/overview/stream", f"Bearer {BACKEND_KEY}"
    async with reading(f"{stack.url}{path}", Authorization=key) as reader:
        assert await reader.next()
        with frozen(stack.valkey):
            await reader.rest()
            refused(await http.get(path), 503, "store_unavailable")
    assert reader.comments[-1] == "the session store is away; resume"
    async with reading(f"{stack.url}{path}", Authorization=key) as reader:
        assert await reader.next()


def test_a_replica_that_stops_says_so(stack: Stack) -> None:
    """Readers of the overview do not hold it up, and know to come back."""
    with ExitStack() as until_here:
        with stack.another_service(**WITH_KEYS) as url:
            client = until_here.enter_context(stack.client(BACKEND_KEY, url=url))
            told = until_here.enter_context(client.stream("GET", "/api/overview/stream"))
            lines = told.iter_lines()
            while not next(lines).startswith("data:"):
                pass
            stopped_at = time.monotonic()
        assert time.monotonic() - stopped_at < scaled(4)
        assert [line for line in lines if line] == [": this replica stops; resume"]


@IN_THE_LOOP
async def test_a_listener_hears_and_counts_for_nothing(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    """It hears the user and is shown to nobody; the session ends when its user has left."""
    session_id = new_id()
    token = await started(http, session_id)
    agent = await joined(stack, agent_token(stack, session_id))
    await asyncio.to_thread(stack.wait_status, session_id, "active")
    user = await joined(stack, token)
    answer = await http.post(f"/api/sessions/{session_id}/listen")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["url"] == stack.livekit_url
    assert told["room"] == user.name
    heard: asyncio.Queue[rtc.Track] = asyncio.Queue()
    listener, closed = rtc.Room(), asyncio.Event()
    listener.on("track_subscribed", lambda track, *_: heard.put_nowait(track))
    listener.on("disconnected", lambda *_: closed.set())
    await listener.connect(told["url"], told["token"])
    speaking = asyncio.create_task(speak(user))
    await hear(await asyncio.wait_for(heard.get(), scaled(15)))
    speaking.cancel()
    assert set(user.remote_participants) == {agent.local_participant.identity}
    assert set(agent.remote_participants) == {"u"}
    shown = (await http.get(f"/api/sessions/{session_id}")).json()
    notes = [entry for entry in shown["timeline"] if entry["name"] == "operator.listening"]
    assert [note["data"] for note in notes] == [{"by": "backend"}]
    assert shown["times"]["userJoined"] is not None

    await leave(user)
    record = await asyncio.to_thread(stack.wait_status, session_id, "ended")
    assert record["reason"] == "user_left"
    await asyncio.wait_for(closed.wait(), scaled(15))
    await leave(agent)
    refused(await http.post(f"/api/sessions/{session_id}/listen"), 409, "session_not_live")
    refused(await http.post("/api/sessions/none/listen"), 404, "session_not_found")


async def joined(stack: Stack, token: str) -> rtc.Room:
    room = rtc.Room()
    await room.connect(stack.livekit_url, token)
    return room


def agent_token(stack: Stack, session_id: str) -> str:
    """As LiveKit gives it to the job of the first attempt."""
    minted = api.AccessToken(stack.livekit_keys.api_key, stack.livekit_keys.api_secret)
    grants = api.VideoGrants(room_join=True, room=f"va-{session_id}", agent=True)
    identity = agent_identity(session_id, 1)
    return minted.with_identity(identity).with_kind("agent").with_grants(grants).to_jwt()


async def speak(room: rtc.Room) -> None:
    """A tone from the room's microphone, until cancelled."""
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(track, options)
    sound = tone(0.1)
    while True:
        await source.capture_frame(rtc.AudioFrame(sound.tobytes(), RATE, 1, len(sound)))


async def hear(track: rtc.Track) -> None:
    """Return once the track is loud."""
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
    async with asyncio.timeout(scaled(15)):
        async for event in stream:
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > 1000:
                break
    await stream.aclose()


def test_the_console(stack: Stack, tmp_path: Path) -> None:
    """Its page runs its own scripts alone and is embedded nowhere; its files are kept for good.

    It frames one page, the talk page, which nobody else may.
    """
    with stack.client() as nobody:
        page = nobody.get("/console")
        refused(nobody.get("/console/talk"), 404, "talk_page_missing")
        (stack.folder / "web" / "index.html").write_text("<!doctype html><title>Talk</title>")
        talk = nobody.get("/console/talk")
        script = nobody.get("/console/assets/index-abc123.js")
        refused(nobody.get("/console/assets/none.js"), 404, "not_found")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in page.headers["content-security-policy"].split(";")
    )
    livekit = stack.livekit_url
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' {livekit} {livekit.replace('ws://', 'http://')}"
    assert policy["media-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["frame-src"] == "'self'"
    assert page.headers["permissions-policy"].startswith("microphone=(self), ")
    assert talk.status_code == 200
    assert talk.headers["content-security-policy"].endswith("frame-ancestors 'self'")
    assert page.headers["cache-control"] == "no-cache"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    with (
        stack.another_service(ASSISTANT_CONSOLE="off", **WITH_KEYS) as url,
        stack.client(url=url) as nobody,
    ):
        refused(nobody.get("/console"), 404, "console_off")
        refused(nobody.get("/console/talk"), 404, "console_off")
        refused(nobody.get("/console/assets/index-abc123.js"), 404, "not_found")
    with (
        stack.another_service(ASSISTANT_WEB_DIR=str(tmp_path), **WITH_KEYS) as url,
        stack.client(url=url) as nobody,
    ):
        refused(nobody.get("/console"), 404, "console_missing")
