"""The judge and what it judges by: beats and carriers, in a real valkey-server."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.workers import WorkerRegistry
from tests.integration.session_servers import beat, new_session, running_valkey
from token_service.judge import PATIENCE_S, UNLISTED_GRACE_S, Judge

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


AWAY_MS = 2500  # A call gives up after 1 s, and is tried twice.


class Bench:
    """A store, its workers, and a judge whose clock is moved by hand."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.store = SessionStore(redis, Bounds(max_bots=50, queue_limit=10, keep_s=60))
        self.workers = WorkerRegistry(redis, keep_s=60)
        self.poked: list[str] = []
        self.now = 0.0
        self.judge = Judge(
            store=self.store,
            workers=self.workers,
            poke=self.poked.append,
            monotonic=lambda: self.now,
        )

    async def conversation(self, session_id: str, worker: str) -> None:
        """A session whose first attempt is in its room, run by that worker."""
        await self.store.create(new_session(session_id))
        now = time.time()
        for event in (
            ev.Started(at=now, task_id="t"),
            ev.Admitted(at=now),
            ev.Claimed(at=now, attempt=1, worker=worker, pid=1),
            ev.AgentJoined(at=now, attempt=1),
        ):
            await self.store.record(session_id, event)

    async def look(self, *, after_s: float = 0.0) -> None:
        self.now += after_s
        await self.judge.look()


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[Bench]:
    async with running_valkey(tmp_path) as url:
        redis = connect(url)
        yield Bench(redis)
        await redis.aclose()


async def test_the_judge_moves_only_what_nobody_runs(world: Bench) -> None:
    """A gone worker's session at once, an unlisted one after its grace, and no other."""
    for session_id, worker in (("s1", "a"), ("s2", "b"), ("s3", "b"), ("s4", "c")):
        await world.conversation(session_id, worker)
    await world.workers.beat(beat("a", sessions=(("s1", 1),)))
    await world.workers.beat(beat("b", sessions=(("s2", 1),)))
    await world.workers.beat(beat("c"))  # an older release, which does not say what it runs
    await world.look()
    await world.look(after_s=PATIENCE_S)
    assert world.poked == []
    await world.workers.leave("a")
    await world.look(after_s=0.1)
    assert world.poked == ["s1"]
    await world.look(after_s=0.1)
    assert world.poked == ["s1"], "its next attempt has no worker yet"
    assert (await world.store.get("s1")).attempt == 2
    await world.look(after_s=UNLISTED_GRACE_S)
    assert world.poked == ["s1", "s3"]


async def test_after_redis_was_away_nobody_is_judged_before_two_beats(world: Bench) -> None:
    """Every beat has run out by then; whoever lives beats again, and keeps its session."""
    for worker, session_id in (("a", "s1"), ("b", "s2")):
        await world.conversation(session_id, worker)
        await world.workers.beat(beat(worker, sessions=((session_id, 1),)))
    await world.look()
    await world.look(after_s=PATIENCE_S)
    for worker in ("a", "b"):
        await world.workers.leave(worker)
    await world.redis.client_pause(AWAY_MS)
    with pytest.raises(StoreUnavailableError):
        await world.look(after_s=1.0)
    await asyncio.sleep(AWAY_MS / 1000)
    await world.look(after_s=100.0)
    await world.look(after_s=PATIENCE_S / 2)
    await world.workers.beat(beat("a", sessions=(("s1", 1),)))
    await world.look(after_s=PATIENCE_S / 2)
    assert world.poked == ["s2"], "b did not come back"
