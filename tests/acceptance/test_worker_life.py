"""A worker's life: ready, serving, draining, stopped, frozen, killed; and nothing left of it."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from livekit import api

from assistant.catalog import Catalog
from assistant.local_stack.parts import worker_part
from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.supervisor import RunningPart
from assistant.local_stack.valkey import valkey_part, valkey_url
from assistant.rehearsal.scenario import Call
from assistant.sessions.record import Session
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.workers import Beat, WorkerRegistry
from assistant.worker.process import watching
from tests.acceptance.asking import THE_TIME, asks_aloud
from tests.acceptance.commands import ended, family, gone, until
from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_command_line import greeted, room
from tests.acceptance.test_main_job import CLOCK, livekit, settled
from tests.timing import scaled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("alone")]

OK = 0
CUT_SHORT = 1
ANSWER_WITHIN_S = 15.0
AGENT_WITHIN_S = 30.0
EXIT_WITHIN_S = 15.0
# With the old agent's participant removed and a warm process, a second is much.
NEW_AGENT_WITHIN_S = 10.0
GONE_WITHIN_S = 5.0
BEATS_AGAIN_WITHIN_S = 10.0
KEEP_S = 60.0
BOUNDS = Bounds(max_bots=50, queue_limit=200, keep_s=KEEP_S)


@dataclass(frozen=True)
class Hand:
    """A running worker; its health page is at `port`."""

    running: RunningPart
    port: int

    @property
    def pid(self) -> int:
        return self.running.pid

    def said(self) -> str:
        return "\n".join(self.running.log_tail(1000))

    async def page(self, path: str) -> tuple[int, dict[str, Any]]:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{self.port}") as client:
            answer = await client.get(path)
        return answer.status_code, answer.json()

    async def id(self) -> str:
        _, beat = await self.page("/worker")
        return str(beat["id"])

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def is_draining(self) -> bool:
        return await self.page("/readyz") == (503, {"status": "not ready", "reason": "draining"})


@asynccontextmanager
async def worker(system: System, name: str, **settings: str) -> AsyncIterator[Hand]:
    """One more worker, ready; on leaving it is stopped as by two SIGTERMs, if it still runs."""
    port = free_port()
    env = {**system.environ, "PREWARM_POOL_SIZE": "1", **settings}
    running = await system.supervisor.start(
        worker_part(name=name, http_port=port, env=env, cwd=PROJECT)
    )
    try:
        yield Hand(running, port)
    finally:
        await system.supervisor.stop(name)


async def record_of(system: System, session_id: str) -> Session:
    redis = connect(system.redis_url)
    try:
        return await SessionStore(redis, BOUNDS).get(session_id)
    finally:
        await redis.aclose()


async def beats(redis_url: str) -> dict[str, Beat]:
    redis = connect(redis_url)
    try:
        registry = WorkerRegistry(redis, keep_s=KEEP_S)
        return {beat.id: beat for beat in await registry.alive()}
    finally:
        await redis.aclose()


@asynccontextmanager
async def conversation(system: System, **options: Any) -> AsyncIterator[Call]:
    """A caller who is being greeted."""
    async with system.service() as service, Call(service, **options) as call:
        await call.agent_joins(scaled(AGENT_WITHIN_S))
        await call.caller.wait_for_line("agent", lambda line: bool(line.text), scaled(15))
        yield call


async def ask(call: Call, sum_: str, answer: str) -> None:
    """Type a sum, and wait for its result in what the agent says after."""
    async with asyncio.timeout(scaled(ANSWER_WITHIN_S)):
        # Who has only just joined does not read yet.
        while call.caller.agent_state in {None, "initializing"}:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
    asked = time.monotonic()
    await call.caller.type(f"What is {sum_}?")
    await call.caller.wait_for_line(
        "agent",
        lambda line: line.first_at >= asked and answer in line.text,
        scaled(ANSWER_WITHIN_S),
    )


async def test_a_worker_shows_how_it_is_and_leaves_nothing(system: System) -> None:
    """Alive, ready, beating; after SIGTERM exit 0, no process of it, and no beat in Redis."""
    async with worker(system, "healthy") as hand:
        assert await hand.page("/livez") == (200, {"status": "ok"})
        assert await hand.page("/readyz") == (200, {"status": "ready"})
        status, beat = await hand.page("/worker")
        assert status == 200
        assert (beat["pid"], beat["jobs"], beat["warm"]) == (hand.pid, 0, 1)
        assert beat["registered"]
        assert not beat["draining"]
        assert beat["id"] in await beats(system.redis_url)

        everything = family(hand.pid)
        assert len(everything) > 2
        hand.terminate()
        assert await ended(hand.running, EXIT_WITHIN_S) == OK
        await gone(everything, GONE_WITHIN_S)
        assert beat["id"] not in await beats(system.redis_url)


async def test_a_draining_worker_finishes_while_another_takes_over(system: System) -> None:
    """SIGTERM with a session live: it goes on, new ones go elsewhere, then exit 0 and no beat."""
    async with (
        worker(system, "leaving") as leaving,
        conversation(system) as call,
        worker(system, "staying") as staying,
    ):
        leaving_id, staying_id = await leaving.id(), await staying.id()
        assert (await record_of(system, call.session_id)).worker == leaving_id
        everything = family(leaving.pid)
        for process in everything:  # as process managers do that signal all of a service
            process.terminate()
        await until(leaving.is_draining, 5, leaving.said)

        spoken = await asks_aloud(call, THE_TIME)
        assert CLOCK.search(spoken.reply.text)
        async with asyncio.TaskGroup() as callers:
            takers = [callers.create_task(taker(system), name="caller") for _ in range(3)]
        assert {task.result() for task in takers} == {staying_id}
        await ask(call, "two plus three", "5")
        assert await leaving.is_draining()
        assert (await beats(system.redis_url))[leaving_id].draining

        await call.end()
        assert await ended(leaving.running, EXIT_WITHIN_S) == OK
        await gone(everything, GONE_WITHIN_S)
        assert leaving_id not in await beats(system.redis_url)
        assert await settled(system, call.session_id) == "ended"
        assert (await record_of(system, call.session_id)).attempt == 1


async def taker(system: System) -> str | None:
    """The worker that takes a new session."""
    async with system.service() as service, Call(service) as call:
        await call.agent_joins(scaled(AGENT_WITHIN_S))
        return (await record_of(system, call.session_id)).worker


async def test_a_dead_watchdog_is_replaced(system: System) -> None:
    """Whatever kills the watching process does not end the worker, nor leave it unwatched."""
    async with worker(system, "watched") as hand:
        (first,) = watchdogs(hand.pid)
        first.kill()

        async def is_replaced() -> bool:
            return watchdogs(hand.pid) not in ([], [first])

        await until(is_replaced, 5, hand.said)
        assert await hand.page("/readyz") == (200, {"status": "ready"})


def watchdogs(pid: int) -> list[psutil.Process]:
    found = []
    for process in family(pid):
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if watching.__file__ in process.cmdline():
                found.append(process)
    return found


async def test_a_dead_turn_model_is_replaced_within_the_call(system: System) -> None:
    """The next turn is answered, whoever hears its end; nothing of either is left."""
    async with (
        worker(system, "hearing") as hand,
        system.service() as service,
        Call(service) as call,
    ):
        assert turn_models(hand) == []
        await call.agent_joins(scaled(AGENT_WITHIN_S))
        await asks_aloud(call, THE_TIME)
        (first,) = turn_models(hand)
        psutil.Process(first).kill()
        spoken = await asks_aloud(call, THE_TIME)
        assert CLOCK.search(spoken.reply.text)
        everything = family(hand.pid)
        assert turn_models(hand)[0] == first
        assert turn_models(hand)[-1] in {process.pid for process in everything}
        await call.end()
        hand.terminate()
        assert await ended(hand.running, EXIT_WITHIN_S) == OK
        await gone(everything, GONE_WITHIN_S)


def turn_models(hand: Hand) -> list[int]:
    """The processes that had the model, one after another."""
    lines = (json.loads(line) for line in hand.said().splitlines() if "turn_model.started" in line)
    return [line["pid"] for line in lines]


GREETING = "greeting: Hello! I am your voice assistant. How can I help you?"
WRONG: tuple[tuple[str, str, str], ...] = (
    ("greeting: Hello!", "greting: Hello!", "agents.assistant.greting: unknown key"),
    (
        "provider: groq\n      model: llama-3.3-70b-versatile\n      temperature: 0.6",
        (
            "provider: openai-compatible\n      base_url: http://h/v1\n      model: m\n"
            "      api_key_env: HOUSE_KEY"
        ),
        "HOUSE_KEY: is not set, and needed by agent assistant",
    ),
    ("turn_detection: v1-mini", "turn_detection: english", "restart it, or use 'v1-mini'"),
    (
        GREETING,
        GREETING + "\n    tools: [{type: python, function: 'no.such:thing'}]",
        "job processes do not get ready with it",
    ),
)


async def test_a_changed_agents_file_reaches_idle_processes_alone(
    system: System, tmp_path: Path
) -> None:
    """SIGHUP: what is wrong is refused by name, and changes nothing; what is right replaces the
    idle processes, which then have a new provider's module, and touches no conversation.
    """
    file = tmp_path / "agents.yaml"
    shipped = (PROJECT / "agents.yaml").read_text(encoding="utf-8")
    file.write_text(shipped, encoding="utf-8")
    settings = {
        "ASSISTANT_AGENTS_FILE": str(file),
        "PREWARM_POOL_SIZE": "2",
        # It is about idle processes. One that stands by leaves when a new one does, for which the
        # pool has a process less for 0.06 s.
        "ASSISTANT_JOBS_PER_PROCESS": "1",
        "ASSISTANT_STANDBY_JOBS": "0",
    }
    async with worker(system, "current", **settings) as hand, conversation(system) as call:

        async def beat() -> dict[str, Any]:
            return (await hand.page("/worker"))[1]

        async def is_warm() -> bool:
            return bool((await beat())["warm"] == 2)

        await until(is_warm, 20, hand.said)
        digest = (await beat())["catalog"]
        talking = (await record_of(system, call.session_id)).agent_pid
        assert talking is not None
        idle = job_processes(hand) - {talking}
        assert len(idle) == 2

        for number, (right, wrong, why) in enumerate(WRONG, 1):
            file.write_text(shipped.replace(right, wrong, 1), encoding="utf-8")
            os.kill(hand.pid, signal.SIGHUP)

            async def is_refused(times: int = number) -> bool:
                return hand.said().count("catalog.refused") == times

            await until(is_refused, 20, hand.said)
            assert why in hand.said()
            assert (await beat())["catalog"] == digest
            assert idle <= job_processes(hand)

        changed = shipped.replace(GREETING, "greeting: This is another greeting.", 1)
        changed = changed.replace(
            "turn_detection: v1-mini", "vad: {provider: silero}\n    turn_detection: vad", 1
        )
        file.write_text(changed, encoding="utf-8")
        asked = time.monotonic()
        os.kill(hand.pid, signal.SIGHUP)

        async def is_taken() -> bool:
            assert (await beat())["warm"] >= 2, "no process was ready"
            return bool((await beat())["catalog"] != digest)

        await until(is_taken, 30, hand.said)
        print(f"SIGHUP until two idle processes are new: {time.monotonic() - asked:.2f} s")  # noqa: T201
        assert (await beat())["catalog"] == Catalog.load(file).digest
        now = job_processes(hand)
        assert talking in now
        assert not idle & now
        await ask(call, "two plus three", "5")
        async with room(system, "no-session") as client:
            request = api.CreateAgentDispatchRequest(agent_name="assistant", room="no-session")
            await client.agent_dispatch.create_dispatch(request)
            await greeted(system, "no-session", "another greeting")
            await client.room.delete_room(api.DeleteRoomRequest(room="no-session"))
        await call.end()
    assert await settled(system, call.session_id) == "ended"


def job_processes(hand: Hand) -> set[int]:
    """What the worker's forkserver has forked, but for the turn model's process."""
    found = set()
    for process in psutil.Process(hand.pid).children(recursive=True):
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if process.ppid() != hand.pid:
                found.add(process.pid)
    return found - set(turn_models(hand))


async def test_a_second_sigterm_stops_at_once(system: System) -> None:
    """Who cannot wait for the conversations to finish: exit 1, and every process goes."""
    async with worker(system, "impatient") as hand, conversation(system) as call:
        everything = family(hand.pid)
        hand.terminate()
        await until(hand.is_draining, 5, hand.said)
        again = time.monotonic()
        hand.terminate()
        assert await ended(hand.running, 5) == CUT_SHORT
        await gone(everything, GONE_WITHIN_S)
        print(f"second SIGTERM until nothing runs: {time.monotonic() - again:.2f} s")  # noqa: T201
        await call.end()
    assert await settled(system, call.session_id) == "ended"


async def test_the_drain_timeout_ends_what_still_runs(system: System) -> None:
    """A drain is bounded: then conversations are ended, and the exit status says so."""
    async with (
        worker(system, "bounded", ASSISTANT_DRAIN_TIMEOUT="1") as hand,
        conversation(system) as call,
    ):
        everything = family(hand.pid)
        asked = time.monotonic()
        hand.terminate()
        assert await ended(hand.running, EXIT_WITHIN_S) == CUT_SHORT
        print(f"drain time-out of 1 s until exit: {time.monotonic() - asked:.2f} s")  # noqa: T201
        await gone(everything, GONE_WITHIN_S)
        assert "worker.drain_timeout" in hand.said()
        await call.end()
    assert await settled(system, call.session_id) == "ended"


async def test_a_full_worker_lets_the_next_session_wait(system: System) -> None:
    """With one slot the second caller queues, and is served when the first one has ended."""
    async with (
        worker(system, "small", ASSISTANT_MAX_JOBS="1") as hand,
        conversation(system) as first,
        system.service() as service,
        Call(service, user_id="second") as second,
    ):
        assert (await second.session()).status == "queued"
        assert (await hand.page("/worker"))[1]["jobs"] == 1
        freed = time.monotonic()
        await first.end()
        await second.agent_joins(scaled(AGENT_WITHIN_S))
        print(f"slot freed until the next agent: {time.monotonic() - freed:.2f} s")  # noqa: T201
        assert second.caller.agents[0].joined > freed
        assert (await record_of(system, second.session_id)).attempt == 1
        await ask(second, "four plus five", "9")
        await second.end()
    assert await settled(system, second.session_id) == "ended"


@asynccontextmanager
async def most_agents_at_once(system: System, room: str) -> AsyncIterator[list[int]]:
    """The room's numbers of agents, by LiveKit's own list, looked at again and again meanwhile."""
    seen: list[int] = []

    async def look() -> None:
        async with livekit(system) as client:
            while True:
                listed = await client.room.list_participants(api.ListParticipantsRequest(room=room))
                seen.append(
                    sum(p.kind == api.ParticipantInfo.Kind.AGENT for p in listed.participants)
                )
                await asyncio.sleep(0.02)

    task = asyncio.create_task(look(), name="look at the room")
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_killed_job_process_is_replaced(system: System) -> None:
    """Another attempt goes on: never two agents at once, and no second greeting."""
    async with worker(system, "sturdy") as hand, conversation(system) as call:
        session = await record_of(system, call.session_id)
        assert session.attempt == 1
        assert session.agent_pid is not None
        assert session.agent_pid in {process.pid for process in family(hand.pid)}
        async with most_agents_at_once(system, call.caller.room_name) as agents:
            killed = time.monotonic()
            psutil.Process(session.agent_pid).kill()
            replaced = await replaced_by(call, f"agent-{call.session_id}-2")
        print(f"job process killed until the new agent: {replaced - killed:.2f} s")  # noqa: T201
        assert max(agents) == 1
        await ask(call, "two plus three", "5")
        words = [line.text for line in call.caller.lines_of("agent") if line.first_at > killed]
        assert not any("I am your voice assistant" in text for text in words), words
        assert (await hand.page("/readyz"))[0] == 200
        after = await record_of(system, call.session_id)
        assert (after.attempt, after.worker) == (2, session.worker)
        await call.end()
    assert await settled(system, call.session_id) == "ended"


async def replaced_by(call: Call, identity: str) -> float:
    """When the caller saw this agent come."""

    async def came() -> bool:
        return any(agent.identity == identity for agent in call.caller.agents)

    await until(came, NEW_AGENT_WITHIN_S, lambda: str(call.caller.agents))
    return next(agent.joined for agent in call.caller.agents if agent.identity == identity)


async def test_a_frozen_worker_is_killed_by_its_watchdog(system: System) -> None:
    """A hung loop would keep its place in LiveKit's choice: all of the worker is ended."""
    async with worker(system, "frozen", ASSISTANT_WATCHDOG_TIMEOUT="2") as hand:
        everything = family(hand.pid)
        frozen = time.monotonic()
        os.kill(hand.pid, signal.SIGSTOP)
        assert await ended(hand.running, 10) == -signal.SIGKILL
        print(f"SIGSTOP until killed: {time.monotonic() - frozen:.2f} s")  # noqa: T201
        await gone(everything, GONE_WITHIN_S)
        assert "has not beaten for 2 s: killing it" in hand.said()


async def test_a_worker_starts_without_redis_and_beats_when_it_comes(
    system: System, tmp_path: Path
) -> None:
    """Redis being away at the start costs a warning; once it is there, the worker counts."""
    port = free_port()
    url = valkey_url(port)
    async with worker(system, "early", REDIS_URL=url, ASSISTANT_AGENT_NAME="early") as hand:
        assert "worker.beat_failed" in hand.said()
        part = valkey_part(name="late-valkey", port=port, data_dir=tmp_path / "late-valkey")
        await system.supervisor.start(part)
        try:
            worker_id = await hand.id()

            async def is_known() -> bool:
                return worker_id in await beats(url)

            await until(is_known, BEATS_AGAIN_WITHIN_S, hand.said)
        finally:
            await system.supervisor.stop("late-valkey")
        # And away again: it still says goodbye to nobody, and ends well.
        hand.terminate()
        assert await ended(hand.running, EXIT_WITHIN_S) == OK


async def test_nothing_confidential_is_logged(system: System) -> None:
    """Keys, prompts, typed and spoken words, and tokens stand in no log at info level."""
    prompt, greeting, typed = "prompt-canary", "greeting canary", "typed-canary"
    keys = {
        "GROQ_API_KEY": "groq-canary-key",
        "ASSEMBLYAI_API_KEY": "assemblyai-canary-key",
        "INWORLD_API_KEY": "inworld-canary-key",
    }
    config = {"systemPrompt": f"You are a {prompt}.", "greeting": f"Hello, {greeting} speaking."}
    folder = system.supervisor["worker"].log.path.parent
    # Other tests show wrong tokens to LiveKit, which logs them: only what is new counts.
    before = {log: log.stat().st_size for log in folder.glob("*.log*")}
    async with worker(system, "discreet", **keys), conversation(system, config=config) as call:
        await call.caller.type(f"Repeat the words {typed}")
        await call.caller.wait_for_line(
            "agent", lambda line: typed in line.text, scaled(ANSWER_WITHIN_S)
        )
        await call.caller.wait_for_quiet(scaled(ANSWER_WITHIN_S))
        spoken = await asks_aloud(call, THE_TIME)
        await call.end()
        assert await settled(system, call.session_id) == "ended"
    secrets = [prompt, greeting, typed, system.keys.api_secret, "eyJhbGciOi", *keys.values()]
    logs = sorted(folder.glob("*.log*"))
    telling = {log.stem for log in logs if call.session_id in log.read_text(errors="replace")}
    assert {"discreet", "service", "livekit"} <= telling  # the session is in them, and yet:
    for log in logs:
        text = log.read_bytes()[before.get(log, 0) :].decode(errors="replace")
        assert [secret for secret in secrets if secret in text] == [], log
        assert spoken.reply.text not in text, log
        assert spoken.understood not in text, log
