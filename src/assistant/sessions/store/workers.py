"""The workers' beats: who is there, and how many jobs each could still take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.together import Together

BEAT_INTERVAL_S = 1.0
# Three beats may be missed (a busy machine, a slow Redis) before a worker counts as gone.
BEAT_TTL_S = 4.0


class Beat(BaseModel):
    """What a worker says of itself once a second."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    host: str
    pid: int
    agent_name: str
    max_jobs: int
    jobs: int
    #: Job processes that are ready for a job, those that stand by among them.
    warm: int
    load: float
    draining: bool
    registered: bool
    version: str
    started_at: float
    #: The sessions and attempts that it runs or has promised to run. None: it does not say.
    sessions: tuple[tuple[str, int], ...] | None = None
    #: The digest of its agents.yaml. None: it does not say.
    catalog: str | None = None
    #: Jobs that stand by for a session, in none of the numbers above but `warm`.
    standby: int = 0
    #: How many more of them it would take now.
    standby_wanted: int = 0

    @property
    def stands_by(self) -> bool:
        """Whether it knows of jobs that stand by."""
        return "standby_wanted" in self.model_fields_set

    @property
    def free(self) -> int:
        """Jobs that it could still take."""
        return max(self.max_jobs - self.jobs, 0) if self.registered and not self.draining else 0


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker whose beat is fresh, `age_s` old by Redis's own clock.

    `beat` is None where it is a newer release's, which only that one understands.
    """

    id: str
    age_s: float
    beat: Beat | None


def fleet_jobs(beats: Iterable[Beat]) -> int:
    """The jobs that these workers can run together; of those that drain, what they still run."""
    return sum(
        beat.max_jobs if beat.registered and not beat.draining else beat.jobs for beat in beats
    )


class WorkerRegistry:
    """The workers that beat. Methods raise StoreUnavailableError."""

    def __init__(self, redis: Redis, *, keep_s: float) -> None:
        self._redis = redis
        self._keep_s = keep_s
        self._beats = redis.register_script(script("beats.lua"))
        self._together: Together[None, list[Heard]] = Together(self._look)

    async def beat(self, beat: Beat) -> None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(keys.worker(beat.id), beat.model_dump_json(), px=int(BEAT_TTL_S * 1000))
                pipe.sadd(keys.WORKERS, beat.id)
                pipe.expire(keys.WORKERS, int(self._keep_s))
                await pipe.execute()

    async def leave(self, worker_id: str) -> None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.delete(keys.worker(worker_id))
                pipe.srem(keys.WORKERS, worker_id)
                await pipe.execute()

    async def alive(self) -> list[Beat]:
        """The workers whose beat is fresh, and understood."""
        return [heard.beat for heard in await self.heard() if heard.beat is not None]

    async def heard(self) -> list[Heard]:
        """The workers whose beat is fresh; forgets those that are gone.

        Whoever asks while others wait for the same shares one look, which begins after all asked.
        """
        return await self._together.call(None)

    async def _look(self, asked: Sequence[None]) -> list[list[Heard]]:
        with translated():
            rows = cast(
                "list[tuple[str, str, int]]",
                await self._beats(keys=[keys.WORKERS], args=[keys.worker("")]),
            )
        heard = [
            Heard(worker_id, BEAT_TTL_S - max(ms, 0) / 1000, _parse(text))
            for worker_id, text, ms in sorted(rows)
        ]
        return [heard] * len(asked)


def _parse(text: str) -> Beat | None:
    try:
        return Beat.model_validate_json(text)
    except ValidationError:
        return None
