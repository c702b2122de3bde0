"""Jobs that stand by, in a real Redis: each gets one session, or goes home, and never both."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import connect_blocking
from assistant.sessions.store.standby import KNOWN_S, RENEW_S, StandbyStore
from assistant.worker.standby import assignment_for
from tests.integration.session_servers import running_valkey
from tests.integration.standing_by import WORKER, an_assignment, an_id, redis_of_a_worker
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")
WITHIN_S = 5.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("standby")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    async with redis_of_a_worker(valkey) as client:
        yield client


async def test_of_many_sessions_each_job_gets_one(redis: Redis) -> None:
    """Eight starts at once and three jobs: three are given, to three jobs."""
    store, ids = StandbyStore(redis), [an_id() for _ in range(3)]
    for each in ids:
        assert await store.offer(each, worker=WORKER)
    given = await asyncio.gather(*(store.assign(an_assignment()) for _ in range(8)))
    assert sum(given) == 3
    got = [await store.outcome(each) for each in ids]
    assert len({one.job.session for one in got if one is not None}) == 3
    assert not any([await store.offer(each, worker=WORKER) for each in ids])
    assert not await store.assign(an_assignment())


async def test_a_job_goes_home_or_gets_a_session(redis: Redis) -> None:
    """Whatever comes first stands, for the one and for the other."""
    store = StandbyStore(redis)
    home, busy, both = an_id(), an_id(), an_id()
    await store.offer(home, worker=WORKER)
    assert await store.dismiss(home)
    assert not await store.assign(an_assignment())
    assert await store.outcome(home) is None

    await store.offer(busy, worker=WORKER)
    assert await store.assign(an_assignment())
    assert not await store.dismiss(busy)
    assert await store.outcome(busy) is not None

    await store.offer(both, worker=WORKER)
    dismissed, given = await asyncio.gather(store.dismiss(both), store.assign(an_assignment()))
    assert dismissed != given


async def test_jobs_get_sessions_in_the_order_in_which_they_came(redis: Redis) -> None:
    """However often each says again that it waits; but one that has fallen silent comes last."""
    store, ids = StandbyStore(redis), [an_id() for _ in range(3)]
    for each in (*ids, *reversed(ids)):
        assert await store.offer(each, worker=WORKER)
    # It came first of all, and will have lapsed soon; the others have just said that they wait.
    silent, order = an_id(), list[str]()
    await store.offer(silent, worker=WORKER)
    await redis.zadd(keys.STANDBY_SINCE, {silent: 1.0})
    while len(order) < 4:
        seconds, _ = await redis.time()
        await redis.zadd(keys.STANDBY, {silent: seconds + 1.0})
        await redis.zadd(keys.STANDBY, dict.fromkeys(ids, seconds + 60.0), xx=True)
        assert await store.assign(an_assignment())
        given = [each for each in (*ids, silent) if await store.outcome(each) is not None]
        order += [each for each in given if each not in order]
    assert order == [*ids, silent]
    assert await redis.zcard(keys.STANDBY_SINCE) == 0


async def test_who_has_not_said_so_lately_gets_none(redis: Redis) -> None:
    """A job that is frozen or dead lapses, and takes no session with it."""
    store, silent = StandbyStore(redis), an_id()
    await store.offer(silent, worker=WORKER)
    seconds, _ = await redis.time()
    await redis.zadd(keys.STANDBY, {silent: seconds - 1})
    assert not await store.assign(an_assignment())


async def test_a_waiting_job_is_woken_and_asks_again(redis: Redis, valkey: str) -> None:
    """It goes on saying that it waits, hears of its session at once, and of being sent home."""
    store, wanted = StandbyStore(redis), an_assignment()
    waits = asyncio.create_task(assignment_for(an_id(), redis, valkey, worker=WORKER))
    async with asyncio.timeout(scaled(WITHIN_S)):
        while not await store.assign(wanted):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
        assert await waits == wanted

    unwanted = an_id()
    waits = asyncio.create_task(assignment_for(unwanted, redis, valkey, worker=WORKER))
    async with asyncio.timeout(scaled(WITHIN_S)):
        while await redis.zscore(keys.STANDBY, unwanted) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
        first = await redis.zscore(keys.STANDBY, unwanted)
        while await redis.zscore(keys.STANDBY, unwanted) == first:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(RENEW_S / 10)
        assert await store.dismiss(unwanted)
        assert await waits is None


async def test_no_session_is_lost_with_an_answer(redis: Redis, valkey: str) -> None:
    """What wakes a job may be lost; what it has to do is there when it next asks."""
    store, place, wanted = StandbyStore(redis), an_id(), an_assignment()
    await store.offer(place, worker=WORKER)
    assert await store.assign(wanted)
    await redis.delete(keys.standby_wake(place))
    async with asyncio.timeout(scaled(WITHIN_S)):
        assert await assignment_for(place, redis, valkey, worker=WORKER) == wanted
    assert await store.learn([an_id(), place]) == [None, wanted]
    assert 0 < await redis.ttl(keys.standby(place)) <= KNOWN_S


async def test_an_attempt_is_given_once(redis: Redis) -> None:
    """A question that is repeated, because its answer was lost, costs no second job."""
    store, wanted = StandbyStore(redis), an_assignment()
    first, second = an_id(), an_id()
    await store.offer(first, worker=WORKER)
    await store.offer(second, worker=WORKER)
    assert await store.assign(wanted)
    assert await store.assign(wanted)
    assert sorted([await store.outcome(first) is None, await store.outcome(second) is None]) == [
        False,
        True,
    ]


async def test_no_session_goes_to_a_worker_that_does_not_beat(redis: Redis) -> None:
    """It would be taken for lost at once; when the worker beats, its jobs are listed again."""
    store, place = StandbyStore(redis), an_id()
    await store.offer(place, worker=WORKER)
    await redis.delete(keys.worker(WORKER))
    assert await store.offer(place, worker=WORKER)
    assert not await store.assign(an_assignment())
    await redis.set(keys.worker(WORKER), "a beat")
    assert await store.offer(place, worker=WORKER)
    assert await store.assign(an_assignment())


async def test_one_replica_asks_at_a_time(redis: Redis, valkey: str) -> None:
    """Of two that see the same beats one asks LiveKit; every key of all this expires."""
    other = connect_blocking(valkey, block_s=1)
    asked = await asyncio.gather(StandbyStore(redis).may_ask(), StandbyStore(other).may_ask())
    await other.aclose()
    assert sorted(asked) == [False, True]
    store = StandbyStore(redis)
    await store.offer(an_id(), worker=WORKER)
    await store.assign(an_assignment())
    await store.offer(an_id(), worker=WORKER)
    assert all([await redis.ttl(key) >= 0 for key in await redis.keys("*standby*")])
