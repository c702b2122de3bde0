"""The session store against a real valkey-server."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.errors import (
    CapacityError,
    RecordError,
    SessionNotFoundError,
    StoreUnavailableError,
    SupersededError,
)
from assistant.sessions.record import Reason, State
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.workers import WorkerRegistry, fleet_jobs
from tests.integration.session_servers import beat, new_session, running_valkey

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP_S = 3600.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = connect(valkey)
    await client.flushall()
    yield client
    await client.aclose()


def make_store(redis: Redis, *, max_bots: int = 50, queue_limit: int = 200) -> SessionStore:
    return SessionStore(redis, Bounds(max_bots=max_bots, queue_limit=queue_limit, keep_s=KEEP_S))


async def start(store: SessionStore, session_id: str) -> None:
    await store.create(new_session(session_id))
    await store.record(session_id, ev.Started(at=time.time(), task_id=session_id))


async def admit(store: SessionStore, session_id: str, *, fleet: int | None = None) -> bool:
    try:
        await store.record(session_id, ev.Admitted(at=time.time()), fleet_jobs=fleet)
    except CapacityError:
        return False
    return True


async def end(store: SessionStore, session_id: str) -> None:
    ending = ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED)
    await store.record(session_id, ending, ev.Closed(at=time.time()))


async def test_a_record_is_read_back_as_it_was_stored(redis: Redis) -> None:
    """What is stored is what is read, with the version counted."""
    store = make_store(redis)
    session = new_session("a", config={"voice": "Ashley", "metadata": {"n": 1}})
    stored, is_new = await store.create(session)
    assert is_new
    assert stored.version == 1
    assert await store.get("a") == stored


async def test_the_first_create_wins(redis: Redis) -> None:
    """A taken id gives the stored record back, and False."""
    store = make_store(redis)
    await store.create(new_session("a", user_id="first"))
    stored, is_new = await store.create(new_session("a", user_id="second"))
    assert (stored.user_id, is_new) == ("first", False)


async def test_a_repeated_create_is_still_ours(redis: Redis) -> None:
    """The client repeats a write whose answer was lost; that must not look like another's id."""
    store = make_store(redis)
    session = new_session("a")
    await store.create(session)
    _, is_new = await store.create(session)
    assert is_new


async def test_unknown_and_unreadable_records_are_told_apart(redis: Redis) -> None:
    """A missing record is not found; one that is not ours is named as unreadable."""
    store = make_store(redis)
    with pytest.raises(SessionNotFoundError):
        await store.get("nobody")
    await redis.hset(keys.session("odd"), mapping={"status": "no-such-state"})
    with pytest.raises(RecordError):
        await store.get("odd")


async def test_a_hundred_starts_never_exceed_max_bots(redis: Redis) -> None:
    """Admission is exact under 100 concurrent starts, by several replicas."""
    stores = [make_store(redis, max_bots=7) for _ in range(4)]
    ids = [f"s{n:03}" for n in range(100)]
    await asyncio.gather(*(start(stores[n % 4], i) for n, i in enumerate(ids)))
    admitted: set[str] = set()
    most = 0
    for _ in range(3):
        outcomes = await asyncio.gather(
            *(admit(stores[n % 4], i) for n, i in enumerate(ids) if i not in admitted)
        )
        admitted |= {
            i for i, ok in zip([i for i in ids if i not in admitted], outcomes, strict=True) if ok
        }
        most = max(most, (await stores[0].count())[0])
    assert most == 7
    assert len(admitted) == 7
    assert await stores[0].count() == (7, 93)


async def test_the_fleet_bounds_admission_too(redis: Redis) -> None:
    """With room for two jobs in the fleet, a third session is not admitted."""
    store = make_store(redis)
    for session_id in ("a", "b", "c"):
        await start(store, session_id)
    assert [await admit(store, i, fleet=2) for i in ("a", "b", "c")] == [True, True, False]
    assert not await admit(store, "c", fleet=0)


async def test_the_queue_is_first_come_first_served(redis: Redis) -> None:
    """Whoever came later is not admitted while there is a place only for whoever came first."""
    store = make_store(redis, max_bots=2)
    ids = ["z", "y", "x", "w"]
    for session_id in ids:
        await start(store, session_id)
    assert [await store.queue_position(i) for i in ids] == [1, 2, 3, 4]
    assert not await admit(store, "w")
    assert not await admit(store, "x")
    assert await admit(store, "y")  # two places: the first two may come in any order
    assert not await admit(store, "x")
    assert await admit(store, "z")
    await end(store, "y")
    assert not await admit(store, "w")
    assert await admit(store, "x")


async def test_the_order_of_coming_does_not_depend_on_clocks(redis: Redis) -> None:
    """A replica whose clock is behind does not put its sessions first."""
    bounds = Bounds(max_bots=1, queue_limit=10, keep_s=KEEP_S)
    behind = SessionStore(redis, bounds, clock=lambda: time.time() - 60)
    ahead = SessionStore(redis, bounds)
    await start(ahead, "first")
    await start(behind, "second")
    assert await ahead.queue_position("first") == 1
    assert await ahead.queue_position("second") == 2


async def test_a_full_queue_refuses(redis: Redis) -> None:
    """With every place in the queue taken, a start is refused and changes nothing."""
    store = make_store(redis, max_bots=1, queue_limit=1)
    await start(store, "a")
    with pytest.raises(CapacityError):
        await start(store, "b")
    assert (await store.get("b")).state is State.CREATED
    assert await store.count() == (0, 1)


async def test_a_start_without_queueing_takes_a_slot_at_once(redis: Redis) -> None:
    """Started and admitted in one step, a session never waits; without a slot it is refused."""
    store = make_store(redis, max_bots=1, queue_limit=0)
    for session_id in ("a", "b"):
        await store.create(new_session(session_id))
    now = time.time()
    begun = (ev.Started(at=now, task_id="t"), ev.Admitted(at=now))
    assert (await store.record("a", *begun)).state is State.DISPATCHING
    with pytest.raises(CapacityError):
        await store.record("b", *begun)


async def test_freed_slots_wake_the_heads_of_the_queue(redis: Redis) -> None:
    """Two slots that come free together wake two sessions, in order, at once."""
    store, due = make_store(redis, max_bots=2), DueQueue(redis)
    for session_id in ("a", "b", "c", "d", "e"):
        await start(store, session_id)
    assert await admit(store, "a")
    assert await admit(store, "b")
    later = time.time() + 1000
    for session_id in ("a", "b", "c", "d", "e"):
        version = (await store.get(session_id)).version
        await due.check_at(session_id, later, version=version)
    await end(store, "a")
    await end(store, "b")
    assert "c" in await due.claim(10)
    assert await admit(store, "c")
    assert "d" in await due.claim(10)


async def test_erasing_a_session_frees_its_slot(redis: Redis) -> None:
    """Erased means gone: record, events, slot; and the next in the queue is woken."""
    store, due = make_store(redis, max_bots=1), DueQueue(redis)
    await start(store, "a")
    await start(store, "b")
    await admit(store, "a")
    await due.check_at("b", time.time() + 1000, version=(await store.get("b")).version)
    await store.delete("a")
    assert await store.standing("a") is None
    assert await store.timeline("a") == []
    assert await store.count() == (0, 1)
    assert await due.claim(10) == ["b"]


async def test_concurrent_changes_all_arrive(redis: Redis) -> None:
    """Writers that collide try again; no event is lost, and one that says nothing is not kept."""
    store = make_store(redis)
    await start(store, "a")
    await admit(store, "a")
    now = time.time()
    await asyncio.gather(
        store.record("a", ev.Dispatched(at=now, attempt=1)),
        store.record("a", ev.Accepted(at=now, attempt=1, worker="w")),
        store.record("a", ev.UserJoined(at=now)),
        store.record("a", ev.UserJoined(at=now)),
        store.record("a", ev.AgentJoined(at=now, attempt=1)),
    )
    session = await store.get("a")
    assert session.state is State.ACTIVE
    assert session.user_joined_at == now
    names = [entry["name"] for entry in await store.timeline("a")]
    assert names.count("user.joined") == 1
    assert names.count("agent.joined") == 1


async def test_one_of_many_jobs_claims_an_attempt(redis: Redis) -> None:
    """Of 20 job processes with the same attempt, exactly one may join."""
    store = make_store(redis)
    await start(store, "a")
    await admit(store, "a")

    async def claims(pid: int) -> bool:
        try:
            await store.claim("a", ev.Claimed(at=time.time(), attempt=1, worker="w", pid=pid))
        except SupersededError:
            return False
        return True

    assert sum(await asyncio.gather(*(claims(pid) for pid in range(20)))) == 1


async def test_a_claim_whose_answer_was_lost_may_be_repeated(redis: Redis) -> None:
    """The same claim again succeeds; the same process with a new claim does not."""
    store = make_store(redis)
    await start(store, "a")
    await admit(store, "a")
    claimed = ev.Claimed(at=time.time(), attempt=1, worker="w", pid=1)
    await store.claim("a", claimed)
    await store.claim("a", claimed)
    with pytest.raises(SupersededError):
        await store.claim("a", ev.Claimed(at=claimed.at + 1, attempt=1, worker="w", pid=1))


async def test_an_old_attempt_cannot_be_claimed(redis: Redis) -> None:
    """After a newer attempt, or the end, a job that comes late is told to leave."""
    store = make_store(redis)
    await start(store, "a")
    await admit(store, "a")
    await store.record("a", ev.AgentLost(at=time.time(), attempt=1, detail="test"))
    with pytest.raises(SupersededError):
        await store.claim("a", ev.Claimed(at=time.time(), attempt=1, worker="w", pid=1))
    claimed = ev.Claimed(at=time.time(), attempt=2, worker="w", pid=2)
    await store.claim("a", claimed)
    await store.record("a", ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED))
    with pytest.raises(SupersededError):
        await store.claim("a", claimed)


async def test_every_key_expires(redis: Redis) -> None:
    """Nothing in Redis outlives the deployment, whichever call wrote it first."""
    store, due = make_store(redis), DueQueue(redis)
    await due.check_now("early")
    await due.hold("early-too")
    await start(store, "a")
    await admit(store, "a")
    await store.note("a", ev.UserJoined(at=time.time()))
    await WorkerRegistry(redis, keep_s=KEEP_S).beat(beat())
    await due.claim(5)
    await start(store, "b")
    found = [key async for key in redis.scan_iter("*")]
    assert len(found) >= 9
    assert {key: await redis.ttl(key) for key in found if await redis.ttl(key) < 0} == {}


async def test_a_short_retention_hurts_no_live_session(redis: Redis) -> None:
    """An ended session's record goes after its retention; live ones and shared keys stay."""
    bounds = Bounds(max_bots=5, queue_limit=5, keep_s=1.0)
    store = SessionStore(redis, bounds)
    await start(store, "live")
    await admit(store, "live")
    await start(store, "over")
    await end(store, "over")
    assert await redis.ttl(keys.session("over")) <= 1
    for key in (keys.session("live"), keys.session_events("live"), keys.SLOTS, keys.DUE):
        assert await redis.ttl(key) > 3600


async def test_a_note_leaves_no_trace_of_an_erased_session(redis: Redis) -> None:
    """News that comes after the erasure does not bring anything back."""
    store = make_store(redis)
    await start(store, "a")
    await store.delete("a")
    await store.note("a", ev.UserJoined(at=time.time()))
    assert await redis.exists(keys.session_events("a")) == 0


async def test_claimers_never_share_a_session(redis: Redis) -> None:
    """Two replicas that claim at once get disjoint sessions, and together all of them."""
    due = [DueQueue(redis), DueQueue(redis)]
    for n in range(50):
        await due[0].check_now(f"s{n}")
    claims = await asyncio.gather(*(due[n % 2].claim(7) for n in range(10)))
    claimed = [session_id for claim in claims for session_id in claim]
    assert len(claimed) == len(set(claimed)) == 50
    assert await due[0].claim(10) == []


async def test_a_dead_replicas_claims_become_due_again(redis: Redis) -> None:
    """A claim that is never given back runs out."""
    await DueQueue(redis).check_now("a")
    assert await DueQueue(redis).claim(1) == ["a"]
    later = DueQueue(redis, clock=lambda: time.time() + 20)
    assert await later.claim(1) == ["a"]


async def test_a_check_asked_for_meanwhile_is_not_put_off(redis: Redis) -> None:
    """Whoever holds a session and has looked before the news came cannot hide the news."""
    store, due = make_store(redis), DueQueue(redis)
    await start(store, "a")
    session = await store.get("a")
    held = await due.hold("a")
    await due.check_now("a")
    await due.check_at("a", time.time() + 1000, version=session.version, held=held)
    assert await due.claim(1) == ["a"]


async def test_a_change_meanwhile_is_not_put_off(redis: Redis) -> None:
    """A check time that was worked out from an older version does not count."""
    store, due = make_store(redis), DueQueue(redis)
    await start(store, "a")
    session = await store.get("a")
    held = await due.hold("a")
    await store.record("a", ev.UserJoined(at=time.time()))
    await due.check_at("a", time.time() + 1000, version=session.version, held=held)
    assert await due.claim(1) == ["a"]


async def test_the_holders_own_change_keeps_the_hold(redis: Redis) -> None:
    """A reconciler's own write wakes no other replica, but does not hide a request for a check."""
    store, due = make_store(redis), DueQueue(redis)
    await start(store, "a")
    held = await due.hold("a")
    await store.record("a", ev.Admitted(at=time.time()), next_check=held)
    assert await due.claim(1) == []
    await due.check_now("a")
    await store.record("a", ev.Dispatched(at=time.time(), attempt=1), next_check=held)
    assert await due.claim(1) == ["a"]


async def test_unwatched_sessions_are_found(redis: Redis) -> None:
    """A session that holds a slot, but that nobody will ever look at again, is found."""
    store, due = make_store(redis), DueQueue(redis)
    await start(store, "a")
    await admit(store, "a")
    assert await store.unwatched() == []
    await due.forget("a")
    assert await store.unwatched() == ["a"]


async def test_leftovers_go_only_without_a_record(redis: Redis) -> None:
    """A slot whose record is gone is freed; one whose record is there is kept."""
    store = make_store(redis)
    await start(store, "a")
    await admit(store, "a")
    await store.drop_leftovers("a")
    assert await store.count() == (1, 0)
    await redis.delete(keys.session("a"))
    await store.drop_leftovers("a")
    assert await store.count() == (0, 0)


async def test_workers_are_known_by_their_beats(redis: Redis) -> None:
    """A worker is there from its first beat until it leaves; what drains counts what it runs."""
    registry = WorkerRegistry(redis, keep_s=KEEP_S)
    await registry.beat(beat("a", jobs=4))
    await registry.beat(beat("b", jobs=3, draining=True))
    await registry.beat(beat("c", registered=False))
    assert [b.id for b in await registry.alive()] == ["a", "b", "c"]
    assert fleet_jobs(await registry.alive()) == 13
    await registry.leave("a")
    assert [b.id for b in await registry.alive()] == ["b", "c"]


async def test_a_dead_redis_is_named_quickly(tmp_path: Path) -> None:
    """Every call says that Redis is away, within the bounds, whatever the client raises."""
    async with running_valkey(tmp_path) as url:
        client = connect(url)
        store = make_store(client)
        await store.ping()
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        await store.get("a")
    with pytest.raises(StoreUnavailableError):
        await store.create(new_session("a"))
    assert time.monotonic() - began < 5
    await client.aclose()
