"""Events out of real service processes: killed, restarted, and asked with keys."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from tests.integration.events_world import (
    LIVED,
    SECRET,
    TURN,
    Post,
    Receiver,
    fine,
    live,
    make_store,
    reading,
    running_receiver,
    running_service,
    turn,
    until,
)
from tests.integration.http_stack import BACKEND_KEY, PAGE_KEY, Running
from tests.integration.session_servers import running_valkey
from tests.timing import scaled
from token_service.auth import hashed

pytestmark = pytest.mark.asyncio(loop_scope="module")
BACKEND = {"Authorization": f"Bearer {BACKEND_KEY}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("process")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = connect(valkey)
    await client.flushall()
    yield client
    await client.aclose()


def webhooks(receiver: Receiver) -> dict[str, str]:
    endpoint = {"name": "crm", "url": receiver.url(), "secret": SECRET}
    return {
        "ASSISTANT_WEBHOOKS": json.dumps([endpoint]),
        "ASSISTANT_WEBHOOKS_ALLOW_INTERNAL": "true",
    }


async def ready(service: Running) -> None:
    await asyncio.to_thread(service.wait_ready)


async def stopped(service: Running, number: signal.Signals = signal.SIGTERM) -> int:
    return await asyncio.to_thread(service.stop, number)


async def test_a_restart_loses_and_repeats_nothing(
    redis: Redis, valkey: str, tmp_path: Path
) -> None:
    """The service stops while a stream is read; resumed at the next one, it goes on exactly."""
    store = make_store(redis)
    first, first_url = running_service(tmp_path, valkey)
    try:
        await ready(first)
        async with reading(f"{first_url}/api/events", **BACKEND) as reader:
            await live(store, "a", turns=3)
            told = await reader.take(len(LIVED) + 1)
            began = time.monotonic()
            stopping = asyncio.create_task(stopped(first))
            told += await reader.rest()
            assert await stopping == 0
            # It did not wait for its readers.
            assert time.monotonic() - began < scaled(4)
        assert any("stops" in comment for comment in reader.comments)
    finally:
        await stopped(first)
    await turn(store, "a", 3, 4)
    second, second_url = running_service(tmp_path, valkey)
    try:
        await ready(second)
        url = f"{second_url}/api/events"
        async with reading(url, after=told[-1].id, **BACKEND) as reader:
            told += await reader.take(2)
            await turn(store, "a", 5)
            told += await reader.take(1)
    finally:
        await stopped(second)
    turns = [one.data["data"]["turn"] for one in told if one.name == "turn.completed"]
    assert turns == list(range(6))


async def test_what_a_killed_replica_had_begun_is_delivered(
    redis: Redis, valkey: str, tmp_path: Path
) -> None:
    """A replica is killed in the middle of a delivery; another one delivers it, under the same id.

    The wait until the dead one's claim runs out is cut short by setting it back in Redis.
    """
    store, arrived, hold = make_store(redis), asyncio.Event(), True
    begun: list[str] = []

    async def answer(request: web.Request, body: bytes) -> web.Response:
        if hold:
            begun.append(request.headers["webhook-id"])
            arrived.set()
            await asyncio.Event().wait()
        return await fine(request, body)

    async with running_receiver(answer) as receiver:
        first, _ = running_service(tmp_path, valkey, **webhooks(receiver))
        second, url = running_service(tmp_path, valkey, **webhooks(receiver))
        try:
            await ready(first)
            await until(lambda: _exists(redis, keys.OUTBOX))
            # The second one is away while the first takes the delivery.
            second.process.send_signal(signal.SIGSTOP)
            await live(store, "a")
            async with asyncio.timeout(scaled(20)):
                await arrived.wait()
            await stopped(first, signal.SIGKILL)
            hold = False
            second.process.send_signal(signal.SIGCONT)
            await ready(second)
            await redis.zadd(keys.endpoint_due("crm"), {"a": time.time()})
            await receiver.until(lambda: len(receiver.taken()) == len(LIVED))
            taken = receiver.taken()
            await _look_at_deliveries(url, taken)
            await receiver.until(lambda: len(receiver.taken()) == len(LIVED) + 1)
            assert receiver.taken()[-1].id == taken[0].id  # the replay
            assert await stopped(second) == 0
            assert SECRET not in second.log()
        finally:
            await stopped(first, signal.SIGKILL)
            await stopped(second, signal.SIGKILL)
    assert [post.said["type"] for post in taken] == LIVED
    assert taken[0].id in begun
    assert all(post.is_signed() for post in taken)


async def _exists(redis: Redis, key: str) -> bool:
    return bool(await redis.exists(key))


async def _look_at_deliveries(url: str, taken: list[Post]) -> None:
    """The log tells what was delivered, to backends alone, and delivers again when asked."""
    async with httpx.AsyncClient(base_url=url, headers=BACKEND, timeout=scaled(20)) as http:

        async def settled() -> bool:
            answer = await http.get("/api/deliveries", params={"status": "delivered"})
            return len(answer.json()["deliveries"]) == len(LIVED)

        await until(settled)
        page = (await http.get("/api/sessions/a/deliveries", params={"limit": "3"})).json()
        assert [one["event"] for one in page["deliveries"]] == LIVED[:-4:-1]
        rest = await http.get("/api/sessions/a/deliveries", params={"cursor": page["cursor"]})
        assert len(rest.json()["deliveries"]) == len(LIVED) - 3
        first = rest.json()["deliveries"][-1]
        assert (first["webhookId"], first["status"]) == (taken[0].id, "delivered")
        assert first["log"][-1]["status"] == 204
        empty = await http.get("/api/deliveries", params={"endpoint": "erp"})
        assert empty.json() == {"deliveries": [], "cursor": None}
        again = await http.post(f"/api/deliveries/{first['id']}/replay")
        assert (again.status_code, again.json()["id"]) == (202, first["id"])
        for query in ({"status": "odd"}, {"limit": "0"}, {"cursor": "x"}, {"colour": "red"}):
            refused = await http.get("/api/deliveries", params=query)
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid_query")
        for unknown in ("crm.1-1", "x"):
            refused = await http.post(f"/api/deliveries/{unknown}/replay")
            assert (refused.status_code, refused.json()["code"]) == (404, "delivery_not_found")
        page_key = {"Authorization": f"Bearer {PAGE_KEY}"}
        for path in ("/api/deliveries", "/api/sessions/a/deliveries", "/api/events"):
            assert (await http.get(path, headers=page_key)).status_code == 403, path
        assert (await http.get("/api/events", headers={"Authorization": ""})).status_code == 401


async def test_a_page_follows_its_own_session(redis: Redis, valkey: str, tmp_path: Path) -> None:
    """With its session's key a page sees the events, without what is for backends alone."""
    store = make_store(redis)
    service, url = running_service(tmp_path, valkey)
    page = {"Authorization": f"Bearer {PAGE_KEY}"}
    try:
        await ready(service)
        await live(store, "mine", session_key_hash=hashed("session-key"))
        await live(store, "theirs", session_key_hash=hashed("another"))
        path = f"{url}/api/sessions"
        shown = {**page, "X-Session-Key": "session-key"}
        async with reading(f"{path}/mine/events", **shown) as reader:
            told = await reader.take(len(LIVED))
        assert [one.name for one in told] == LIVED
        assert "worker-1" not in str(told)
        figures = {k: v for k, v in TURN.items() if k != "attempt" and v is not None}
        assert told[-1].data["data"] == {"turn": 1, **figures}
        async with reading(f"{path}/mine/events", **BACKEND) as reader:
            assert "worker-1" in str(await reader.take(len(LIVED)))
        async with httpx.AsyncClient() as http:
            for session_id, headers in (("theirs", shown), ("mine", page), ("nobody", shown)):
                refused = await http.get(f"{path}/{session_id}/events", headers=headers)
                assert refused.json()["code"] == "session_not_found"
    finally:
        assert await stopped(service) == 0
    assert "Traceback" not in service.log()
