"""Agents that are lost in the middle of a conversation, and the conversations that go on."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml

from assistant.rehearsal.scenario import Call
from tests.acceptance.recovery import (
    another_worker,
    identity,
    kill_job,
    remove,
    watched,
    whereabouts,
)
from tests.acceptance.system import PROJECT, System, running_system
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER_S = scaled(20)
RECOVERY_S = scaled(45)
STEP_S = 0.05
FIRST, SECOND = "worker", "worker-2"
RESUME = "Sorry, I was away for a moment."
AGENTS_FILE = "agents.yaml"
#: A tool of the second worker's, which every job process imports before it is ready.
TOOL = "breakable"
WORKING = "def look(place: str) -> str:\n    return place\n"


def _write_agents(path: Path, *tools: dict[str, str]) -> None:
    """The project's agents, and two of our own; the `tools` are those of one of them."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agents = document["agents"]
    agents["forgotten"] = {**agents["assistant"], "limits": {"inactivity_timeout_s": 2}}
    agents["polite"] = {**agents["assistant"], "resume_sentence": RESUME, "tools": list(tools)}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agent-loss")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(folder: Path) -> AsyncIterator[System]:
    """Two workers. Their watchdogs wait for so long that a stopped worker can go on."""
    _write_agents(folder / AGENTS_FILE)
    environ = {
        "ASSISTANT_AGENTS_FILE": str(folder / AGENTS_FILE),
        "ASSISTANT_WATCHDOG_TIMEOUT": "120",
        "PREWARM_POOL_SIZE": "1",
        # LiveKit sends half of the attempts to a stopped worker, and six in a row one time in 60.
        "BOT_STARTUP_TIMEOUT": "80",
    }
    async with running_system(folder, environ=environ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two_workers(system: System, folder: Path) -> System:
    own_agents = folder / f"{SECOND}.yaml"
    (folder / f"{TOOL}.py").write_text(WORKING, encoding="utf-8")
    _write_agents(own_agents, {"type": "python", "function": f"{TOOL}:look"})
    own = {"ASSISTANT_AGENTS_FILE": str(own_agents), "PYTHONPATH": str(folder)}
    part = another_worker(system, SECOND, **own)
    await system.supervisor.start(part)
    return system


async def eventually(condition: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(STEP_S)


async def process_ends(pid: int, timeout_s: float) -> None:
    async def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await eventually(gone, timeout_s)


async def ready_processes(system: System, worker: str) -> list[int]:
    """The job processes that the worker says have got ready, the newest last."""
    entries = (json.loads(line) for line in system.supervisor.log_tail(worker, 500) if "{" in line)
    return [entry["pid"] for entry in entries if entry.get("event") == "process initialized"]


async def listens(call: Call, agent: str) -> None:
    """Wait until that agent, and no other, is there and hears the caller."""

    async def is_listening() -> bool:
        here = [seen for seen in call.caller.agents if seen.left is None]
        return [seen.identity for seen in here] == [agent] and here[0].state == "listening"

    await eventually(is_listening, RECOVERY_S)


async def ask(call: Call, attempt: int, question: str, answer: str) -> None:
    """Types something to the attempt's agent, and waits for an answer with certain words."""
    await listens(call, identity(call.session_id, attempt))
    asked = time.monotonic()
    await call.caller.type(question)
    await call.caller.wait_for_line(
        "agent", lambda line: line.first_at >= asked and answer in line.text, ANSWER_S
    )


async def chat(system: System, question: str) -> str:
    """What the language model was last sent that holds this question."""
    return [sent for sent in map(str, await system.vendor_requests("groq")) if question in sent][-1]


async def timeline(system: System, session_id: str) -> list[tuple[str, int | None]]:
    async with system.http() as client:
        shown = (await client.get(f"/api/sessions/{session_id}")).json()
    return [
        (entry["name"], (entry.get("data") or entry).get("attempt")) for entry in shown["timeline"]
    ]


async def logged(system: System, session_id: str, *, attempt: int) -> list[dict[str, object]]:
    async with system.http() as client:
        shown = (await client.get(f"/api/sessions/{session_id}/logs")).json()
    return [line for line in shown["lines"] if line["attempt"] == attempt]


async def test_a_job_that_never_begins_is_given_up(system: System) -> None:
    """A job process that is stuck when it gets its job: another one takes the session, in time."""
    (stuck,) = (await ready_processes(system, FIRST))[-1:]
    os.kill(stuck, signal.SIGSTOP)
    try:
        async with system.service() as service, Call(service) as call:
            await call.agent_joins(RECOVERY_S)
            found = await whereabouts(system, call.session_id)
            assert found.attempt > 1
            assert found.job_pid != stuck
            await ask(call, found.attempt, "What is two plus three?", "5")
            os.kill(stuck, signal.SIGCONT)
            async with watched(system, call.caller.room_name) as watch:
                # It learns that its attempt is over, and leaves without having been in the room.
                await process_ends(stuck, scaled(30))
                assert identity(call.session_id, 1) not in watch.present
                assert watch.most <= 1
            await call.end()
    finally:
        with suppress(ProcessLookupError):
            os.kill(stuck, signal.SIGCONT)


async def test_a_killed_job_is_replaced_and_the_conversation_goes_on(system: System) -> None:
    """A job is killed (-9): the next agent is alone, knows what was said, and does not greet."""
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        await call.greeting()
        await ask(call, 1, "What is two plus three?", "5")
        before = await whereabouts(system, call.session_id)
        async with watched(system, call.caller.room_name) as watch:
            await watch.joined(identity(call.session_id, before.attempt), ANSWER_S)
            kill_job(before.job_pid)
            await watch.joined(identity(call.session_id, before.attempt + 1), RECOVERY_S)
            await ask(call, before.attempt + 1, "What is ten plus ten?", "20")
            assert watch.most == 1
            assert watch.here == {identity(call.session_id, before.attempt + 1)}
        sent = await chat(system, "ten plus ten")
        assert "two plus three" in sent
        assert "voice assistant. How can I help" in sent, "the greeting is part of what was said"
        assert await _greetings(system, call.session_id) == 1
        happened = await timeline(system, call.session_id)
        stages = ("received", "accepted", "launched", "claimed", "joined", "spoke")
        for attempt in (before.attempt, before.attempt + 1):
            for stage in stages:
                assert (f"agent.{stage}", attempt) in happened
        assert ("agent.lost", before.attempt) in happened
        await call.end()


async def _greetings(system: System, session_id: str) -> int:
    async with system.http() as http:
        transcript = (await http.get(f"/api/sessions/{session_id}/transcript")).json()
    return sum("How can I help" in item["text"] for item in transcript["items"])


async def test_a_removed_agent_is_replaced_by_one_that_says_so(system: System) -> None:
    """An agent that is removed from its room is replaced; `resume_sentence` is said then."""
    async with system.service() as service, Call(service, config={"agent": "polite"}) as call:
        await call.agent_joins()
        lost_at = time.monotonic()
        await remove(system, call.caller.room_name, identity(call.session_id, 1))
        line = await call.caller.wait_for_line(
            "agent", lambda said: said.first_at >= lost_at, RECOVERY_S
        )
        assert RESUME.startswith(line.text.strip()[:5])
        await call.end()


async def test_silence_of_both_sides_ends_the_session(system: System) -> None:
    """Nobody speaks for as long as the agent's limit says: the session ends as inactive."""
    async with system.service() as service, Call(service, config={"agent": "forgotten"}) as call:
        await call.agent_joins()

        async def over() -> bool:
            return (await call.session()).status == "ended"

        await eventually(over, RECOVERY_S)
        assert (await call.session()).reason == "inactivity"


async def test_a_stopped_worker_is_replaced_and_stays_silent(two_workers: System) -> None:
    """SIGSTOP of a worker: its session moves. When it goes on, its old agent does not come back."""
    system = two_workers
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        await ask(call, 1, "What is two plus three?", "5")
        before = await whereabouts(system, call.session_id)
        old = identity(call.session_id, before.attempt)
        async with watched(system, call.caller.room_name) as watch:
            await watch.joined(old, ANSWER_S)
            system.supervisor.kill(before.part, signal.SIGSTOP)
            try:

                async def moved() -> bool:
                    return bool(watch.here - {old})

                await eventually(moved, RECOVERY_S)
                assert old not in watch.here
            finally:
                system.supervisor.kill(before.part, signal.SIGCONT)
            await process_ends(before.job_pid, scaled(20))
            attempt = (await whereabouts(system, call.session_id)).attempt
            await ask(call, attempt, "What is ten plus ten?", "20")
            assert watch.most == 1
            assert old not in watch.here
            assert (await whereabouts(system, call.session_id)).part != before.part
        await call.end()


async def test_a_pool_that_cannot_get_ready_says_why_and_recovers(
    two_workers: System, folder: Path
) -> None:
    """Processes that cannot initialize: 503 with the reason, few tries, no jobs; then as before."""
    system = two_workers
    tool = folder / f"{TOOL}.py"
    (port,) = {
        int(value)
        for name, value in system.supervisor[SECOND].part.env.items()
        if name == "ASSISTANT_WORKER_HTTP_PORT"
    }
    tool.write_text("raise RuntimeError('the shelf is empty')\n", encoding="utf-8")
    (warm,) = (await ready_processes(system, SECOND))[-1:]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def readiness() -> httpx.Response:
            return await client.get("/readyz")

        async def failing() -> bool:
            return "do not get ready" in (await readiness()).text

        async def fine() -> bool:
            return (await readiness()).status_code == 200

        tries_before = _tries(system)
        os.kill(warm, signal.SIGKILL)
        await eventually(failing, RECOVERY_S)
        answer = await readiness()
        assert answer.status_code == 503
        assert TOOL in answer.json()["reason"]
        async with system.service() as service, Call(service) as call:
            await call.agent_joins()
            assert (await whereabouts(system, call.session_id)).part == FIRST
            await call.end()
        assert _tries(system) - tries_before <= 10
        tool.write_text(WORKING, encoding="utf-8")
        await eventually(fine, RECOVERY_S)


def _tries(system: System) -> int:
    return sum("initializing process" in line for line in system.supervisor.log_tail(SECOND, 2000))


async def test_a_killed_worker_is_replaced_by_another(two_workers: System) -> None:
    """A worker is killed (-9) with all its processes: the other worker takes its session over.

    What the killed job had logged is still told.
    """
    system = two_workers
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        await ask(call, 1, "What is two plus three?", "5")

        async def has_lines() -> bool:
            return bool(await logged(system, call.session_id, attempt=1))

        await eventually(has_lines, RECOVERY_S)
        before_death = await logged(system, call.session_id, attempt=1)
        before = await whereabouts(system, call.session_id)
        async with watched(system, call.caller.room_name) as watch:
            system.supervisor.kill(before.part)
            await watch.joined(identity(call.session_id, before.attempt + 1), RECOVERY_S)
            after = await whereabouts(system, call.session_id)
            assert {before.part, after.part} == {FIRST, SECOND}
            await ask(call, before.attempt + 1, "What is ten plus ten?", "20")
            assert watch.most == 1
        assert "two plus three" in await chat(system, "ten plus ten")
        told = await logged(system, call.session_id, attempt=1)
        assert told[: len(before_death)] == before_death
        await call.end()
