"""Faults that hit many sessions, and what must be true afterwards.

Each row breaks one running system, checks it from outside, and returns its figures. The tests run
them small, `bench/supervision.py` in full.
"""

import asyncio
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import yaml

from assistant.local_stack.parts import service_part
from assistant.local_stack.ports import HOST, free_port
from assistant.rehearsal.scenario import Call
from tests.acceptance.census import Census, census_of, counted
from tests.acceptance.recovery import another_worker, replace_worker
from tests.acceptance.system import PROJECT, System
from tests.timing import scaled

TRUE_WITHIN_S = scaled(15)  # The promise: every record is true this long after the return.
# BOT_STARTUP_TIMEOUT and the wait for a slot, while every worker is killed again and again.
START_S = scaled(60)
CLEAN_S = scaled(40)  # A sweep every 15 s, and 10 s of grace for a room.
HOLD_S = (0.3, 2.5)
KILL_EVERY_S = (2.0, 4.0)
DOWN_S = 2.0
RETRY_S = 0.05
SPARE_WORKERS = ("worker-2", "worker-3")
Figures = dict[str, object]
#: An agent with short waits for its caller; see `write_agents`.
SHORT = {"agent": "hasty"}
FATES = ("leaves", "never_comes", "deleted", "ended")


def write_agents(path: Path) -> None:
    """The project's agents, and one that does not wait long for its caller."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agents = document["agents"]
    waits = {"user_join_timeout_s": 2, "user_return_timeout_s": 2}
    agents["hasty"] = {**agents["assistant"], "limits": waits}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def new_ids(n: int, label: str) -> list[str]:
    return [f"{label}-{uuid.uuid4().hex[:8]}" for _ in range(n)]


async def start(client: httpx.AsyncClient, session_id: str) -> httpx.Response:
    body = {"sessionId": session_id, "userId": "rehearsal", "config": {"greeting": None}}
    return await client.post("/api/session/start", json=body)


async def end_all(system: System, census: Census, session_ids: Sequence[str]) -> None:
    async with system.http() as client:
        for session_id in session_ids:
            await client.post("/api/session/end", json={"sessionId": session_id})
    for session_id in session_ids:
        await census.over(session_id, START_S)


async def starts_under_kills(system: System, *, n: int, at_once: int, seed: int) -> Figures:
    """`n` sessions come and go while workers are killed: one agent each, or a named failure."""
    rng = random.Random(seed)  # noqa: S311 - it places faults in time
    ids, live, outcomes, attempts = new_ids(n, "kills"), set[str](), Counter[str](), 0
    living, all_over = set(worker_names(system)), asyncio.Event()
    places = asyncio.Semaphore(at_once)
    began = time.monotonic()
    async with census_of(system) as census, system.http() as client:

        async def one(session_id: str, hold_s: float) -> None:
            nonlocal attempts
            async with places:
                live.add(session_id)
                answer = await start(client, session_id)
                assert answer.status_code == 200, answer.text
                await census.settled([session_id], START_S)
                await asyncio.sleep(hold_s)
                await census.settled([session_id], START_S)
                standing = await census.standing(session_id)
                if standing.status == "active":
                    await client.post("/api/session/end", json={"sessionId": session_id})
                    standing = await census.over(session_id, START_S)
                    outcomes["ended:" + str(standing.reason)] += 1
                else:
                    outcomes[f"{standing.status}:{standing.reason}"] += 1
                attempts += standing.attempt
                live.discard(session_id)

        kills = 0

        async def kill_workers() -> None:
            """One after the other, without waiting until the last one's replacement is ready."""
            nonlocal kills
            async with asyncio.TaskGroup() as replacing:
                while not await happens(all_over, rng.uniform(*KILL_EVERY_S)):
                    if names := sorted(living):
                        kills += 1
                        name = rng.choice(names)
                        living.discard(name)
                        replacing.create_task(replaced(name), name=f"replace {name}")

        async def replaced(name: str) -> None:
            await replace_worker(system, name)
            living.add(name)

        async with counted(census, lambda: live) as count, asyncio.TaskGroup() as killing:
            killing.create_task(kill_workers(), name="kill workers")
            try:
                async with asyncio.TaskGroup() as group:
                    for session_id in ids:
                        group.create_task(one(session_id, rng.uniform(*HOLD_S)), name=session_id)
            finally:
                all_over.set()
        await census.nothing_left(CLEAN_S)
        await processes_end(count.alive)
    assert sum(outcomes.values()) == n
    assert count.most == 1
    return {
        "starts": n,
        "at_once": at_once,
        "kills": kills,
        "outcomes": dict(outcomes),
        "attempts": attempts,
        "most_agents_at_once": count.most,
        "took_s": round(time.monotonic() - began, 1),
    }


def worker_names(system: System) -> list[str]:
    names = (running.part.name for running in system.supervisor.running)
    return [name for name in names if name.startswith("worker")]


async def happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def processes_end(alive: Callable[[], set[int]]) -> None:
    async with asyncio.timeout(CLEAN_S):
        while alive():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def talking(system: System, *, silent: int, callers: int) -> AsyncIterator[list[Call | str]]:
    """Sessions whose agents are there: some with a caller, some without."""
    async with AsyncExitStack() as stack, census_of(system) as census:
        service = await stack.enter_async_context(system.service())
        client = await stack.enter_async_context(system.http())
        ids = new_ids(silent, "silent")
        for session_id in ids:
            assert (await start(client, session_id)).status_code == 200
        calls = [await stack.enter_async_context(Call(service)) for _ in range(callers)]
        for call in calls:
            await call.agent_joins(START_S)
        await census.settled(ids, START_S)
        yield [*calls, *ids]
        await end_all(system, census, ids)


def ids_of(sessions: Sequence[Call | str]) -> list[str]:
    return [s if isinstance(s, str) else s.session_id for s in sessions]


async def restart(system: System, name: str, *, down_s: float = DOWN_S) -> None:
    """Kill a part (-9), leave it away for a while, and start it again."""
    running = system.supervisor[name]
    running.stopping = True
    system.supervisor.kill(name, signal.SIGKILL)
    await running.exited.wait()
    await asyncio.sleep(down_s)
    await system.supervisor.start(running.part)


async def livekit_restarts(system: System, *, sessions: int = 3, callers: int = 1) -> Figures:
    """LiveKit is killed and comes back: every record is true within 15 s, none has two agents."""
    async with talking(system, silent=sessions - callers, callers=callers) as them:
        ids = ids_of(them)
        async with census_of(system) as census:
            await restart(system, "livekit")
            census.joined_since = time.time() - DOWN_S
            back = time.monotonic()
            async with counted(census, lambda: ids) as count:
                # An emptied room is true only once its agent is back or replaced.
                true_s = await census.settled(ids, TRUE_WITHIN_S)
                statuses = Counter([(await census.standing(i)).status for i in ids])
                assert time.monotonic() - back < TRUE_WITHIN_S
            assert count.most <= 1
    return {"sessions": len(ids), "true_s": round(true_s, 2), "statuses": dict(statuses)}


async def redis_restarts(system: System, *, sessions: int = 3, callers: int = 1) -> Figures:
    """Our Redis is killed and comes back: 503 meanwhile, talk goes on, then all is true."""
    async with talking(system, silent=sessions - callers, callers=callers) as them:
        ids = ids_of(them)
        call = next(s for s in them if isinstance(s, Call))
        async with census_of(system) as census:
            await census.persisted()
            running = system.supervisor["valkey"]
            running.stopping = True
            system.supervisor.kill("valkey", signal.SIGKILL)
            await running.exited.wait()
            async with system.http() as client:
                refused = await start(client, "while-away")
            assert refused.status_code == 503, refused.text
            assert refused.json()["code"] == "store_unavailable"
            asked = time.monotonic()
            await call.caller.type("What is two plus three?")
            await call.caller.wait_for_line(
                "agent", lambda line: line.first_at >= asked and "5" in line.text, scaled(20)
            )
            away_s = time.monotonic() - asked
            await system.supervisor.start(running.part)
            true_s = await census.settled(ids, TRUE_WITHIN_S)
            attempts = [(await census.standing(session_id)).attempt for session_id in ids]
        assert attempts == [1] * len(ids), "an outage of Redis is no loss of an agent"
    return {"sessions": len(ids), "away_s": round(away_s, 2), "true_s": round(true_s, 2)}


async def replica_dies(system: System, *, n: int, seed: int) -> Figures:
    """A replica is killed with requests in flight: what it had promised, the other one keeps."""
    rng = random.Random(seed)  # noqa: S311 - it places the fault in time
    port = free_port(taken=system.ports.values())
    part = service_part(port=port, env=system.environ, name=f"replica-{port}", cwd=PROJECT)
    running = await system.supervisor.start(part)
    ids = new_ids(n, "replica")
    answered: dict[str, str] = {}
    async with census_of(system) as census, httpx.AsyncClient(timeout=10) as client:

        async def ask(session_id: str, base: str) -> httpx.Response:
            body = {"sessionId": session_id, "userId": "rehearsal", "config": {"greeting": None}}
            headers = {"Idempotency-Key": session_id}
            url = f"{base}/api/session/start"
            return await client.post(url, json=body, headers=headers)

        async def ask_the_replica(session_id: str) -> None:
            with suppress(httpx.HTTPError):  # that is what its death looks like
                answer = await ask(session_id, f"http://{HOST}:{port}")
                answered[session_id] = answer.json()["taskId"]

        asking = [asyncio.create_task(ask_the_replica(i), name=i) for i in ids]
        await asyncio.wait(asking[: rng.randrange(1, n)], return_when=asyncio.FIRST_COMPLETED)
        running.stopping = True
        system.supervisor.kill(part.name, signal.SIGKILL)
        await asyncio.gather(*asking)
        killed = time.monotonic()
        promised = dict(answered)
        true_s = await census.settled(promised, TRUE_WITHIN_S)
        for session_id in ids:
            async with asyncio.timeout(START_S):
                # 409 for as long as the dead replica's try counts as under way.
                while (again := await ask(session_id, system.service_url)).status_code == 409:  # noqa: ASYNC110
                    await asyncio.sleep(RETRY_S)
            assert again.status_code == 200, again.text
            assert promised.get(session_id, again.json()["taskId"]) == again.json()["taskId"]
        await census.settled(ids, START_S)
        took_s = time.monotonic() - killed
        agents = [len(await census.agents(session_id)) for session_id in ids]
        assert max(agents) <= 1
        await end_all(system, census, [i for i in ids if await census.agents(i)])
    return {
        "starts": n,
        "answered_before": len(promised),
        "true_s": round(true_s, 2),
        "all_s": round(took_s, 2),
    }


async def add_workers(system: System, n: int) -> None:
    for name in SPARE_WORKERS[:n]:
        await system.supervisor.start(another_worker(system, name))


async def fates(system: System, mode: str) -> dict[str, tuple[str | None, str | None]]:
    """Four sessions that end in four ways, under names that hold `mode`: status and reason each."""
    async with AsyncExitStack() as stack, census_of(system) as census:
        service = await stack.enter_async_context(system.service())
        client = await stack.enter_async_context(system.http())
        names = {fate: f"{mode}-{fate}-{uuid.uuid4().hex[:6]}" for fate in FATES}

        async def leaves() -> None:
            call = Call(service, session_id=names["leaves"], config=SHORT)
            await call.__aenter__()
            await call.agent_joins(START_S)
            # Who comes and goes between two looks was never there, if no webhook tells.
            await census.user_seen(names["leaves"], START_S)
            await call.caller.__aexit__(None, None, None)

        async def never_comes() -> None:
            body = {"sessionId": names["never_comes"], "userId": "nobody", "config": SHORT}
            assert (await client.post("/api/session/start", json=body)).status_code == 200

        async def deleted() -> None:
            async with Call(service, session_id=names["deleted"], config=SHORT) as call:
                await call.agent_joins(START_S)
                await census.delete_room(names["deleted"])
                await census.over(names["deleted"], START_S)

        async def ended() -> None:
            async with Call(service, session_id=names["ended"], config=SHORT) as call:
                await call.agent_joins(START_S)
                await call.end()

        await asyncio.gather(leaves(), never_comes(), deleted(), ended())
        over = {fate: await census.over(name, START_S) for fate, name in names.items()}
        return {fate: (standing.status, standing.reason) for fate, standing in over.items()}
