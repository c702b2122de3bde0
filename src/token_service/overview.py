"""How the whole stands: health and figures, from Redis, LiveKit and the workers' beats."""

import asyncio
import time
from collections import Counter
from typing import Literal, cast

from redis.asyncio import Redis

from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.record import State
from assistant.sessions.store import keys
from assistant.sessions.store.client import translated
from assistant.sessions.store.records import SessionStore
from assistant.sessions.store.workers import Beat, WorkerRegistry, fleet_jobs
from token_service.answers import (
    HealthAnswer,
    HealthParts,
    Part,
    Pool,
    Queue,
    RedisAnswer,
    SessionCounts,
    Slots,
    StatsAnswer,
    WorkerAnswer,
)
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError
from token_service.settings import ServiceSettings

MAX_COUNTED = 5000  # live sessions read for one answer
BATCH = 500
PART_TIMEOUT_S = 2.5  # probes give up after a few seconds; a hung part is a part that is down
# Anybody may ask for /health: however many do, the parts are asked once a second.
HEALTH_AGE_S = 1.0


class Fleet:
    """The workers of our agent name. Methods raise StoreUnavailableError."""

    def __init__(self, workers: WorkerRegistry, agent_name: str) -> None:
        self._workers = workers
        self._agent_name = agent_name

    async def beats(self) -> list[Beat]:
        return [b for b in await self._workers.alive() if b.agent_name == self._agent_name]


def takes_jobs(beat: Beat) -> bool:
    return beat.registered and not beat.draining


class Overview:
    def __init__(
        self,
        redis: Redis,
        store: SessionStore,
        fleet: Fleet,
        gateway: LiveKitGateway,
        settings: ServiceSettings,
    ) -> None:
        self._redis = redis
        self._store = store
        self._fleet = fleet
        self._gateway = gateway
        self._settings = settings
        self._health: tuple[float, HealthAnswer] | None = None
        self._asking = asyncio.Lock()

    async def ready(self) -> None:
        """Return if this replica can serve.

        Raises:
            StoreUnavailableError: it can not.
        """
        await self._store.ping()

    async def health(self) -> HealthAnswer:
        async with self._asking:
            if self._health is None or time.monotonic() >= self._health[0] + HEALTH_AGE_S:
                answer = await self._ask()
                self._health = (time.monotonic(), answer)
            return self._health[1]

    async def _ask(self) -> HealthAnswer:
        async with asyncio.TaskGroup() as group:
            redis = group.create_task(self._redis_part(), name="health of redis")
            livekit = group.create_task(self._livekit_part(), name="health of livekit")
        parts = HealthParts(
            redis=redis.result()[0], workers=redis.result()[1], livekit=livekit.result()
        )
        fine = parts.redis == parts.livekit == parts.workers == "ok"
        return HealthAnswer(status="ok" if fine else "degraded", parts=parts)

    async def _redis_part(self) -> tuple[Part, Literal["ok", "none", "unknown"]]:
        try:
            async with asyncio.timeout(PART_TIMEOUT_S):
                beats = await self._fleet.beats()
        except (StoreUnavailableError, TimeoutError):
            return "down", "unknown"
        return "ok", "ok" if any(map(takes_jobs, beats)) else "none"

    async def _livekit_part(self) -> Part:
        try:
            async with asyncio.timeout(PART_TIMEOUT_S):
                await self._gateway.ping()
        except (LiveKitUnavailableError, TimeoutError):
            return "down"
        return "ok"

    async def stats(self) -> StatsAnswer:
        """The figures of this moment.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        redis = await self._redis_figures()
        states, agents, complete = await self._live_sessions()
        slots, waiting = await self._store.count()
        beats = await self._fleet.beats()
        return StatsAnswer(
            sessions=SessionCounts(**{name: states[name] for name in SessionCounts.model_fields}),
            complete=complete,
            agents=dict(sorted(agents.items())),
            slots=Slots(used=slots, limit=self._settings.max_bots),
            queue=Queue(waiting=waiting, limit=self._settings.queue_limit),
            pool=Pool(
                warm=sum(beat.warm for beat in beats),
                jobs=sum(beat.jobs for beat in beats),
                max_jobs=fleet_jobs(beats),
                free=sum(beat.free for beat in beats),
            ),
            workers=[
                WorkerAnswer(**beat.model_dump(include=set(WorkerAnswer.model_fields)))
                for beat in beats
            ],
            redis=redis,
        )

    async def _live_sessions(self) -> tuple[Counter[str], Counter[str], bool]:
        """Live sessions by state and by agent, and whether these are all."""
        states: Counter[str] = Counter()
        agents: Counter[str] = Counter()
        live = {state.value for state in State} - {State.ENDED, State.FAILED}
        with translated():
            # Every live session has a next check.
            ids = cast("list[str]", await self._redis.zrange(keys.DUE, 0, MAX_COUNTED))
            for first in range(0, min(len(ids), MAX_COUNTED), BATCH):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for session_id in ids[first : min(first + BATCH, MAX_COUNTED)]:
                        pipe.hmget(keys.session(session_id), ["status", "agent"])
                    rows = cast("list[list[str | None]]", await pipe.execute())
                for status, agent in rows:
                    if status in live:
                        states[status] += 1
                        agents[agent or ""] += 1
        return states, agents, len(ids) <= MAX_COUNTED

    async def _redis_figures(self) -> RedisAnswer:
        with translated():
            asked_at = time.monotonic()
            await self._redis.ping()
            latency_s = time.monotonic() - asked_at
            info = await self._redis.info()
        return RedisAnswer(
            latency_s=round(latency_s, 6),
            used_memory_bytes=info.get("used_memory"),
            connected_clients=info.get("connected_clients"),
            version=info.get("valkey_version") or info.get("redis_version"),
        )
