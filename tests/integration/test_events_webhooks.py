"""Webhooks out: a real receiver, a real valkey-server, and replicas in this process."""

import asyncio
import base64
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from redis.asyncio import Redis

from assistant.local_stack.ports import free_port
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.delivery import Delivery, DeliveryStatus, NewDelivery
from assistant.sessions.store.delivery_log import DeliveryLog
from assistant.sessions.store.outbox import MAX_WAITING_PER_SESSION, Outbox
from tests.integration.events_world import (
    ENDED,
    KEY,
    LIVED,
    Post,
    Receiver,
    end,
    fine,
    live,
    make_store,
    running_receiver,
    until,
)
from tests.integration.session_servers import running_valkey
from tests.timing import scaled
from token_service.deliveries import Deliverer, Schedule
from token_service.endpoints import Endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Long waits are taken out of the schedule, not out of the code.
QUICK = Schedule(base_s=0.02, cap_s=0.1, attempt_timeout_s=scaled(10), claim_s=600, poll_s=0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("webhooks")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = connect(valkey)
    await client.flushall()
    yield client
    await client.aclose()


def to(receiver: Receiver, name: str = "crm", path: str = "/hook", events: Any = "*") -> Endpoint:
    return Endpoint(name, receiver.url(path), (KEY,), (events,))


@asynccontextmanager
async def delivering(
    redis: Redis,
    *endpoints: Endpoint,
    schedule: Schedule = QUICK,
    allow_internal: bool = True,
) -> AsyncIterator[None]:
    """One replica, which listens to the outbox already."""
    outbox = Outbox(redis)
    await outbox.open()
    deliverer = Deliverer(outbox, endpoints, allow_internal=allow_internal, schedule=schedule)
    task = asyncio.create_task(deliverer.run(), name="deliverer")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def known(redis: Redis, *names: str, status: DeliveryStatus | None = None) -> list[Delivery]:
    page = await DeliveryLog(redis).find(
        names or ("crm",), status=status, session_id=None, cursor=None, limit=200
    )
    return page.deliveries


def names_of(posts: list[Post]) -> list[str]:
    return [post.said["type"] for post in posts]


async def test_every_event_arrives_signed_and_in_order(redis: Redis) -> None:
    """A session's whole life arrives, each message signed, dated and without anything private."""
    store = make_store(redis)
    async with running_receiver() as receiver, delivering(redis, to(receiver)):
        await live(store, "a")
        await end(store, "a")
        await receiver.until(lambda: len(receiver.posts) >= len(LIVED + ENDED))
        await until(lambda: _all(redis, DeliveryStatus.DELIVERED, len(LIVED + ENDED)))
    assert names_of(receiver.posts) == LIVED + ENDED
    assert all(post.is_signed() for post in receiver.posts)
    assert not any(post.is_signed(b"another key of ours, 24 b") for post in receiver.posts)
    assert len({post.id for post in receiver.posts}) == len(receiver.posts)
    said = receiver.posts[-1].said
    assert said["data"] == {"sessionId": "a", "reason": "user_requested"}
    assert said["timestamp"].endswith("Z")
    assert all(post.headers["content-type"] == "application/json" for post in receiver.posts)
    assert b"canary" not in receiver.posts[1].body
    logged = (await known(redis))[0].log
    assert [(one.status, one.error) for one in logged] == [(204, None)]


async def _all(redis: Redis, status: DeliveryStatus, count: int, *names: str) -> bool:
    return len(await known(redis, *names, status=status)) == count


async def test_an_endpoint_gets_the_events_that_it_wants(redis: Redis) -> None:
    """Names and `prefix.*` choose; nothing else is sent."""
    store = make_store(redis)
    async with running_receiver() as receiver:
        turns = to(receiver, "turns", "/turns", "turn.completed")
        sessions = to(receiver, "sessions", "/sessions", "session.*")
        async with delivering(redis, turns, sessions):
            await live(store, "a")
            await end(store, "a")
            await receiver.until(lambda: "session.ended" in names_of(receiver.taken("/sessions")))
            await receiver.until(lambda: len(receiver.taken("/turns")) == 2)
    wanted = [name for name in LIVED + ENDED if name.startswith("session.")]
    assert names_of(receiver.taken("/sessions")) == wanted
    assert names_of(receiver.taken("/turns")) == ["turn.completed"] * 2


async def test_failures_are_repeated_in_order_under_the_same_id(redis: Redis) -> None:
    """With a third of the requests refused, every event still arrives, in its session's order."""
    store, luck = make_store(redis), random.Random(7)  # noqa: S311 - repeatable on purpose

    async def moody(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=500 if luck.random() < 0.33 else 200)

    ids = [f"s{n}" for n in range(12)]
    async with running_receiver(moody) as receiver, delivering(redis, to(receiver)):
        await asyncio.gather(*(live(store, session_id) for session_id in ids))
        await receiver.until(lambda: len(receiver.taken()) == len(ids) * len(LIVED))
    assert len(receiver.posts) > len(receiver.taken())
    by_session: dict[str, list[Post]] = defaultdict(list)
    for post in receiver.posts:
        by_session[post.session].append(post)
    for posts in by_session.values():
        taken = [post for post in posts if post.status == 200]
        assert names_of(taken) == LIVED
        # Every attempt before the one that was taken had its id and its body.
        order = [post.id for post in posts]
        assert list(dict.fromkeys(order)) == [post.id for post in taken]
        assert len({post.id: post.body for post in posts}) == len({p.body for p in posts})


async def test_a_receiver_that_was_down_gets_everything(redis: Redis) -> None:
    """Refused while it is down; once it is up, all arrives in order, each once."""
    store, port = make_store(redis), free_port()
    endpoint = Endpoint("crm", f"http://127.0.0.1:{port}/hook", (KEY,), ("*",))
    async with delivering(redis, endpoint):
        await live(store, "a")

        async def refused() -> bool:
            found = await known(redis)
            tried = any(d.attempts >= 2 and d.log[-1].error == "refused" for d in found)
            return tried and len(found) == len(LIVED)

        await until(refused)
        waiting = await known(redis, status=DeliveryStatus.PENDING)
        async with running_receiver(port=port) as receiver:
            await receiver.until(lambda: len(receiver.posts) >= len(LIVED))
    assert names_of(receiver.posts) == LIVED
    assert {post.id for post in receiver.posts} == {
        f"evt_{delivery.id.partition('.')[2]}" for delivery in waiting
    }


async def test_a_receiver_that_hangs_is_asked_again(redis: Redis) -> None:
    """No answer in time is a failure like any other."""
    store, hung = make_store(redis), asyncio.Event()
    count = 0

    async def first_hangs(_request: web.Request, _body: bytes) -> web.Response:
        nonlocal count
        count += 1
        if count == 1:
            await hung.wait()
        return web.Response(status=200)

    schedule = Schedule(base_s=0.02, attempt_timeout_s=0.2, claim_s=600, poll_s=0.02)
    async with (
        running_receiver(first_hangs) as receiver,
        delivering(redis, to(receiver, events="session.created"), schedule=schedule),
    ):
        await live(store, "a", turns=0)
        await until(lambda: _all(redis, DeliveryStatus.DELIVERED, 1))
        hung.set()
    log = (await known(redis))[0].log
    assert log[0].error == "timeout"
    assert log[-1].error is None


async def test_a_hanging_endpoint_delays_no_other(redis: Redis) -> None:
    """One endpoint holds all its requests; the other has everything meanwhile."""
    store, hold = make_store(redis), asyncio.Event()

    async def answer(request: web.Request, body: bytes) -> web.Response:
        if request.path == "/stuck":
            await hold.wait()
        return await fine(request, body)

    ids = [f"s{n}" for n in range(20)]
    async with running_receiver(answer) as receiver:
        stuck, good = to(receiver, "stuck", "/stuck"), to(receiver, "good", "/good")
        async with delivering(redis, stuck, good):
            await asyncio.gather(*(live(store, session_id) for session_id in ids))
            await receiver.until(lambda: len(receiver.taken("/good")) == len(ids) * len(LIVED))
            assert receiver.taken("/stuck") == []
            hold.set()
            await receiver.until(lambda: len(receiver.taken("/stuck")) == len(ids) * len(LIVED))


async def test_a_failing_session_delays_no_other_session(redis: Redis) -> None:
    """Where one session's event is refused again and again, other sessions' arrive."""
    store = make_store(redis)

    async def answer(_request: web.Request, body: bytes) -> web.Response:
        bad = json.loads(body)["data"]["sessionId"] == "bad"
        return web.Response(status=500 if bad else 200)

    async with running_receiver(answer) as receiver, delivering(redis, to(receiver)):
        await live(store, "bad")
        await receiver.until(lambda: len(receiver.posts) >= 2)
        await live(store, "good")
        await receiver.until(lambda: len(receiver.taken()) == len(LIVED))
    assert {post.session for post in receiver.taken()} == {"good"}
    assert {p.said["type"] for p in receiver.posts if p.session == "bad"} == {"session.created"}


async def test_two_replicas_share_the_work(redis: Redis) -> None:
    """With two replicas each event is sent once, and in order."""
    store = make_store(redis)
    ids = [f"s{n}" for n in range(10)]
    async with running_receiver() as receiver:
        endpoint = to(receiver)
        async with delivering(redis, endpoint), delivering(redis, endpoint):
            await asyncio.gather(*(live(store, session_id) for session_id in ids))
            await until(lambda: _all(redis, DeliveryStatus.DELIVERED, len(ids) * len(LIVED)))
    assert len(receiver.posts) == len(ids) * len(LIVED)
    for session_id in ids:
        assert names_of([p for p in receiver.posts if p.session == session_id]) == LIVED


async def test_a_replica_that_stops_hands_its_claims_back(redis: Redis) -> None:
    """Stopped in the middle of a request, it leaves the delivery to the next replica at once."""
    store, arrived = make_store(redis), asyncio.Event()
    hold = True

    async def answer(request: web.Request, body: bytes) -> web.Response:
        if hold:
            arrived.set()
            await asyncio.Event().wait()
        return await fine(request, body)

    async with running_receiver(answer) as receiver:
        async with delivering(redis, to(receiver)):
            await live(store, "a")
            async with asyncio.timeout(scaled(20)):
                await arrived.wait()
        hold = False
        async with delivering(redis, to(receiver)):
            await receiver.until(lambda: len(receiver.taken()) == len(LIVED))
    assert names_of(receiver.taken()) == LIVED


async def test_dead_letters_are_kept_and_can_be_replayed(redis: Redis) -> None:
    """Given up after its time, an event is kept with its attempts, and lets the next ones pass."""
    store, up = make_store(redis), False

    async def answer(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=200 if up else 503)

    at_once = Schedule(base_s=0.02, give_up_after_s=0.0, claim_s=600, poll_s=0.02)
    log = DeliveryLog(redis)
    async with (
        running_receiver(answer) as receiver,
        delivering(redis, to(receiver, events="turn.completed"), schedule=at_once),
    ):
        await live(store, "a", turns=2)
        await until(lambda: _all(redis, DeliveryStatus.DEAD, 2))
        dead = await known(redis, status=DeliveryStatus.DEAD)
        assert [len(delivery.log) for delivery in dead] == [1, 1]
        assert dead[0].log[0].status == 503
        up = True
        assert await log.replay(dead[1])
        await until(lambda: _all(redis, DeliveryStatus.DELIVERED, 1))
        # Delivered ones may be wanted once more too.
        assert await log.replay((await known(redis, status=DeliveryStatus.DELIVERED))[0])
        await receiver.until(lambda: len(receiver.taken()) == 2)
    assert {post.id for post in receiver.taken()} == {receiver.posts[0].id}
    assert await _all(redis, DeliveryStatus.DEAD, 1)


async def test_a_replay_of_what_waits_asks_now(redis: Redis) -> None:
    """An operator who repaired a receiver need not wait for the next attempt."""
    store, up = make_store(redis), False

    async def answer(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=200 if up else 500, headers={"Retry-After": "3000"})

    async with running_receiver(answer) as receiver, delivering(redis, to(receiver)):
        await live(store, "a")

        async def waits() -> bool:
            return any(d.next_at is not None for d in await known(redis))

        await until(waits)
        first = next(d for d in await known(redis) if d.next_at is not None)
        assert first.next_at is not None
        assert first.next_at - first.log[0].at > 2990  # as the receiver asked
        up = True
        assert await DeliveryLog(redis).replay(first)
        await receiver.until(lambda: len(receiver.taken()) == len(LIVED))
    assert names_of(receiver.taken()) == LIVED


async def test_redirects_are_not_followed(redis: Redis) -> None:
    """A redirect is a failure: it could lead anywhere."""
    store = make_store(redis)

    async def answer(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with (
        running_receiver(answer) as receiver,
        delivering(redis, to(receiver, events="session.created")),
    ):
        await live(store, "a")
        await receiver.until(lambda: len(receiver.posts) >= 2)
    assert {post.path for post in receiver.posts} == {"/hook"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_internal_addresses_are_not_reached(redis: Redis, host: str) -> None:
    """An endpoint at this very host gets nothing, whether named by address or by name."""
    store = make_store(redis)
    async with running_receiver() as receiver:
        url = f"http://{host}:{receiver.port}/hook"
        endpoint = Endpoint("crm", url, (KEY,), ("session.created",))
        async with delivering(redis, endpoint, allow_internal=False):
            await live(store, "a")

            async def failed() -> bool:
                return any(delivery.log for delivery in await known(redis))

            await until(failed)
    assert receiver.posts == []
    assert (await known(redis))[0].log[0].error == "internal_address"


async def test_a_large_answer_is_not_read(redis: Redis) -> None:
    """A receiver that answers without end has taken the message, and holds nobody up."""
    store = make_store(redis)

    async def endless(request: web.Request, _body: bytes) -> web.Response:
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return web.Response(status=200)

    async with running_receiver(endless) as receiver, delivering(redis, to(receiver)):
        await live(store, "a")
        await until(lambda: _all(redis, DeliveryStatus.DELIVERED, len(LIVED)))


async def test_without_endpoints_nothing_is_written(redis: Redis) -> None:
    """No outbox, no deliveries: whoever has no receivers pays nothing."""
    store = make_store(redis)
    await Deliverer(Outbox(redis), (), allow_internal=False).run()
    await live(store, "a")
    assert await redis.exists(keys.OUTBOX) == 0
    assert [key async for key in redis.scan_iter("*deliver*")] == []


async def test_everything_expires_and_is_bounded(redis: Redis) -> None:
    """What finds no place is dead at once, and told; and nothing is kept for good."""
    outbox = Outbox(redis)
    await outbox.open()
    store = make_store(redis)
    await live(store, "a", turns=0)
    entries = await outbox.waiting()
    extra = 5
    made = [
        NewDelivery("crm", "a", f"1700000000000-{n}", "turn.completed", "{}")
        for n in range(MAX_WAITING_PER_SESSION + extra)
    ]
    assert await outbox.fan_out([(entries[0].id, made)]) == (len(made), extra)
    # Another replica that read the same entry comes too late.
    assert await outbox.fan_out([(entries[0].id, made)]) == (0, 0)
    dead = await known(redis, status=DeliveryStatus.DEAD)
    assert {delivery.error for delivery in dead} == {"too many wait already"}
    assert len(dead) == extra
    found = [key async for key in redis.scan_iter("*")]
    assert {key for key in found if await redis.ttl(key) < 0} == set()


async def test_pages_of_deliveries(redis: Redis) -> None:
    """Pages hold every delivery once, the newest event first, of two endpoints mixed."""
    outbox, log = Outbox(redis), DeliveryLog(redis)
    await outbox.open()
    await live(make_store(redis), "a", turns=0)
    entry = (await outbox.waiting())[0]
    made = [
        NewDelivery(endpoint, "a", f"17000000000{n:02}-0", "turn.completed", "{}")
        for n in range(30)
        for endpoint in ("crm", "erp")
    ]
    await outbox.fan_out([(entry.id, made)])
    for session_id in (None, "a"):
        seen: list[str] = []
        cursor = None
        while True:
            page = await log.find(
                ("crm", "erp"), status=None, session_id=session_id, cursor=cursor, limit=7
            )
            seen += [delivery.id for delivery in page.deliveries]
            cursor = page.cursor
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == len(made)
        places = [one.partition(".")[2] for one in seen]
        assert places == sorted(places, reverse=True)


async def test_two_secrets_sign_while_they_change(redis: Redis) -> None:
    """With a previous secret, receivers that know either accept the message."""
    store, older = make_store(redis), base64.b64decode("b2xkZXIta2V5LW9sZGVyLWtleS1vbGRlcg==")
    async with running_receiver() as receiver:
        endpoint = Endpoint("crm", receiver.url(), (KEY, older), ("session.created",))
        async with delivering(redis, endpoint):
            await live(store, "a")
            await receiver.until(lambda: len(receiver.posts) == 1)
    assert receiver.posts[0].is_signed(KEY)
    assert receiver.posts[0].is_signed(older)
