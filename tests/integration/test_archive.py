"""What stays of a conversation, in a real valkey-server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from livekit.agents.job import JobAcceptArguments, RunningJobInfo
from livekit.protocol import agent
from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.item import Item, ToolUse
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.record import Reason, State
from assistant.sessions.store import keys
from assistant.sessions.store.archive import EVENT_TEXT_CHARS, ITEMS_PER_SESSION, Archive
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.saves import REPORT_GRACE_S
from assistant.sessions.usage import Spent, Usage
from assistant.worker.record.job_logs import JobLogs
from assistant.worker.record.reporter import Reporter
from tests.integration.session_servers import new_session, running_valkey

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SPEND = Usage(kind="llm", provider="groq", model="llama", input_tokens=100, cost=0.5)


class Bench:
    """A store and its archive, whose clock is moved by hand."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.now = time.time()
        bounds = Bounds(max_bots=50, queue_limit=10, keep_s=60)
        self.store = SessionStore(redis, bounds, clock=lambda: self.now)
        self.archive = Archive(redis, clock=lambda: self.now)

    async def conversation(self, session_id: str) -> None:
        """A session whose first attempt is in its room."""
        await self.store.create(new_session(session_id))
        for event in (
            ev.Started(at=self.now, task_id="t"),
            ev.Admitted(at=self.now),
            ev.Claimed(at=self.now, attempt=1, worker="w", pid=1),
            ev.AgentJoined(at=self.now, attempt=1),
        ):
            await self.store.record(session_id, event)

    async def end(self, session_id: str) -> None:
        ending = ev.EndRequested(at=self.now, reason=Reason.USER_REQUESTED)
        closed = await self.store.record(session_id, ending, ev.Closed(at=self.now))
        assert closed.state is State.ENDED

    async def told(self, session_id: str, name: str) -> list[dict[str, object]]:
        timeline = await self.store.timeline(session_id)
        return [entry["data"] for entry in timeline if entry["name"] == name]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Redis]:
    folder: Path = tmp_path_factory.mktemp("archive")
    async with running_valkey(folder) as url:
        client = connect(url)
        yield client
        await client.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def world(redis: Redis) -> Bench:
    await redis.flushall()
    return Bench(redis)


def item(number: int, text: str = "Hello!") -> Item:
    return Item(id=str(number), role="user", text=text, interrupted=False, at=float(number))


async def test_what_was_said_stays_on_record(world: Bench) -> None:
    """Items come from the current attempt alone, once each, are told once, and stay at the end."""
    await world.conversation("s")
    first, second = item(1), item(2)
    for said in (first, second, second):
        await world.archive.keep("s", 1, said)
    await world.store.record("s", ev.AgentLost(at=world.now, attempt=1, detail="gone"))
    await world.archive.keep("s", 1, item(3))
    assert await world.archive.items("s") == [first, second]
    await world.end("s")
    last = item(4)
    await world.archive.keep("s", 2, last)
    assert await world.archive.items("s") == [first, second, last], "last words come late"
    assert [told["id"] for told in await world.told("s", "conversation.item")] == ["1", "2", "4"]
    kept_s = await world.redis.ttl(keys.session("s"))
    for key in (keys.session_items("s"), keys.session_report("s")):
        assert 0 < await world.redis.ttl(key) <= kept_s + 1


async def test_what_a_lost_agent_was_in_the_middle_of_is_on_record(world: Bench) -> None:
    """Only if nothing came of it, once, whoever asks first, and not what others say of it."""
    await world.conversation("s")
    half, whole = item(1, "It is"), item(2, "It is ten.")
    await world.archive.begin("s", 1, [half])
    assert await world.archive.items("s") == []
    await world.archive.keep("s", 1, whole)
    await world.archive.recover("s", 1)
    assert await world.archive.items("s") == [whole], "it came to an end"
    runs = item(3, "").model_copy(update={"role": "tool", "lost": True})
    await world.archive.begin("s", 1, [half, runs])
    await world.store.record("s", ev.AgentLost(at=world.now, attempt=1, detail="gone"))
    await world.store.record("s", ev.Claimed(at=world.now, attempt=2, worker="w", pid=2))
    await world.archive.begin("s", 1, [item(9)])
    for _ in range(2):
        await world.archive.recover("s", 1)
    assert await world.archive.items("s") == [whole, half, runs]
    told = await world.told("s", "conversation.item")
    assert [(each["id"], each["attempt"]) for each in told] == [("2", 1), ("1", 1), ("3", 1)]
    assert await world.redis.ttl(keys.session_report("s")) > 0


async def test_a_long_conversation_is_bounded(world: Bench) -> None:
    """The oldest items go, are counted, and pages count on from the beginning; texts are cut."""
    await world.conversation("s")
    for number in range(ITEMS_PER_SESSION + 3):
        await world.archive.keep("s", 1, item(number))
    page = await world.archive.page("s", first=0, limit=2)
    assert (page.dropped, page.first, page.next) == (3, 3, 5)
    assert [said.id for said in page.items] == ["3", "4"]
    page = await world.archive.page("s", first=ITEMS_PER_SESSION, limit=10)
    assert ([said.id for said in page.items], page.next) == (["1000", "1001", "1002"], None)
    tool = ToolUse(name="t", call_id="c", arguments="{}", output="x" * 8000, is_error=False)
    for number in range(80):
        used = item(2000 + number, "").model_copy(update={"role": "tool", "tool": tool})
        await world.archive.keep("s", 1, used)
    stored = await world.redis.lrange(keys.session_items("s"), 0, -1)
    assert sum(map(len, stored)) <= 512 * 1024
    told = (await world.told("s", "conversation.item"))[-1]
    assert (len(str(told["output"])), told["cut"]) == (EVENT_TEXT_CHARS, True)


async def test_usage_is_counted_once(world: Bench) -> None:
    """What an attempt says it used so far replaces what it said before; totals get the rest."""
    await world.conversation("s")
    spent = Spent(models=(SPEND,), currency="USD")
    more = SPEND.model_copy(update={"input_tokens": 150, "cost": 0.75})
    for said in (spent, spent, Spent(models=(more,), currency="USD")):
        await world.archive.spend("s", 1, said)
    kept = await world.archive.kept("s")
    assert kept.usage[1].models == (more,)
    totals = await world.redis.hgetall(keys.TOTALS)
    agent = (await world.store.get("s")).agent
    assert float(totals[f"usage:{agent}|llm|groq|llama|input_tokens"]) == 150
    assert float(totals[f"usage:{agent}|llm|groq|llama|cost USD"]) == 0.75


async def test_the_report_is_announced_once_whoever_dies(world: Bench) -> None:
    """By the job's last word, be it before or after the end, and by the clock where none comes."""
    for session_id in ("early", "late", "never"):
        await world.conversation(session_id)
    ending = ev.EndRequested(at=world.now, reason=Reason.USER_REQUESTED)
    await world.store.record("early", ending)
    said = {"analysis": {"summary": "Short."}}
    assert await world.archive.finish("early", 1, said, last=True)
    assert await world.told("early", "report.ready") == [], "the session is not over"
    for session_id in ("early", "late", "never"):
        await world.end(session_id)
    assert await world.archive.settle() == ["early"]
    assert await world.archive.finish("late", 1, {}, last=True)
    assert await world.archive.settle() == []
    world.now += REPORT_GRACE_S + 0.1
    assert await world.archive.settle() == ["never"]
    assert await world.archive.finish("never", 1, said, last=True), "it is kept all the same"
    for session_id, judged in (("early", True), ("late", False), ("never", False)):
        (told,) = await world.told(session_id, "report.ready")
        assert told["judged"] is judged
    assert (await world.archive.kept("never")).analysis == {"summary": "Short."}


async def test_an_attempt_that_was_lost_has_no_last_word(world: Bench) -> None:
    """What it leaves is kept, and the session's report waits for the next attempt's."""
    await world.conversation("s")
    await world.store.record("s", ev.AgentLost(at=world.now, attempt=1, detail="gone"))
    assert await world.archive.finish("s", 1, {"sdk:1": {"user_turns": 2}}, last=True)
    await world.end("s")
    assert await world.archive.settle() == []
    assert (await world.archive.kept("s")).sdk == {1: {"user_turns": 2}}


async def test_an_erased_session_takes_nothing_more(world: Bench) -> None:
    """Items, usage and last words of a job that outlives its session's record leave no trace."""
    await world.conversation("s")
    await world.archive.keep("s", 1, item(1, "canary"))
    await world.end("s")
    await world.store.delete("s")
    await world.archive.keep("s", 1, item(2, "canary"))
    await world.archive.spend("s", 1, Spent(models=(SPEND,)))
    assert not await world.archive.finish("s", 1, {}, last=True)
    left = {key async for key in world.redis.scan_iter("*s:*") if key.startswith("session:")}
    assert left == set()
    assert await world.redis.zscore(keys.REPORTS, "s") is None


async def test_a_running_job_s_lines_are_kept(redis: Redis) -> None:
    """What it has logged so far is there while it runs, once; its last lines follow in order."""
    bench = Bench(redis)
    await bench.conversation("talking")
    logs, reporter = JobLogs(), Reporter(bench.store, bench.archive)
    metadata = JobMetadata(session="talking", attempt=1).encode()
    running = [
        RunningJobInfo(
            JobAcceptArguments(name="", identity="agent", metadata=""),
            job=agent.Job(id="job-1", metadata=metadata),
            url="",
            token="",
            worker_id="w",
            fake_job=False,
        )
    ]

    def hear(event: str) -> None:
        record = logging.LogRecord("assistant", logging.INFO, "job.py", 1, event, (), None)
        record.job_id = "job-1"
        logs.handle(record)

    async def kept() -> list[str]:
        lines = (await bench.archive.kept("talking")).logs.get(1, [])
        return [line["event"] for line in lines]

    delivering = asyncio.create_task(reporter.run())
    hear("job.began")
    logs.store(reporter, running)
    await reporter.flush()
    assert await kept() == ["job.began"]
    logs.store(reporter, running)
    assert not reporter.is_behind, "nothing is new"
    hear("job.goes_on")
    logs.store(reporter, running)
    hear("job.ended")
    reporter.silent("talking", 1, {"logs:1": logs.take("job-1")})
    logs.store(reporter, running)
    await reporter.flush()
    assert await kept() == ["job.began", "job.goes_on", "job.ended"]
    delivering.cancel()
