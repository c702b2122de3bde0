"""The reconciler against a real livekit-server and a real valkey-server.

The worker is made by hand: it watches LiveKit for a dispatch, claims the attempt, and joins as
its agent. Whether LiveKit hands the job to a worker is tested with the real one, elsewhere.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from livekit import api, rtc
from redis.asyncio import Redis

from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.valkey import valkey_url
from assistant.sessions import events as ev
from assistant.sessions.actions import Limits
from assistant.sessions.errors import StoreUnavailableError, SupersededError
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.record import Reason, Session, State, agent_identity
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.standby import StandbyStore
from assistant.sessions.store.workers import WorkerRegistry
from tests.integration.session_servers import (
    AGENT_NAME,
    PREFIX,
    LiveKitServer,
    beat,
    leave,
    new_session,
    running_livekit,
    running_valkey,
)
from tests.timing import scaled
from token_service.livekit_gateway import LiveKitGateway
from token_service.reconciler import Reconciler

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

WAIT_S = scaled(20)
STEP_S = 0.02


@dataclass
class World:
    """One deployment: store, LiveKit, and a reconciler that runs."""

    livekit: LiveKitServer
    redis: Redis
    store: SessionStore
    due: DueQueue
    workers: WorkerRegistry
    gateway: LiveKitGateway
    reconciler: Reconciler
    people: list[rtc.Room] = field(default_factory=list)

    async def start(self, session_id: str, **changes: float) -> Session:
        await self.store.create(new_session(session_id, **changes))
        started = ev.Started(at=time.time(), task_id=session_id)
        session = await self.store.record(session_id, started)
        self.reconciler.poke(session_id)
        return session

    async def end(self, session_id: str) -> None:
        ending = ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED)
        await self.store.record(session_id, ending)
        self.reconciler.poke(session_id)

    async def until(self, session_id: str, condition: Callable[[Session], bool]) -> Session:
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition(  # noqa: ASYNC110 - nothing tells
                    session := await self.store.get(session_id)
                ):
                    await asyncio.sleep(STEP_S)
        except TimeoutError:
            names = [entry["name"] for entry in await self.store.timeline(session_id)]
            raise AssertionError((await self.store.get(session_id), names)) from None
        return session

    async def reaches(self, session_id: str, state: State) -> Session:
        return await self.until(session_id, lambda session: session.state is state)

    async def join(self, session: Session, *, agent: bool = False) -> rtc.Room:
        identity = agent_identity(session.id, session.attempt) if agent else session.user_id
        joined = await self.livekit.join(session.room, identity, agent=agent)
        self.people.append(joined)
        return joined

    async def nothing_is_left(self, session: Session) -> None:
        """The oracle: LiveKit and Redis, not our own words."""

        async def clean() -> bool:
            return (
                not await self.gateway.room_exists(session.room)
                and await self.redis.zscore(keys.SLOTS, session.id) is None
                and await self.redis.zscore(keys.QUEUE, session.id) is None
                and await self.redis.zscore(keys.DUE, session.id) is None
            )

        await eventually(clean)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(STEP_S)


@asynccontextmanager
async def background(
    work: Callable[[], Awaitable[None]], name: str
) -> AsyncIterator[asyncio.Task[None]]:
    async def run() -> None:
        await work()

    task = asyncio.create_task(run(), name=name)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def worker(world: World, **changes: Any) -> AsyncIterator[None]:
    """A worker that beats and takes every dispatch that it finds."""

    async def beats() -> None:
        while True:
            await world.workers.beat(beat(**changes))
            await asyncio.sleep(0.5)

    async def takes_jobs() -> None:
        taken: set[JobMetadata] = set()
        async with world.livekit.api() as client:
            while True:
                for room in await world.gateway.rooms(PREFIX):
                    with suppress(api.TwirpError):
                        for dispatch in await client.agent_dispatch.list_dispatch(room):
                            job = JobMetadata.decode(dispatch.metadata)
                            if job is not None and job not in taken:
                                taken.add(job)
                                await take(job)
                await asyncio.sleep(STEP_S)

    async def take(job: JobMetadata) -> None:
        claimed = ev.Claimed(at=time.time(), attempt=job.attempt, worker="worker-1", pid=1)
        with suppress(SupersededError, rtc.ConnectError):  # ended while it claimed or joined
            session = await world.store.claim(job.session, claimed)
            await world.join(session, agent=True)

    await world.workers.beat(beat(**changes))
    async with background(beats, "beats"), background(takes_jobs, "jobs"):
        yield
    await world.workers.leave("worker-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def livekit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveKitServer]:
    async with running_livekit(tmp_path_factory.mktemp("reconciler")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("reconciler")) as url:
        yield url


def make_reconciler(
    redis: Redis,
    store: SessionStore,
    gateway: LiveKitGateway,
    limits: Limits,
    *,
    clock: Callable[[], float] = time.time,
) -> Reconciler:
    return Reconciler(
        store=store,
        due=DueQueue(redis),
        workers=WorkerRegistry(redis, keep_s=3600),
        standby=StandbyStore(redis),
        gateway=gateway,
        limits=limits,
        room_prefix=PREFIX,
        agent_name=AGENT_NAME,
        clock=clock,
    )


LIMITS = Limits(startup_timeout_s=20, queue_timeout_s=20, session_timeout_s=600)


@asynccontextmanager
async def make_world(
    livekit: LiveKitServer, valkey: str, *, limits: Limits = LIMITS, max_bots: int = 50
) -> AsyncIterator[World]:
    redis = connect(valkey)
    await redis.flushall()
    store = SessionStore(redis, Bounds(max_bots=max_bots, queue_limit=50, keep_s=3600))
    gateway = LiveKitGateway(livekit.url, livekit.keys.api_key, livekit.keys.api_secret)
    reconciler = make_reconciler(redis, store, gateway, limits)
    workers = WorkerRegistry(redis, keep_s=3600)
    world = World(livekit, redis, store, DueQueue(redis), workers, gateway, reconciler)
    async with gateway, background(reconciler.run, "reconciler"):
        yield world
        for person in world.people:
            await leave(person)
        for room in await gateway.rooms(PREFIX):
            await gateway.delete_room(room)
    await redis.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def world(livekit: LiveKitServer, valkey: str) -> AsyncIterator[World]:
    async with make_world(livekit, valkey) as made:
        yield made


async def test_a_session_lives_and_leaves_nothing(world: World) -> None:
    """Started: an agent comes. Ended: room, slot, queue place and next check are gone."""
    async with worker(world):
        await world.start("life")
        session = await world.reaches("life", State.ACTIVE)
        assert (session.attempt, session.worker) == (1, "worker-1")
        assert await world.store.count() == (1, 0)
        await world.end("life")
        session = await world.reaches("life", State.ENDED)
        assert session.reason is Reason.USER_REQUESTED
        await world.nothing_is_left(session)
    names = [entry["name"] for entry in await world.store.timeline("life")]
    assert names == [
        "session.created",
        "session.queued",
        "session.admitted",
        "session.dispatched",
        "agent.claimed",
        "agent.joined",
        "session.ending",
        "session.ended",
    ] or set(names) >= {"agent.claimed", "session.dispatched"}


async def test_a_start_reaches_livekit_without_a_polling_delay(world: World) -> None:
    """From the poke until LiveKit has written the dispatch down: milliseconds, also for a burst."""
    await world.workers.beat(beat())
    await world.start("warm-up")
    await world.until("warm-up", lambda session: session.dispatched_at is not None)
    took = []
    for n in range(5):
        began = time.perf_counter()
        await world.start(f"quick-{n}")
        while (  # noqa: ASYNC110 - nothing tells
            await world.store.get(f"quick-{n}")
        ).dispatched_at is None:
            await asyncio.sleep(0.001)
        took.append(time.perf_counter() - began)
    print("start to dispatched, ms:", [round(1000 * s, 1) for s in took])  # noqa: T201
    assert sorted(took)[2] < scaled(0.1)


async def test_without_a_worker_a_session_waits_and_then_starts(world: World) -> None:
    """No worker: it queues, LiveKit is not asked for an agent; a worker comes: it starts."""
    await world.start("patient")
    async with asyncio.timeout(WAIT_S):
        for _ in range(3):  # it was looked at, again and again
            await asyncio.sleep(0.3)
            session = await world.store.get("patient")
            assert session.state is State.QUEUED
    assert await world.redis.zscore(keys.DUE, "patient") is not None
    came_at = time.time()
    async with worker(world):
        session = await world.reaches("patient", State.ACTIVE)
    assert session.active_at is not None
    assert session.active_at - came_at < scaled(2)


async def test_without_a_worker_the_reason_is_named(livekit: LiveKitServer, valkey: str) -> None:
    """When the wait is over the session fails, and says that no worker was there."""
    limits = Limits(startup_timeout_s=5, queue_timeout_s=1, session_timeout_s=600)
    async with make_world(livekit, valkey, limits=limits) as world:
        await world.start("alone")
        session = await world.reaches("alone", State.FAILED)
        assert session.reason is Reason.NO_WORKER_REGISTERED
        await world.nothing_is_left(session)


async def test_a_dispatch_that_nobody_takes_fails_by_name(
    livekit: LiveKitServer, valkey: str
) -> None:
    """A worker that beats but takes no job: tried again, then failed, with room and slot gone."""
    limits = Limits(startup_timeout_s=6, queue_timeout_s=5, session_timeout_s=600)
    async with make_world(livekit, valkey, limits=limits) as world:

        async def beats() -> None:
            while True:
                await world.workers.beat(beat())
                await asyncio.sleep(1)

        async with background(beats, "beats"):
            await world.start("lost")
            session = await world.reaches("lost", State.FAILED)
        assert session.reason is Reason.JOB_NOT_ACCEPTED
        assert session.attempt == 2
        await world.nothing_is_left(session)


async def test_a_removed_agent_is_replaced(world: World) -> None:
    """The agent vanishes from the room: a new attempt, another identity, one agent in the room."""
    async with worker(world):
        await world.start("again")
        session = await world.reaches("again", State.ACTIVE)
        user = await world.join(session)
        await world.gateway.remove_participants(session.room, [agent_identity("again", 1)])
        session = await world.until("again", lambda s: s.attempt == 2 and s.state is State.ACTIVE)
        seen = await world.gateway.observe(session.room)
        assert seen.agents == frozenset({agent_identity("again", 2)})
        assert seen.users == frozenset({session.user_id})
        assert user.isconnected()
        assert await world.store.count() == (1, 0)


async def test_a_reported_loss_is_answered_at_once(world: World) -> None:
    """The worker says that its job died: the ghost is removed, and a new agent is there soon."""
    async with worker(world):
        await world.start("ghost")
        await world.reaches("ghost", State.ACTIVE)
        began = time.monotonic()
        await world.store.record(
            "ghost", ev.AgentLost(at=time.time(), attempt=1, detail="process died")
        )
        session = await world.until("ghost", lambda s: s.state is State.ACTIVE)
        took_s = time.monotonic() - began
        print(f"replaced after {took_s:.2f} s")  # noqa: T201
        assert session.attempt == 2
        assert (await world.gateway.observe(session.room)).agents == frozenset(
            {agent_identity("ghost", 2)}
        )
        assert took_s < scaled(2)


async def test_a_user_who_does_not_return_ends_the_session(world: World) -> None:
    """Left, and not back within the grace: ended with that reason. Back in time: it goes on."""
    async with worker(world):
        session = await world.start("leaver", user_return_timeout_s=1.0)
        session = await world.reaches("leaver", State.ACTIVE)
        first = await world.join(session)
        world.reconciler.poke("leaver")
        await world.until("leaver", lambda s: s.user_joined_at is not None)
        await leave(first)
        world.reconciler.poke("leaver")
        await world.until("leaver", lambda s: s.user_left_at is not None)
        second = await world.join(session)
        world.reconciler.poke("leaver")
        await world.until("leaver", lambda s: s.user_left_at is None)
        await leave(second)
        world.reconciler.poke("leaver")
        session = await world.reaches("leaver", State.ENDED)
        assert session.reason is Reason.USER_LEFT
        await world.nothing_is_left(session)


async def test_a_user_who_never_comes_ends_the_session(world: World) -> None:
    """An agent does not wait alone for longer than its grace."""
    async with worker(world):
        await world.start("empty", user_join_timeout_s=0.5)
        session = await world.reaches("empty", State.ENDED)
        assert session.reason is Reason.USER_NEVER_JOINED
        await world.nothing_is_left(session)


async def test_max_duration_ends_the_session(world: World) -> None:
    """A conversation ends when its time is over, whoever still talks."""
    async with worker(world):
        await world.start("long", max_duration_s=1.0)
        session = await world.reaches("long", State.ENDED)
        assert session.reason is Reason.MAX_DURATION
        await world.nothing_is_left(session)


async def test_a_room_deleted_by_others_ends_the_session(world: World) -> None:
    """A live session whose room is gone for good ends, and says why."""
    async with worker(world):
        await world.start("torn")
        session = await world.reaches("torn", State.ACTIVE)
        await world.gateway.delete_room(session.room)
        session = await world.reaches("torn", State.ENDED)
        assert session.reason is Reason.ROOM_DELETED
        await world.nothing_is_left(session)


async def test_a_room_closed_before_the_start_is_made_again(world: World) -> None:
    """The memory of having made a room may be wrong; the session starts all the same."""
    await world.store.create(new_session("reopened"))
    session = await world.store.get("reopened")
    await world.reconciler.ensure_room(session)
    async with world.livekit.api() as client:  # behind the gateway's back
        await client.room.delete_room(api.DeleteRoomRequest(room=session.room))
    async with worker(world):
        await world.store.record("reopened", ev.Started(at=time.time(), task_id="t"))
        world.reconciler.poke("reopened")
        await world.reaches("reopened", State.ACTIVE)


async def test_a_session_starts_when_its_user_joins(world: World) -> None:
    """Made by a token alone, a session costs no agent until its user is in the room."""
    async with worker(world):
        session = new_session("visitor", starts_on_join=True)
        await world.store.create(session)
        await world.reconciler.ensure_room(session)
        await world.reconciler.reconcile("visitor")
        assert (await world.store.get("visitor")).state is State.CREATED
        await world.join(session)
        world.reconciler.poke("visitor")
        await world.reaches("visitor", State.ACTIVE)


async def test_an_end_beats_a_start_that_is_under_way(world: World) -> None:
    """Ended while it starts: it ends, no agent is left, and the late job may not join."""
    async with worker(world):
        for n in range(5):
            session = await world.start(f"race-{n}")
            await asyncio.sleep(0.004 * n)
            await world.end(session.id)
        for n in range(5):
            await world.nothing_is_left(await world.reaches(f"race-{n}", State.ENDED))
    assert await world.store.count() == (0, 0)


async def test_the_queue_drains_in_order(livekit: LiveKitServer, valkey: str) -> None:
    """With two slots and six sessions, never more than two are live, and all get their turn."""
    async with make_world(livekit, valkey, max_bots=2) as world, worker(world):
        ids = [f"turn-{n}" for n in range(6)]
        for session_id in ids:
            await world.start(session_id)
        order: list[str] = []
        async with asyncio.timeout(WAIT_S):
            while len(order) < len(ids):
                assert (await world.store.count())[0] <= 2
                for session_id in ids:
                    session = await world.store.get(session_id)
                    if session.state is State.ACTIVE and session_id not in order:
                        order.append(session_id)
                        await world.end(session_id)
                await asyncio.sleep(STEP_S)
        admitted = {}
        for session_id in ids:
            session = await world.reaches(session_id, State.ENDED)
            admitted[session_id] = session.seeking_at
        # Two slots: neighbours may overtake each other, nobody else may.
        ranks = sorted(ids, key=lambda session_id: admitted[session_id] or 0.0)
        assert all(abs(ranks.index(i) - n) <= 1 for n, i in enumerate(ids)), ranks


async def test_two_replicas_dispatch_once(world: World) -> None:
    """With a second replica at work on the same sessions, every session has one agent."""
    second = make_reconciler(world.redis, world.store, world.gateway, LIMITS)
    async with background(second.run, "second"), worker(world):
        for n in range(8):
            session = await world.start(f"pair-{n}")
            second.poke(session.id)
        for n in range(8):
            session = await world.reaches(f"pair-{n}", State.ACTIVE)
            assert session.attempt == 1
            assert (await world.gateway.observe(session.room)).agents == frozenset(
                {session.agent_identity}
            )


async def test_an_erased_session_leaves_no_room(world: World) -> None:
    """The record is gone while the session lives: its room goes, its slot is free."""
    async with worker(world):
        await world.start("erased")
        session = await world.reaches("erased", State.ACTIVE)
        await world.redis.delete(keys.session("erased"))
        world.reconciler.poke("erased")
        await world.nothing_is_left(session)


async def test_the_sweep_deletes_orphans_and_nothing_else(world: World) -> None:
    """A room with our prefix and no live session goes after a grace; others never do."""
    for room in (f"{PREFIX}orphan", "theirs", f"{PREFIX}live"):
        await world.gateway.ensure_room(
            room, session_id="x", user_id="u", empty_timeout_s=60, departure_timeout_s=60
        )
    await world.store.create(new_session("live"))
    now = time.time()
    sweeper = make_reconciler(world.redis, world.store, world.gateway, LIMITS, clock=lambda: now)
    await sweeper.sweep()
    await sweeper.sweep()
    assert await world.gateway.room_exists(f"{PREFIX}orphan")
    now += 11
    await sweeper.sweep()
    assert not await world.gateway.room_exists(f"{PREFIX}orphan")
    assert await world.gateway.room_exists("theirs")
    assert await world.gateway.room_exists(f"{PREFIX}live")
    await world.gateway.delete_room("theirs")


async def test_the_sweep_finds_sessions_that_nobody_watches(world: World) -> None:
    """A live session that lost its next check gets one again."""
    async with worker(world):
        await world.start("unwatched")
        await world.reaches("unwatched", State.ACTIVE)
        await eventually(lambda: _is_deferred(world, "unwatched"))
        await world.due.forget("unwatched")
        await world.reconciler.sweep()
        assert await world.redis.zscore(keys.DUE, "unwatched") is not None


async def _is_deferred(world: World, session_id: str) -> bool:
    at = await world.redis.zscore(keys.DUE, session_id)
    return at is not None and at > time.time() + 1


async def test_livekit_away_fails_a_start_by_name_and_cleans_up_later(valkey: str) -> None:
    """LiveKit never answers: the session fails with that reason, and stays due for cleaning."""
    redis = connect(valkey)
    await redis.flushall()
    store = SessionStore(redis, Bounds(max_bots=5, queue_limit=5, keep_s=3600))
    limits = Limits(startup_timeout_s=1.5, queue_timeout_s=5, session_timeout_s=600)
    async with LiveKitGateway(f"ws://{HOST}:{free_port()}", "key", "s" * 48) as gateway:
        reconciler = make_reconciler(redis, store, gateway, limits)
        await WorkerRegistry(redis, keep_s=3600).beat(beat())
        async with background(reconciler.run, "reconciler"):
            await store.create(new_session("dark"))
            await store.record("dark", ev.Started(at=time.time(), task_id="t"))
            reconciler.poke("dark")

            async def failed() -> bool:
                return (await store.get("dark")).state is State.FAILED

            await eventually(failed)
            assert (await store.get("dark")).reason is Reason.LIVEKIT_UNREACHABLE
            assert await store.count() == (0, 0)
            assert await redis.zscore(keys.DUE, "dark") is not None
    await redis.aclose()


async def test_redis_away_stops_nothing_for_good(livekit: LiveKitServer, tmp_path: Path) -> None:
    """Redis goes and comes back with its data: the reconciler is still there, and goes on."""
    port = free_port()
    redis = connect(valkey_url(port))
    store = SessionStore(redis, Bounds(max_bots=5, queue_limit=5, keep_s=3600))
    keys_of = livekit.keys
    async with LiveKitGateway(livekit.url, keys_of.api_key, keys_of.api_secret) as gateway:
        reconciler = make_reconciler(redis, store, gateway, LIMITS)
        async with background(reconciler.run, "reconciler") as running:
            async with running_valkey(tmp_path, port=port):
                await store.create(new_session("survivor"))
                await store.record("survivor", ev.Started(at=time.time(), task_id="t"))
            with pytest.raises(StoreUnavailableError):
                await store.get("survivor")
            await asyncio.sleep(0.5)  # some polls fail
            assert not running.done()
            async with running_valkey(tmp_path, port=port):
                ending = ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED)
                await store.record("survivor", ending)

                async def ended() -> bool:
                    return (await store.get("survivor")).state is State.ENDED

                await eventually(ended)
    await redis.aclose()
