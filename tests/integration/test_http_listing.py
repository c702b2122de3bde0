"""Listing what is stored, and erasing it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import rtc

from assistant.sessions import events as ev
from assistant.sessions.errors import CapacityError
from assistant.sessions.record import Reason, State
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.index import user_label
from assistant.sessions.store.listing import SessionListing, Wanted
from assistant.sessions.store.records import Bounds, SessionStore
from tests.integration.http_stack import (
    BACKEND_KEY,
    PAGE_KEY,
    WITH_KEYS,
    Stack,
    new_id,
    running_stack,
)
from tests.integration.session_servers import new_session, running_valkey
from tests.integration.test_http_bad_input import refused
from tests.redis_dump import everything
from tests.timing import scaled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("listing"), **WITH_KEYS) as running:
        running.has_worker()
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(BACKEND_KEY) as client:
        yield client


def made(http: httpx.Client, user: str, count: int) -> list[str]:
    ids = [new_id() for _ in range(count)]
    for session_id in ids:
        http.post("/api/token", json={"sessionId": session_id, "userId": user})
    return ids


def listed(http: httpx.Client, **query: Any) -> list[str]:
    """All ids, over as many pages as it takes."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = http.get("/api/sessions", params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [session["sessionId"] for session in page["sessions"]]
        if page["cursor"] is None:
            return found
        cursor = {"cursor": page["cursor"]}


def test_newest_first_page_by_page(http: httpx.Client) -> None:
    """Pages of any size give every session once, in order, with what a list shows."""
    user = new_id("user")
    ids = made(http, user, 7)
    for limit in (1, 3, 7, 200):
        assert listed(http, userId=user, limit=limit) == ids[::-1]
    newest = http.get("/api/sessions", params={"limit": 1}).json()["sessions"][0]
    assert newest == {
        "sessionId": ids[-1],
        "userId": user,
        "status": "created",
        "reason": None,
        "agent": "assistant",
        "talking": None,
        "attempt": 0,
        "created": newest["created"],
        "queued": None,
        "active": None,
        "ended": None,
    }


def test_filters(stack: Stack, http: httpx.Client) -> None:
    """Each alone, and together; statuses may be several."""
    user = new_id("user")
    created, started, over = made(http, user, 3)
    config = {"agent": "concierge"}
    start = {"sessionId": started, "userId": user, "config": config}
    assert http.post("/api/session/start", json=start).status_code == 200
    http.post("/api/session/end", json={"sessionId": over})
    stack.wait_status(over, "ended")
    assert listed(http, userId=user, status="ended") == [over]
    assert listed(http, userId=user, status=["ended", "created"]) == [over, created]
    assert listed(http, agent="concierge", userId=user) == [started]
    assert started in listed(http, agent="concierge")
    assert listed(http, agent="nobody") == []
    assert listed(http, userId="nobody") == []
    at = {i: float(stack.record(i)["createdAt"]) for i in (created, started, over)}
    assert listed(http, userId=user, createdAfter=repr(at[created])) == [over, started]
    assert listed(http, userId=user, createdBefore=repr(at[over])) == [started, created]


def test_search(http: httpx.Client) -> None:
    """By how an id begins, or by the whole user id; with filters, and page by page."""
    begin, user = new_id("seek"), new_id("user")
    named = [f"{begin}-{n}" for n in range(3)]
    for session_id in named:
        http.post("/api/token", json={"sessionId": session_id, "userId": "someone"})
    theirs = made(http, user, 2)
    for limit in (1, 2, 200):
        assert listed(http, search=begin, limit=limit) == named[::-1]
    assert listed(http, search=user) == theirs[::-1]
    assert listed(http, search=user[:-1]) == []
    assert listed(http, search=begin, status="ended") == []
    assert listed(http, search=named[1], userId="someone") == [named[1]]
    assert listed(http, search=begin[1:]) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("search=", "search"),
        ("search=a&search=b", "search"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("status=gone", "status"),
        ("agent=a%20b", "agent"),
        ("userId=", "userId"),
        ("createdAfter=yesterday", "createdAfter"),
        ("createdBefore=1e999", "createdBefore"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("cursor=bmFufmE", "cursor"),
        ("colour=red", "colour"),
        ("agent=a&agent=b", "agent"),
    ],
)
def test_wrong_queries(http: httpx.Client, query: str, field: str) -> None:
    """Refused by the parameter's name."""
    answer = http.get(f"/api/sessions?{query}")
    refused(answer, 422, "invalid_query")
    assert answer.json()["errors"][0]["field"] == field


def test_lists_and_erasure_are_for_backends(stack: Stack, http: httpx.Client) -> None:
    """A page sees and ends its own session, and no more."""
    (session_id,) = made(http, "u", 1)
    with stack.client(PAGE_KEY) as page:
        refused(page.get("/api/sessions"), 403, "forbidden")
        refused(page.delete(f"/api/sessions/{session_id}"), 403, "forbidden")
    assert stack.record(session_id)


async def test_erased_for_good(stack: Stack) -> None:
    """A live session's people are sent away, and Redis holds no trace of it; then it is unknown."""
    session_id, user = new_id("canary"), new_id("canary-user")
    headers = {"Authorization": f"Bearer {BACKEND_KEY}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers) as http:
        body = {"sessionId": session_id, "userId": user}
        token = (await http.post("/api/token", json=body)).json()["token"]
        start = {**body, "config": {"systemPrompt": "canary-prompt"}}
        assert (await http.post("/api/session/start", json=start)).status_code == 200
        room, gone = rtc.Room(), asyncio.Event()
        room.on("disconnected", lambda *_: gone.set())
        await room.connect(stack.livekit_url, token)
        stack.redis.rpush(keys.session_items(session_id), "canary-words")
        assert "canary" in repr(everything(stack.redis))
        answer = await http.delete(f"/api/sessions/{session_id}")
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        await asyncio.wait_for(gone.wait(), scaled(20))
        again = await http.delete(f"/api/sessions/{session_id}")
        refused(again, 404, "session_not_found")
        assert (await http.get(f"/api/sessions/{session_id}")).status_code == 404
        # What was under way for it finds it gone.
        deadline = time.monotonic() + scaled(20)
        while session_id in (left := repr(everything(stack.redis))) or user in left:
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.05)
        assert "canary-prompt" not in left
        assert "canary-words" not in left


async def test_expired_records_leave_the_index(tmp_path: Path) -> None:
    """A list never shows what has expired, and later writes clear it out of the index."""
    async with running_valkey(tmp_path) as url, connect(url) as redis:
        store = SessionStore(redis, Bounds(max_bots=5, queue_limit=5, keep_s=1.0))
        listing = SessionListing(redis)
        ending = ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED)
        for n in range(9):
            await store.create(new_session(f"s{n}", user_id="u"), ending, ev.Closed(at=ending.at))
        wanted = Wanted(user_id="u", statuses=frozenset({State.ENDED}))
        assert len((await listing.page(wanted, limit=50)).entries) == 9
        deadline = time.monotonic() + scaled(20)
        while await redis.exists(*(keys.session(f"s{n}") for n in range(9))):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (await listing.page(wanted, limit=50)).entries == []
        await store.create(new_session("late"))
        for _ in range(2):
            await store.record("late", ev.UserJoined(at=time.time()))
            await store.record("late", ev.UserLeft(at=time.time()))
        assert await redis.zrange(keys.SESSIONS, 0, -1) == ["late"]
        left = [key async for key in redis.scan_iter(f"{keys.SESSIONS}:*")]
        assert f"{keys.SESSIONS}:status:ended" not in left
        assert [key for key in left if ":user:" in key] == [
            keys.sessions_by("user", user_label("user-late"))
        ]
        assert await redis.hlen(f"{keys.SESSIONS}:labels") == 1


async def test_sessions_of_the_same_moment(tmp_path: Path) -> None:
    """Pages neither lose nor repeat sessions that were made at the very same time."""
    async with running_valkey(tmp_path) as url, connect(url) as redis:
        store = SessionStore(redis, Bounds(max_bots=5, queue_limit=5, keep_s=60.0))
        listing = SessionListing(redis)
        ids = {f"s{n:03}" for n in range(300)}
        for session_id in ids:
            await store.create(new_session(session_id, created_at=1000.0))
        found: list[str] = []
        after = None
        while True:
            page = await listing.page(Wanted(), limit=7, after=after)
            found += [entry.id for entry in page.entries]
            after = page.next
            if after is None:
                break
        assert found == sorted(ids, reverse=True)


async def test_who_has_the_conversation(tmp_path: Path) -> None:
    """A list names the agent that took over, also after the record was written again."""
    async with running_valkey(tmp_path) as url, connect(url) as redis:
        store = SessionStore(redis, Bounds(max_bots=5, queue_limit=5, keep_s=60.0))
        listing, now = SessionListing(redis), time.time()

        async def named() -> tuple[str, str | None]:
            (entry,) = (await listing.page(Wanted(agent="assistant"), limit=5)).entries
            return entry.agent, entry.talking

        started = ev.Started(at=now, task_id="t")
        await store.create(new_session("s"), started, ev.Admitted(at=now), fleet_jobs=1)
        assert await named() == ("assistant", None)
        given = [ev.AgentTransferred(at=now, attempt=1, agent=name) for name in ("a", "b")]
        for event in given:
            await store.note("s", event)
        assert await named() == ("assistant", "b")
        await store.record("s", ev.EndRequested(at=now, reason=Reason.USER_REQUESTED))
        await store.record("s", ev.Closed(at=now))
        await store.note("s", ev.AgentSpoke(at=now, attempt=1))
        assert await named() == ("assistant", "b")
        await store.note("nobody", given[0])
        assert await redis.exists(keys.session("nobody")) == 0


async def test_the_older_pid_key(tmp_path: Path) -> None:
    """The process of the agent is there while the agent is, and expires with the record."""
    async with running_valkey(tmp_path) as url, connect(url) as redis:
        store = SessionStore(redis, Bounds(max_bots=5, queue_limit=5, keep_s=60.0))
        now = time.time()
        await store.create(
            new_session("s"), ev.Started(at=now, task_id="t"), ev.Admitted(at=now), fleet_jobs=1
        )
        await store.record("s", ev.Claimed(at=now, attempt=1, worker="w", pid=4711))
        assert await redis.exists(keys.agent_pid("s")) == 0
        await store.record("s", ev.AgentJoined(at=now, attempt=1))
        assert await redis.get(keys.agent_pid("s")) == "4711"
        assert await redis.ttl(keys.agent_pid("s")) > 0
        await store.record("s", ev.EndRequested(at=now, reason=Reason.USER_REQUESTED))
        assert await redis.exists(keys.agent_pid("s")) == 0


async def test_a_refused_start_leaves_nothing(tmp_path: Path) -> None:
    """Record and start are one step: without a place there is neither, not even an event."""
    async with running_valkey(tmp_path) as url, connect(url) as redis:
        store = SessionStore(redis, Bounds(max_bots=1, queue_limit=0, keep_s=60.0))
        now = time.time()
        begun = (ev.Started(at=now, task_id="t"), ev.Admitted(at=now))
        first, is_new = await store.create(new_session("a"), *begun, fleet_jobs=5)
        assert (first.state, first.version, is_new) == (State.DISPATCHING, 1, True)
        before = sorted([key async for key in redis.scan_iter("*")])
        for events in (begun, begun[:1]):
            with pytest.raises(CapacityError):
                await store.create(new_session("b"), *events, fleet_jobs=5)
        assert sorted([key async for key in redis.scan_iter("*")]) == before
        assert await redis.zcard(keys.SESSIONS) == 1
