"""A worker and its jobs that stand by, over a real Redis: counted, learnt, and sent home."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from livekit.agents.job import JobAcceptArguments, RunningJobInfo
from livekit.protocol.agent import Job
from livekit.protocol.models import Room
from redis.asyncio import Redis

from assistant.refilling import AFTER_START_S
from assistant.sessions.metadata import JobMetadata, StandbyMetadata
from assistant.sessions.store.client import connect
from assistant.sessions.store.standby import StandbyStore
from assistant.worker.process.standbys import UNUSABLE_GRACE_S, Standbys
from tests.integration.session_servers import running_valkey
from tests.integration.standing_by import WORKER, an_assignment, an_id, redis_of_a_worker
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECOND_SIGTERM_COMES_S = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("standbys")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with redis_of_a_worker(valkey) as client:
        yield client


@dataclass
class Host:
    """What a worker has around them."""

    redis: Redis
    #: The worker's own way to it; None: the same.
    reached_by: Redis | None = None
    limit: int = 2
    free: int = 10
    is_usable: bool = True
    now: float = 0.0
    running: list[RunningJobInfo] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    changes: int = 0

    def __post_init__(self) -> None:
        self.store = StandbyStore(self.redis)
        self.standbys = Standbys(
            StandbyStore(self.reached_by or self.redis),
            limit=self.limit,
            running=lambda: self.running,
            free=lambda: self.free,
            usable=lambda: self.is_usable,
            close=self.closed.append,
            on_change=self._changed,
            clock=lambda: self.now,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def stands_by(self) -> RunningJobInfo:
        """One more job of the worker, which waits."""
        place = StandbyMetadata(standby=an_id())
        info = RunningJobInfo(
            accept_arguments=JobAcceptArguments(name="", identity="", metadata=""),
            job=Job(
                id=f"AJ_{place.standby}",
                metadata=place.encode(),
                room=Room(name=f"va-standby.{place.standby}"),
            ),
            url="",
            token="",
            worker_id="",
            fake_job=False,
        )
        self.running.append(info)
        await self.store.offer(place.standby, worker=WORKER)
        return info


async def test_whoever_has_a_session_is_a_job_like_others(redis: Redis) -> None:
    """Its worker hears of it, says so, and for a moment wants no other in its place."""
    host = Host(redis)
    jobs = [await host.stands_by(), await host.stands_by()]
    assert host.standbys.wanted(warm=1) == 0
    given = an_assignment()
    assert await host.store.assign(given)
    await host.standbys.settle()
    (taken,) = [info for info in jobs if info not in host.standbys.waiting]
    assert JobMetadata.decode(taken.job.metadata) == given.job
    assert taken.job.room.name == given.room
    assert host.changes == 1
    assert host.standbys.wanted(warm=1) == 0
    host.now += AFTER_START_S
    assert host.standbys.wanted(warm=1) == 1
    assert host.standbys.wanted(warm=0) == 0


async def test_they_never_take_a_slot_from_others(redis: Redis) -> None:
    """One that is on its way counts; and whoever is one too many goes home."""
    host = Host(redis, limit=1, free=1)
    with host.standbys.promise("AJ_coming"):
        assert host.standbys.count == 1
        assert host.standbys.wanted(warm=1) == 0
    waits = await host.stands_by()
    host.free = 0  # Another job was accepted meanwhile.
    await host.standbys.settle()
    assert host.standbys.waiting == []
    assert waits.job.id in host.standbys.idle_job_ids
    assert not await host.store.assign(an_assignment())


async def test_one_gives_way_unless_it_has_a_session(redis: Redis) -> None:
    """What Redis says stands, also where the worker had not heard of it."""
    host = Host(redis, limit=1)
    await host.stands_by()
    assert await host.store.assign(an_assignment())
    assert not await host.standbys.give_way()
    assert host.standbys.waiting == []
    await host.stands_by()
    assert await host.standbys.give_way()
    assert not await host.store.assign(an_assignment())


async def test_a_worker_that_takes_no_jobs_takes_no_sessions(redis: Redis) -> None:
    """After a grace, so that a restart of LiveKit empties no fleet."""
    host = Host(redis)
    await host.stands_by()
    host.is_usable = False
    await host.standbys.settle()
    assert host.standbys.wanted(warm=3) == 0
    assert len(host.standbys.waiting) == 1
    host.now += UNUSABLE_GRACE_S + 1
    await host.standbys.settle()
    assert host.standbys.waiting == []


async def test_a_dead_one_gets_no_session(redis: Redis) -> None:
    """Its worker takes it off the list, though its word has not run out."""
    host = Host(redis)
    dead = await host.stands_by()
    await host.standbys.ended(dead)
    assert not await host.store.assign(an_assignment())


async def test_old_ones_stay_until_there_are_new_ones(redis: Redis) -> None:
    """After agents.yaml has changed; a start in between gets one that still waits."""
    host = Host(redis, limit=1)
    old = await host.stands_by()
    renewing = asyncio.create_task(host.standbys.renew())
    await asyncio.sleep(0)
    await host.standbys.settle()
    assert host.standbys.waiting == [old]
    assert host.standbys.wanted(warm=1) == 1
    new = await host.stands_by()
    await host.standbys.settle()
    assert host.standbys.waiting == [new]
    async with asyncio.timeout(scaled(2)):
        await renewing


async def test_a_drain_does_not_wait_for_a_redis_that_hangs(redis: Redis) -> None:
    """Those that cannot be told are ended by their worker."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        hanging = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        host = Host(redis, reached_by=hanging)
        jobs = [await host.stands_by() for _ in range(6)]
        async with asyncio.timeout(scaled(SECOND_SIGTERM_COMES_S)):
            await host.standbys.end()
        await hanging.aclose()
    assert sorted(host.closed) == sorted(info.job.id for info in jobs)
