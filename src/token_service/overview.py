"""How the whole stands: health and figures, from Redis, LiveKit and the workers' beats."""

import asyncio
import time
from typing import Literal

from assistant.catalog import CatalogInForce
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.figures import SessionFigures
from assistant.sessions.store.records import SessionStore
from assistant.sessions.store.workers import Beat, WorkerRegistry, fleet_jobs
from token_service.deadline import store_in_time
from token_service.estimate import estimated_wait_s
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError
from token_service.settings import ServiceSettings
from token_service.stats import (
    CatalogAnswer,
    HealthAnswer,
    HealthParts,
    OverviewAnswer,
    Part,
    Pool,
    Queue,
    RedisAnswer,
    SessionCounts,
    Slots,
    StatsAnswer,
    WorkerAnswer,
    WorkerSession,
)

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

    async def heard(self) -> list[tuple[Beat, float]]:
        """The beats, and how many seconds old each is."""
        return [
            (heard.beat, heard.age_s)
            for heard in await self._workers.heard()
            if heard.beat is not None and heard.beat.agent_name == self._agent_name
        ]


def takes_jobs(beat: Beat) -> bool:
    return beat.registered and not beat.draining


class Overview:
    def __init__(
        self,
        figures: SessionFigures,
        store: SessionStore,
        fleet: Fleet,
        gateway: LiveKitGateway,
        settings: ServiceSettings,
        *,
        catalogs: CatalogInForce,
    ) -> None:
        self._catalogs = catalogs
        self._figures = figures
        self._store = store
        self._fleet = fleet
        self._gateway = gateway
        self._settings = settings
        self._health: tuple[float, HealthAnswer] | None = None
        #: When LiveKit's last webhook came to this replica; None: none since it started.
        self.last_webhook_at: float | None = None
        self._asking = asyncio.Lock()

    async def ready(self) -> None:
        """Return if this replica can serve.

        Raises:
            StoreUnavailableError: it can not.
        """
        async with store_in_time():
            await self._store.ping()

    def webhook_arrived(self, at: float) -> None:
        """LiveKit told something at `at` (Unix seconds)."""
        self.last_webhook_at = at

    async def health(self) -> HealthAnswer:
        async with self._asking:
            if self._health is None or time.monotonic() >= self._health[0] + HEALTH_AGE_S:
                answer = await self._ask()
                self._health = (time.monotonic(), answer)
            return self._health[1].model_copy(update={"last_webhook_at": self.last_webhook_at})

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
        async with store_in_time():
            server = await self._figures.server()
            counts = await self._figures.counts()
            heard = await self._fleet.heard()
        beats = [beat for beat, _ in heard]
        jobs = fleet_jobs(beats)
        slots = min(self._settings.max_bots, jobs)
        wait_s = estimated_wait_s(counts.waiting + 1, slots, counts.holds_s)
        return StatsAnswer(
            sessions=SessionCounts(
                **{s: n for s, n in counts.statuses.items() if s in SessionCounts.model_fields}
            ),
            agents=counts.agents,
            catalog=CatalogAnswer(digest=self._catalogs.now.digest, since=self._catalogs.since),
            slots=Slots(used=counts.slots, limit=self._settings.max_bots),
            queue=Queue(
                waiting=counts.waiting,
                limit=self._settings.queue_limit,
                estimated_wait_s=None if counts.slots < slots else wait_s,
            ),
            pool=Pool(
                warm=sum(beat.warm for beat in beats),
                standby=sum(beat.standby for beat in beats),
                jobs=sum(beat.jobs for beat in beats),
                max_jobs=jobs,
                free=sum(beat.free for beat in beats),
            ),
            workers=[
                WorkerAnswer(
                    **beat.model_dump(include=set(WorkerAnswer.model_fields) - {"sessions"}),
                    beat_age_s=round(age_s, 3),
                    sessions=_sessions(beat),
                )
                for beat, age_s in heard
            ],
            deliveries=counts.deliveries,
            redis=RedisAnswer(
                latency_s=round(server.latency_s, 6),
                used_memory_bytes=server.used_memory_bytes,
                connected_clients=server.connected_clients,
                version=server.version,
            ),
        )

    async def now(self) -> OverviewAnswer:
        """The same, and when it was so.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        stats = await self.stats()
        return OverviewAnswer(at=time.time(), **dict(stats))


def _sessions(beat: Beat) -> list[WorkerSession] | None:
    if beat.sessions is None:
        return None
    return [WorkerSession(session_id=name, attempt=attempt) for name, attempt in beat.sessions]
