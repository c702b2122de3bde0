"""Does the service slow down with what it has stored? `python -m bench.stored_sessions`.

Two services, each with a Valkey and a livekit-server of its own, run side by side: one with few
stored sessions, one with many. The same requests go to both, in turn, so that whatever else the
machine does meets both alike. Prints one JSON line: p50 and p99 of each in seconds, their ratio,
and the bytes that one stored session takes in Redis.
"""

import argparse
import asyncio
import json
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from bench.http_load import until_idle
from tests.integration.http_stack import Stack, running_stack
from tests.integration.session_servers import new_session

from assistant.sessions import events as ev
from assistant.sessions.item import Item
from assistant.sessions.record import Reason
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.tally import LATENCIES
from assistant.sessions.usage import Spent, Usage

KEEP_S = 86_400.0
FILLERS = 16  # sessions that are stored at once
PAGE = 10  # sessions in a listed page: both services have as many
USERS = 500
TURNS = 10
SENTENCE = "Why did the scarecrow win a prize? Because he was outstanding in his field."
SDK_REPORT_BYTES = 1500  # the SDK's own session report, as measured
Request = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]


async def fill(stack: Stack, count: int, rng: random.Random, spec: str) -> float:
    """Store `count` sessions that are over; returns the bytes that one takes."""
    async with connect(stack.redis_url) as redis:
        store = SessionStore(redis, Bounds(max_bots=100_000, queue_limit=100, keep_s=KEEP_S))
        archive = Archive(redis)
        before = int((await redis.info("memory"))["used_memory"])
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                now = time.time()
                session = new_session(
                    f"s-{rng.getrandbits(64):016x}",
                    user_id=f"user-{rng.randrange(USERS)}",
                    spec=spec,
                )
                begun = (ev.Started(at=now, task_id=secrets.token_hex(18)), ev.Admitted(at=now))
                await store.create(session, *begun)
                for step in (
                    (ev.Dispatched(at=now, attempt=1),),
                    (ev.Accepted(at=now, attempt=1, worker="worker-1"),),
                    (ev.Claimed(at=now, attempt=1, worker="worker-1", pid=77),),
                    (ev.AgentJoined(at=now, attempt=1), ev.UserJoined(at=now)),
                    (
                        ev.EndRequested(at=now, reason=Reason.USER_REQUESTED),
                        ev.Closed(at=now),
                    ),
                ):
                    await store.record(session.id, *step, next_check=now + KEEP_S)
                await _talk(store, archive, session.id, now)
                await redis.zrem("assistant:due", session.id)

        async with asyncio.TaskGroup() as group:
            for n in range(FILLERS):
                group.create_task(some(), name=f"fill {n}")
        after = int((await redis.info("memory"))["used_memory"])
    return (after - before) / count


async def _talk(store: SessionStore, archive: Archive, session_id: str, now: float) -> None:
    """TURNS turns of SENTENCE both ways, with their figures, what they used, and a report."""
    for n in range(2 * TURNS):
        role = "assistant" if n % 2 else "user"
        said = {"id": f"item_{secrets.token_hex(6)}", "role": role, "text": SENTENCE, "at": now}
        times = {"started_at": now, "ended_at": now, "interrupted": False, "attempt": 1}
        await archive.keep(session_id, 1, Item.model_validate(said | times))
    for n in range(1, TURNS + 1):
        figures = dict.fromkeys(LATENCIES, 0.123456789)
        turn = ev.TurnCompleted(at=now, attempt=1, turn=n, interrupted=False, **figures)
        await store.note(session_id, turn)
    models = [
        Usage(kind="llm", provider="groq", model="llama-3.3-70b-versatile", input_tokens=4000),
        Usage(kind="stt", provider="assemblyai", model="universal-3-6-pro", audio_s=123.4),
        Usage(kind="tts", provider="inworld", model="inworld-tts-1.5-mini", characters=700),
    ]
    await archive.spend(session_id, 1, Spent(models=tuple(models)))
    report = {"sdk:1": {"options": "x" * SDK_REPORT_BYTES}, "analysis": {"summary": "x" * 300}}
    await archive.finish(session_id, 1, report, last=True)


async def start(http: httpx.AsyncClient, session_id: str) -> httpx.Response:
    return await http.post(
        "/api/session/start", json={"sessionId": session_id, "userId": session_id}
    )


async def token(http: httpx.AsyncClient, session_id: str) -> httpx.Response:
    return await http.post("/api/token", json={"sessionId": session_id, "userId": session_id})


async def get(http: httpx.AsyncClient, session_id: str) -> httpx.Response:
    return await http.get(f"/api/sessions/{session_id}")


async def list_(http: httpx.AsyncClient, _session_id: str) -> httpx.Response:
    return await http.get("/api/sessions", params={"limit": PAGE})


async def list_over(http: httpx.AsyncClient, _session_id: str) -> httpx.Response:
    return await http.get("/api/sessions", params={"limit": PAGE, "status": "ended"})


async def stats(http: httpx.AsyncClient, _session_id: str) -> httpx.Response:
    return await http.get("/stats")


REQUESTS: dict[str, Request] = {
    "token": token,
    "start": start,
    "get": get,
    "list": list_,
    "list_ended": list_over,
    "stats": stats,
}


async def measure(
    few: Stack, many: Stack, rounds: int, rng: random.Random
) -> dict[str, dict[str, list[float]]]:
    """Seconds of each request on each service."""
    took: dict[str, dict[str, list[float]]] = {name: {"few": [], "many": []} for name in REQUESTS}
    async with (
        httpx.AsyncClient(base_url=few.url, timeout=30) as few_http,
        httpx.AsyncClient(base_url=many.url, timeout=30) as many_http,
    ):
        sides = [("few", few_http), ("many", many_http)]
        for _ in range(rounds):
            rng.shuffle(sides)
            ids = {side: f"m-{rng.getrandbits(64):016x}" for side, _ in sides}
            for name, request in REQUESTS.items():
                for side, http in sides:
                    began = time.perf_counter()
                    answer = await request(http, ids[side])
                    took[name][side].append(time.perf_counter() - began)
                    answer.raise_for_status()
            for side, http in sides:
                await http.delete(f"/api/sessions/{ids[side]}")
    return took


def summary(took: dict[str, list[float]]) -> dict[str, float]:
    p99 = {side: statistics.quantiles(values, n=100)[98] for side, values in took.items()}
    p50 = {side: statistics.median(values) for side, values in took.items()}
    return {
        "p50_few_s": round(p50["few"], 5),
        "p50_many_s": round(p50["many"], 5),
        "p50_ratio": round(p50["many"] / p50["few"], 3),
        "p99_few_s": round(p99["few"], 5),
        "p99_many_s": round(p99["many"], 5),
        "p99_ratio": round(p99["many"] / p99["few"], 3),
    }


@contextmanager
def filled(
    folder: Path, few_count: int, many_count: int, rng: random.Random
) -> Iterator[tuple[Stack, Stack, float]]:
    """Two services with so many stored sessions, and the bytes that one of many takes."""
    with ExitStack() as stacks:
        environ = {"MAX_BOTS": "100000", "ASSISTANT_LOG_LEVEL": "warning"}
        few, many = (
            stacks.enter_context(running_stack(folder / side, **environ))
            for side in ("few", "many")
        )
        for stack in (few, many):
            stack.has_worker(max_jobs=100_000)
        spec = spec_of(few)
        asyncio.run(fill(few, few_count, rng, spec))
        session_bytes = asyncio.run(fill(many, many_count, rng, spec))
        for stack in (few, many):
            # What was stored just now still has its reports told of.
            until_idle(stack.service.process.pid)
        yield few, many, session_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)  # noqa: S311 - ids of a benchmark, which repeats by its seed
    with (
        tempfile.TemporaryDirectory() as folder,
        filled(Path(folder), chosen.few, chosen.many, rng) as (few, many, session_bytes),
    ):
        took = asyncio.run(measure(few, many, chosen.rounds, rng))
    figures = {name: summary(values) for name, values in took.items()}
    print(
        json.dumps(
            {
                "bench": "stored_sessions",
                "seed": chosen.seed,
                "few": chosen.few,
                "many": chosen.many,
                "rounds": chosen.rounds,
                "bytes_per_stored_session": round(session_bytes),
                "worst_p99_ratio": max(figure["p99_ratio"] for figure in figures.values()),
                "requests": figures,
            }
        )
    )


def spec_of(stack: Stack) -> str:
    """The default agent as the service writes it into records."""
    with stack.client() as http:
        session_id = f"spec-{secrets.token_hex(4)}"
        http.post("/api/token", json={"sessionId": session_id, "userId": "u"}).raise_for_status()
        spec = stack.record(session_id)["spec"]
        http.delete(f"/api/sessions/{session_id}").raise_for_status()
    return spec


if __name__ == "__main__":
    main()
