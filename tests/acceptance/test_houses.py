"""Several conversations in one process: each has its own answers, and what ends one ends no other,
unless it ends the process; then each of them goes on with a new agent.
"""

import asyncio
import os
import re
import signal
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
import yaml

from assistant.rehearsal.scenario import Call
from assistant.sessions import events as ev
from assistant.sessions.record import Session, agent_identity
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import SessionStore
from tests.acceptance.census import census_of
from tests.acceptance.commands import ended, family, gone, until
from tests.acceptance.house_tools import HELD_S
from tests.acceptance.recovery import watched
from tests.acceptance.system import PROJECT, System, running_system
from tests.acceptance.test_worker_life import BOUNDS, ask, record_of, worker
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEATS = 4
CALLERS = 8
AGENT_WITHIN_S = scaled(40)
ANSWER_S = scaled(20)
#: A frozen process is killed after 5 s without an answer, which is looked for every second.
NEW_AGENT_WITHIN_S = scaled(25)
CLEAN_S = scaled(40)
DENSE = {"ASSISTANT_JOBS_PER_PROCESS": str(SEATS), "PREWARM_POOL_SIZE": "2"}


def write_agents(path: Path, greeting: str = "Hello!", *functions: str) -> None:
    """The project's agents; the default one has tools that do harm."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agent = document["agents"][document["default"]]
    agent["greeting"] = greeting
    functions = functions or ("alarm", "siesta")
    agent["tools"] = [
        {"type": "python", "function": f"tests.acceptance.house_tools:{name}"} for name in functions
    ]
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder = tmp_path_factory.mktemp("houses")
    write_agents(folder / "agents.yaml")
    environ = {"ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"), **DENSE}
    async with running_system(folder, environ=environ) as running:
        yield running


@dataclass(frozen=True)
class Resident:
    """A caller, and the process that has their agent."""

    call: Call
    pid: int


@asynccontextmanager
async def burst(system: System, callers: int) -> AsyncIterator[list[Resident]]:
    """So many callers who come at once, each with an agent."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(system.service())
        ids = [f"house-{n}-{uuid.uuid4().hex[:8]}" for n in range(1, callers + 1)]
        calls = [Call(service, session_id=session_id) for session_id in ids]
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(stack.enter_async_context(call), name="call")
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(call.agent_joins(AGENT_WITHIN_S), name="agent joins")
        yield [await resident(system, call) for call in calls]


async def resident(system: System, call: Call) -> Resident:
    pid = (await record_of(system, call.session_id)).agent_pid
    assert pid is not None
    return Resident(call, pid)


def by_house(residents: Sequence[Resident]) -> list[list[Call]]:
    """The callers of each process, the fullest first."""
    houses = defaultdict(list)
    for one in residents:
        houses[one.pid].append(one.call)
    return sorted(houses.values(), key=len, reverse=True)


async def all_answer(calls: Sequence[Call], addend: int) -> None:
    """Each caller asks for a sum in its own thousand, all at once, and hears that one; of all that
    it ever heard, none is another caller's.
    """
    async with asyncio.TaskGroup() as group:
        for call in calls:
            own = thousand(call)
            group.create_task(ask(call, f"{own} plus {addend}", str(own + addend)), name="ask")
    for call in calls:
        said = " ".join(line.text for line in call.caller.lines_of("agent"))
        heard = {int(number) // 1000 * 1000 for number in re.findall(r"is (\d+)", said)}
        assert heard == {thousand(call)}, said


def thousand(call: Call) -> int:
    return int(call.session_id.split("-")[1]) * 1000


async def says(call: Call, words: str, answer: str) -> None:
    await call.caller.type(words)
    await call.caller.wait_for_line("agent", lambda line: answer in line.text, ANSWER_S)


async def attempts(system: System, calls: Sequence[Call]) -> list[int]:
    return [(await record_of(system, call.session_id)).attempt for call in calls]


async def has_new_agent(call: Call, within_s: float) -> None:
    """Wait until one agent, and not the first one, is with the caller."""
    first = agent_identity(call.session_id, 1)

    async def is_there() -> bool:
        here = [seen.identity for seen in call.caller.agents if seen.left is None]
        return len(here) == 1 and here != [first]

    await until(is_there, within_s, lambda: str(call.caller.agents))


async def supersede(system: System, session: Session) -> None:
    """Have another attempt take the session, as if its agent were gone."""
    redis = connect(system.redis_url)
    try:
        lost = ev.AgentLost(at=time.time(), attempt=session.attempt, detail="by a test")
        await SessionStore(redis, BOUNDS).record(session.id, lost)
    finally:
        await redis.aclose()


async def test_what_happens_to_one_conversation_leaves_its_neighbours_talking(
    system: System,
) -> None:
    """A burst gets its agents, several to a process. A tool that raises, one that holds the loop,
    an agent that is replaced, a caller who leaves: each neighbour is answered what it asked.
    """
    async with burst(system, CALLERS) as residents:
        houses = by_house(residents)
        calls = [one.call for one in residents]
        assert await attempts(system, calls) == [1] * CALLERS
        assert CALLERS / SEATS <= len(houses) < CALLERS / 2, houses
        assert len(houses[0]) <= SEATS
        await all_answer(calls, 1)

        unlucky, sleepy, replaced, *neighbours = houses[0]
        others = [call for call in calls if call not in houses[0]]
        async with asyncio.TaskGroup() as harm:
            harm.create_task(says(unlucky, "Ring the alarm, please.", "failed"), name="alarm")
            harm.create_task(says(sleepy, "Take a siesta.", "short siesta"), name="siesta")
            harm.create_task(all_answer([*neighbours, *others], 2), name="neighbours")
        held = held_by("siesta", system)
        assert len(held) == 1
        assert HELD_S / 2 < held[0] < HELD_S * 3

        session = await record_of(system, replaced.session_id)
        async with watched(system, replaced.caller.room_name) as watch:
            await supersede(system, session)
            await has_new_agent(replaced, AGENT_WITHIN_S)
        assert watch.most == 1
        await all_answer([replaced, *neighbours, *others], 3)
        await unlucky.end()
        await all_answer([replaced, sleepy, *neighbours], 4)
        still = [sleepy, *neighbours, *others]
        assert await attempts(system, still) == [1] * len(still)


def held_by(function: str, system: System) -> list[float]:
    """How long that function held its loop, by the worker's log."""
    lines = system.supervisor.log_tail("worker", 2000)
    held = [line for line in lines if "house.held" in line and f":{function}" in line]
    return [float(re.search(r'"late_s": ([\d.]+)', line)[1]) for line in held]  # type: ignore[index]


async def test_a_lost_process_costs_its_callers_an_agent_and_no_more(system: System) -> None:
    """One process is killed, another one freezes: each caller of them has a new agent, and goes
    on; then everybody leaves, and nothing is left.
    """
    async with burst(system, CALLERS - 2) as residents:
        killed, frozen, *rest = by_house(residents)
        pids = {one.call.session_id: one.pid for one in residents}
        stopped = time.monotonic()
        os.kill(pids[frozen[0].session_id], signal.SIGSTOP)
        os.kill(pids[killed[0].session_id], signal.SIGKILL)
        for call in (*killed, *frozen):
            await has_new_agent(call, NEW_AGENT_WITHIN_S)
        print(f"frozen until all have new agents: {time.monotonic() - stopped:.2f} s")  # noqa: T201
        await all_answer([one.call for one in residents], 5)
        untouched = [call for house in rest for call in house]
        assert await attempts(system, untouched) == [1] * len(untouched)
        assert not any(psutil.pid_exists(pids[house[0].session_id]) for house in (killed, frozen))
    async with census_of(system) as census:
        for one in residents:
            await census.over(one.call.session_id, CLEAN_S)
        await census.nothing_left(CLEAN_S)


async def test_new_jobs_go_to_new_processes_after_a_reload_and_a_drain_ends_them(
    system: System, tmp_path: Path
) -> None:
    """SIGHUP: a file with which no process gets ready is refused; with a right one who talks goes
    on, and who comes next has a new process. SIGTERM: both finish, and no process is left.
    """
    file = tmp_path / "agents.yaml"
    write_agents(file)
    part = system.supervisor["worker"].part
    await system.supervisor.stop("worker")
    settings = {**DENSE, "ASSISTANT_AGENTS_FILE": str(file)}
    async with worker(system, "current", **settings) as hand:
        async with burst(system, 1) as (old,):

            async def is_warm() -> bool:
                return bool((await hand.page("/worker"))[1]["warm"] >= 2)

            # A pool fills up again a moment after a start.
            await until(is_warm, 20, hand.said)
            digest = (await hand.page("/worker"))[1]["catalog"]
            write_agents(file, "Good day!", "of_which_there_is_none")
            os.kill(hand.pid, signal.SIGHUP)

            async def is_refused() -> bool:
                return "catalog.refused" in hand.said()

            await until(is_refused, 20, hand.said)
            assert "job processes do not get ready with it" in hand.said()
            write_agents(file, "Good day!")
            os.kill(hand.pid, signal.SIGHUP)

            async def is_taken() -> bool:
                beat = (await hand.page("/worker"))[1]
                assert beat["warm"] >= 2, "no seat was ready"
                return bool(beat["catalog"] != digest)

            await until(is_taken, 30, hand.said)
            async with burst(system, 2) as new:
                assert new[0].pid == new[1].pid != old.pid
                everything = family(hand.pid)
                hand.terminate()
                await until(hand.is_draining, 5, hand.said)
                await all_answer([old.call, *(one.call for one in new)], 6)
        assert await ended(hand.running, scaled(20)) == 0
        await gone(everything, 5)
    await system.supervisor.start(part)
