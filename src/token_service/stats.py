"""How it all stands: what `/health`, `/stats` and the overview answer."""

from typing import Literal

from token_service.answers import Answer

Part = Literal["ok", "down"]


class HealthParts(Answer):
    redis: Part
    livekit: Part
    workers: Literal["ok", "none", "unknown"]
    """"ok": at least one worker takes jobs; "unknown": Redis is down."""


class HealthAnswer(Answer):
    status: Literal["ok", "degraded"]
    parts: HealthParts
    last_webhook_at: float | None = None
    """When LiveKit's last webhook came to this replica; null: none since it started."""


class SessionCounts(Answer):
    created: int
    queued: int
    dispatching: int
    active: int
    ending: int


class Slots(Answer):
    used: int
    limit: int
    """MAX_BOTS."""


class Queue(Answer):
    waiting: int
    limit: int
    estimated_wait_s: float | None
    """For whoever would come last now; null: nobody knows."""


class Pool(Answer):
    warm: int
    """Job processes that are ready for a job, over all workers."""
    standby: int
    """Those of them that LiveKit has dispatched already, and that wait for a session."""
    jobs: int
    """Jobs that run."""
    max_jobs: int
    """Jobs that the fleet could run together."""
    free: int


class WorkerSession(Answer):
    session_id: str
    attempt: int


class WorkerAnswer(Answer):
    id: str
    host: str
    pid: int
    jobs: int
    max_jobs: int
    warm: int
    standby: int
    """How many of the warm ones stand by for a session."""
    load: float
    draining: bool
    registered: bool
    version: str
    started_at: float
    catalog: str | None = None
    """The digest of its agents.yaml. None: an older release, which does not say."""
    beat_age_s: float
    """Seconds since it was last heard."""
    sessions: list[WorkerSession] | None
    """Those that it runs, or has promised to run; null: it does not say."""


class CatalogAnswer(Answer):
    """The agents.yaml that this replica gives new sessions."""

    digest: str
    """As `python -m assistant check` shows it; a worker with another one has another file."""
    since: float
    """Unix seconds since when it is in force."""


class RedisAnswer(Answer):
    latency_s: float
    """Of one PING."""
    used_memory_bytes: int | None
    connected_clients: int | None
    version: str | None


class StatsAnswer(Answer):
    sessions: SessionCounts
    """Live sessions by state."""
    complete: Literal[True] = True
    """True: every live session is counted."""
    agents: dict[str, int]
    """Live sessions by agent."""
    catalog: CatalogAnswer
    slots: Slots
    queue: Queue
    pool: Pool
    workers: list[WorkerAnswer]
    redis: RedisAnswer
    deliveries: int = 0
    """Attempts to deliver webhooks so far; it grows when there is news of one."""


class OverviewAnswer(StatsAnswer):
    at: float
