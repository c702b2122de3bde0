"""Erasing a session, in a real valkey-server: nothing of it is left, wherever it went before."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.item import Item, ToolUse
from assistant.sessions.record import Reason
from assistant.sessions.store import keys
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect
from assistant.sessions.store.delivery import Attempt, NewDelivery
from assistant.sessions.store.outbox import (
    MAX_LISTED,
    MAX_PER_SESSION,
    Outbox,
)
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.usage import Spent, Usage
from tests.integration.session_servers import new_session, running_valkey
from tests.redis_dump import keys_with

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CANARY = "canary"
AT_ONCE = 1000  # Far below what Redis may take for one step.
ENDPOINTS = ("taken", "refused", "waiting")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("erasure")
    async with running_valkey(folder) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def redis(url: str) -> AsyncIterator[Redis]:
    client = connect(url)
    await client.flushall()
    yield client
    await client.aclose()


def make_store(redis: Redis) -> SessionStore:
    return SessionStore(redis, Bounds(max_bots=50, queue_limit=10, keep_s=60.0))


async def talked(redis: Redis, session_id: str, word: str) -> None:
    """A session that has left `word` in everything that a session writes to."""
    store, archive, outbox = make_store(redis), Archive(redis), Outbox(redis)
    await outbox.open()
    config = {"greeting": word, "metadata": {word: word}}
    await store.create(new_session(session_id, user_id=f"{word}-user", spec=f'"{word}"'))
    now = time.time()
    for event in (
        ev.Started(at=now, task_id=word, agent="assistant", config=config),
        ev.Admitted(at=now),
        ev.Claimed(at=now, attempt=1, worker="w", pid=1),
        ev.AgentJoined(at=now, attempt=1),
    ):
        await store.record(session_id, event)
    tool = ToolUse(name=word, call_id="c", arguments=word, output=word, is_error=False)
    said = Item(id="1", role="user", text=word, interrupted=False, at=now)
    await archive.keep(session_id, 1, said)
    await archive.keep(session_id, 1, said.model_copy(update={"id": "2", "tool": tool}))
    usage = Usage(kind="llm", provider="groq", model="llama", input_tokens=1)
    await archive.spend(session_id, 1, Spent(models=(usage,)))
    await _deliver(outbox, word)
    parts = {name: {word: word} for name in ("analysis", "sdk:1", "recording:1")}
    await archive.finish(session_id, 1, parts, last=False)


async def ends(redis: Redis, session_id: str, word: str) -> None:
    """More of it, that waits in the outbox."""
    store, now = make_store(redis), time.time()
    await store.note(session_id, ev.RecordingFailed(at=now, attempt=1, detail=word))
    ending = ev.EndRequested(at=now, reason=Reason.USER_REQUESTED, detail=word)
    await store.record(session_id, ending)


async def _deliver(outbox: Outbox, word: str) -> None:
    """Each event to three endpoints: taken, given up, and still to be tried again."""
    entries = await outbox.waiting()
    assert entries
    made = [
        (e.id, [NewDelivery(name, e.session, e.event_id, e.name, word) for name in ENDPOINTS])
        for e in entries
    ]
    await outbox.fan_out(made)
    now = time.time()
    for name in ENDPOINTS:
        for claim in await outbox.claim(name, 10, hold_s=60.0):
            attempt = Attempt(now, 0.1, 200, None if name == "taken" else "refused")
            if name == "taken":
                await outbox.delivered(claim, attempt)
            elif name == "refused":
                await outbox.give_up(claim, attempt)
            else:
                await outbox.retry_at(claim, attempt, now + 60)


@pytest.mark.parametrize("over", [False, True])
async def test_nothing_is_left(redis: Redis, url: str, over: bool) -> None:
    """In no record, stream, list, index, outbox, delivery or dead letter; others keep theirs."""
    await talked(redis, "s-erased", CANARY)
    await talked(redis, "s-other", "parrot")
    await ends(redis, "s-erased", CANARY)
    await ends(redis, "s-other", "parrot")
    if over:
        await make_store(redis).record("s-erased", ev.Closed(at=time.time()))
        await Archive(redis).settle()
    held = keys_with(url, CANARY)
    for kind in (
        keys.session("s-erased"),
        keys.session_events("s-erased"),
        keys.session_items("s-erased"),
        keys.session_report("s-erased"),
        keys.session_logs("s-erased"),
        keys.EVENTS,
        keys.OUTBOX,
    ):
        assert kind in held, "the test puts its word there"
    assert sum(key.startswith("delivery:") for key in held) > len(ENDPOINTS)
    before = keys_with(url, "parrot")
    await make_store(redis).delete("s-erased")
    assert keys_with(url, CANARY, "s-erased") == []
    assert keys_with(url, "parrot") == before


async def test_deliveries_beyond_what_is_listed(redis: Redis, url: str) -> None:
    """A session with more deliveries than are listed leaves none of them either."""
    await talked(redis, "s", CANARY)
    await ends(redis, "s", CANARY)
    outbox = Outbox(redis)
    for _ in range(MAX_PER_SESSION // AT_ONCE):
        await ends(redis, "s", CANARY)
    entries = await outbox.waiting()
    dead = 0
    for batch, entry in enumerate(entries):
        ids = range(batch * AT_ONCE, (batch + 1) * AT_ONCE)
        many = [NewDelivery("taken", "s", f"{n}-0", "e", CANARY) for n in ids]
        dead += (await outbox.fan_out([(entry.id, many)]))[1]
    assert len(entries) * AT_ONCE > MAX_PER_SESSION
    assert dead > MAX_LISTED
    await make_store(redis).delete("s")
    assert keys_with(url, CANARY) == []


async def test_events_are_no_older_than_records(redis: Redis, url: str) -> None:
    """However few sessions come, what was said does not outlive its record among all events."""
    await talked(redis, "s", CANARY)
    later = time.time() + 61
    await make_store(redis).create(new_session("s-new"))
    assert await Archive(redis).forget_events(60.0) == 0
    before = await redis.xlen(keys.EVENTS)
    assert await Archive(redis, clock=lambda: later).forget_events(60.0) == before
    assert keys.EVENTS not in keys_with(url, CANARY)
