"""Commands on their way to a job, in a real valkey-server."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.command import Command, Interrupt, Mute, Outcome, Say, Tell
from assistant.sessions.direction import Direction
from assistant.sessions.errors import SessionNotFoundError, SessionOverError
from assistant.sessions.record import Reason
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect, connect_blocking
from assistant.sessions.store.commands import (
    BLOCK_S,
    MAX_WAITING,
    CommandReader,
    CommandStore,
    Given,
)
from assistant.sessions.store.records import Bounds, SessionStore
from tests.integration.session_servers import new_session, running_valkey
from tests.timing import scaled

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

HELLO = Say(text="Hello.")


class Bench:
    def __init__(self, redis: Redis, url: str) -> None:
        self.redis = redis
        self.url = url
        self.store = SessionStore(redis, Bounds(max_bots=50, queue_limit=10, keep_s=60))
        self.commands = CommandStore(redis)

    async def session(self, session_id: str, *, joined: bool = True) -> None:
        await self.store.create(new_session(session_id))
        if joined:
            now = time.time()
            await self.store.record(
                session_id, ev.Started(at=now, task_id="t"), ev.Admitted(at=now)
            )
            await self.joins(session_id, 1)

    async def joins(self, session_id: str, attempt: int) -> None:
        now = time.time()
        await self.store.record(
            session_id,
            ev.Claimed(at=now, attempt=attempt, worker="w", pid=1),
            ev.AgentJoined(at=now, attempt=attempt),
        )

    async def push(self, session_id: str, name: str, command: Command = HELLO) -> Given | Outcome:
        return await self.commands.push(session_id, name, command, by="backend")

    async def told(self, session_id: str, name: str) -> list[tuple[str, str | None]]:
        entries = await self.store.timeline(session_id)
        return [
            (entry["data"]["id"], entry["data"].get("outcome"))
            for entry in entries
            if entry["name"] == name
        ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with running_valkey(tmp_path_factory.mktemp("commands")) as url:
        client = connect(url)
        yield Bench(client, url)
        await client.aclose()


async def test_a_command_waits_in_order_until_it_is_settled(world: Bench) -> None:
    """The job is woken, settles it with the new direction, and it is told; nothing stays behind."""
    await world.session("a")
    reader = CommandReader(connect_blocking(world.url, block_s=BLOCK_S), "a")
    hearing = asyncio.create_task(reader.next("0-0"))
    assert await world.push("a", "c1", Tell(text="secret")) is Given.THERE
    async with asyncio.timeout(scaled(BLOCK_S / 2)):
        (first,) = await hearing
    await world.push("a", "c2")
    (second,) = await reader.next(first.entry)
    await reader.close()
    assert (first.command, first.attempt) == (Tell(text="secret"), 1)
    assert [order.id for order in await world.commands.waiting("a")] == ["c1", "c2"]

    direction = Direction().after(first, talking="assistant", at=1.0)
    for _ in range(2):
        # The second time as if the connection had broken before the answer.
        await world.commands.settle("a", 1, first, Outcome.APPLIED, direction)
    assert await world.commands.waiting("a") == [second]
    assert await world.commands.direction("a") == direction
    assert await world.told("a", "control.settled") == [("c1", "applied")]
    assert await world.told("a", "control.requested") == [("c1", None), ("c2", None)]
    assert "secret" not in str(await world.store.timeline("a"))


async def test_one_command_is_taken_once(world: Bench) -> None:
    """Tried again it is the same one, and who asks learns what became of it."""
    await world.session("b")
    assert [await world.push("b", "c1") for _ in range(2)] == [Given.THERE, Given.THERE]
    (order,) = await world.commands.waiting("b")
    await world.commands.settle("b", 1, order, Outcome.DROPPED, Direction())
    assert await world.push("b", "c1") is Outcome.DROPPED
    assert await world.commands.waiting("b") == []


async def test_only_the_current_attempt_settles(world: Bench) -> None:
    """What a lost attempt did not settle waits for the next one, with whose agent it was for."""
    await world.session("c")
    await world.push("c", "c1")
    (order,) = await world.commands.waiting("c")
    await world.store.record("c", ev.AgentLost(at=time.time(), attempt=1, detail="gone"))
    await world.commands.settle("c", 1, order, Outcome.APPLIED, Direction(agent_muted=True))
    assert await world.push("c", "c2") is Given.WAITS
    assert await world.push("c", "c3", Interrupt()) is Given.ABSENT
    waiting = await world.commands.waiting("c")
    assert [(each.id, each.attempt) for each in waiting] == [("c1", 1), ("c2", 0)]
    await world.joins("c", 2)
    await world.commands.settle("c", 2, order, Outcome.APPLIED, Direction())
    assert await world.told("c", "control.settled") == [("c1", "applied")]
    assert await world.commands.direction("c") == Direction()


async def test_commands_are_bounded_end_with_the_session_and_are_erased(world: Bench) -> None:
    """No more than MAX_WAITING; none after the end; and nothing of them outlives the session."""
    await world.session("d", joined=False)
    for number in range(MAX_WAITING):
        assert await world.push("d", str(number)) is Given.WAITS
    assert await world.push("d", "more", Mute(who="user", muted=True)) is Given.FULL
    held = [keys.session_commands("d"), keys.session_control("d")]
    record_s = await world.redis.ttl(keys.session("d"))
    for key in held:
        assert 0 < await world.redis.ttl(key) <= record_s
    await world.store.record("d", ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED))
    with pytest.raises(SessionOverError):
        await world.push("d", "late")
    await world.store.record("d", ev.Closed(at=time.time()))
    assert await world.redis.exists(*held) == 0
    await world.store.delete("d")
    with pytest.raises(SessionNotFoundError):
        await world.push("d", "later")
