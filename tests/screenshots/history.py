"""An hour of a small fleet that never was, written as workers and service would write it."""

import asyncio
import random
import secrets
import signal
import time
from typing import cast

from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions.record import Reason, Session
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.workers import BEAT_INTERVAL_S, WorkerRegistry
from tests.integration.http_stack import Stack
from tests.integration.session_servers import beat, new_session

AGENTS = ("assistant", "assistant", "concierge", "storyteller")
WORKERS = ("voice-1", "voice-2")
#: It finishes its conversations, and takes no more.
LEAVING = "voice-3"
LEFT_JOBS = 2
PLACES = 12
HOUR_S = 3600.0
#: Nobody looks at these sessions: they have no rooms.
NEVER_S = 86_400.0
SESSIONS = 130
FAILED_SHARE = 0.03
NAMES = ("ada", "bruno", "chika", "dmitri", "elif", "farah", "goran", "hana", "ines", "jonas")


async def live_through(stack: Stack, spec: str, *, seed: int = 7) -> int:
    """Puts it into Redis in the order in which it happened; how many sessions run.

    The service stands still meanwhile.
    """
    rng = random.Random(seed)  # noqa: S311 - the same hour each time
    now = time.time()
    moment = now
    stack.service.process.send_signal(signal.SIGSTOP)
    async with connect(stack.redis_url) as redis:
        bounds = Bounds(max_bots=1000, queue_limit=1000, keep_s=NEVER_S)
        store = SessionStore(redis, bounds, clock=lambda: moment)
        starts = sorted(now - HOUR_S * rng.random() for _ in range(SESSIONS))
        courses = [_course(rng, spec, at) for at in starts]
        for event, session in _in_order(courses, now):
            moment = event.at
            if isinstance(event, ev.Started):
                await store.create(session, event, ev.Admitted(at=event.at))
            elif isinstance(event, ev.Note):
                await store.note(session.id, event)
            else:
                await store.record(session.id, event, next_check=now + NEVER_S)
        living = cast("list[str]", await redis.zrange(keys.SLOTS, 0, -1))
        await redis.delete(keys.DUE)
        await redis.zadd(keys.DUE, dict.fromkeys(living, now + NEVER_S))
        # Whoever's worker does not beat would get another agent.
        await _beat(redis, len(living))
    stack.service.process.send_signal(signal.SIGCONT)
    return len(living)


def _in_order(
    courses: list[tuple[Session, list[ev.Event]]], now: float
) -> list[tuple[ev.Event, Session]]:
    """What has happened by now, of all of them."""
    happened = [
        (event, session) for session, events in courses for event in events if event.at < now
    ]
    return sorted(happened, key=lambda step: step[0].at)


def _course(rng: random.Random, spec: str, at: float) -> tuple[Session, list[ev.Event]]:
    """A session that began at `at`, and everything that happens to it, some of it to come."""
    session = new_session(
        f"{secrets.token_hex(4)}-{rng.randrange(100, 1000)}",
        user_id=rng.choice(NAMES),
        agent=rng.choice(AGENTS),
        spec=spec,
        created_at=at,
    )
    worker = rng.choice(WORKERS)
    events: list[ev.Event] = [
        ev.Started(at=at, task_id=secrets.token_hex(8)),
        ev.Dispatched(at=at + 0.02, attempt=1),
    ]
    if rng.random() < FAILED_SHARE:
        reason = rng.choice((Reason.ALL_WORKERS_FULL, Reason.AGENT_DID_NOT_JOIN))
        return session, [*events, ev.Failed(at=at + 9, reason=reason, detail="")]
    joined = at + rng.lognormvariate(-1.1, 0.25)
    events += [
        ev.Accepted(at=at + 0.05, attempt=1, worker=worker),
        ev.Claimed(at=at + 0.09, attempt=1, worker=worker, pid=rng.randrange(1000, 9000)),
        ev.AgentJoined(at=joined, attempt=1),
    ]
    spoken, end, turn = joined, joined + rng.uniform(60, 420), 0
    while (spoken := spoken + rng.uniform(6, 18)) < end:
        turn += 1
        events.append(_turn(rng, spoken, turn))
    why = rng.choice((Reason.USER_LEFT, Reason.USER_LEFT, Reason.USER_REQUESTED, Reason.INACTIVITY))
    return session, [*events, ev.EndRequested(at=end, reason=why), ev.Closed(at=end + 0.1)]


def _turn(rng: random.Random, at: float, turn: int) -> ev.TurnCompleted:
    heard, ended, model, voice = (
        rng.lognormvariate(middle, 0.22) for middle in (-2.0, -1.2, -1.35, -2.0)
    )
    return ev.TurnCompleted(
        at=at,
        attempt=1,
        turn=turn,
        transcription_delay_s=heard,
        end_of_turn_delay_s=ended,
        llm_ttft_s=model,
        tts_ttfb_s=voice,
        e2e_latency_s=ended + model + voice + 0.05,
        interrupted=rng.random() < 0.1,
    )


async def keep_beating(stack: Stack, jobs: int) -> None:
    """Has the workers say that they are there, until cancelled."""
    async with connect(stack.redis_url) as redis:
        while True:
            await _beat(redis, jobs)
            await asyncio.sleep(BEAT_INTERVAL_S)


async def _beat(redis: Redis, jobs: int) -> None:
    shares = {LEAVING: min(LEFT_JOBS, jobs)}
    others = jobs - shares[LEAVING]
    shares |= {name: (others + n) // len(WORKERS) for n, name in enumerate(WORKERS)}
    for name, mine in shares.items():
        told = beat(
            name,
            host=f"{name}.example",
            max_jobs=PLACES,
            jobs=mine,
            warm=0 if name == LEAVING else 3,
            draining=name == LEAVING,
            load=round(mine / PLACES, 2),
            version="1.8.9",
            started_at=time.time() - 5 * HOUR_S,
        )
        await WorkerRegistry(redis, keep_s=NEVER_S).beat(told)
