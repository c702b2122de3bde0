"""A deployment and what goes wrong in it, drawn from one seed."""

import random
from dataclasses import dataclass

from assistant.sessions.actions import Limits
from tests.simulation.fleet import JobManners
from tests.simulation.livekit import Manners

FAULTS = (
    "livekit restarts",
    "livekit hangs",
    "livekit refuses",
    "redis is away",
    "replica dies",
    "worker is killed",
    "worker freezes",
    "worker is cut off",
    "worker drains",
    "worker comes",
    "job is killed",
    "job freezes",
    "user leaves",
    "user dies",
    "user comes",
    "room is deleted",
    "session ends",
    "session starts again",
    "webhooks come late",
)
MAX_FAULTS = 9
SLOWEST_START_S = 18.0  # longer than any attempt waits for its job


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that happens at `at` (seconds from the beginning), and how long it lasts.

    `which` picks the one that it happens to, as a number that every count can be taken of.
    """

    at: float
    kind: str
    lasts_s: float
    which: int


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`healed_at`: until then things go wrong. Times are seconds from the beginning."""

    seed: int
    sessions: int
    starts: tuple[float, ...]
    replicas: int
    workers: int
    max_jobs: int
    max_bots: int
    limits: Limits
    livekit: Manners
    jobs: JobManners
    faults: tuple[Fault, ...]
    healed_at: float
    #: How likely a step of Redis is slow.
    redis_slow: float
    #: How likely a job stands by when one is wanted.
    standby: float


def draw(seed: int) -> Scenario:
    """The scenario of a seed; the same one always."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    healed_at = chance.uniform(5.0, 60.0)
    sessions = chance.randint(1, 3)

    def sometimes(*values: float) -> float:
        """None of it in most scenarios."""
        return chance.choice(values) if chance.random() < 0.3 else 0.0

    faults = sorted(
        (
            Fault(
                at=chance.uniform(0.0, healed_at),
                kind=chance.choice(FAULTS),
                lasts_s=chance.choice((chance.uniform(0.3, 3.0), chance.uniform(3.0, 15.0))),
                which=chance.randrange(1 << 16),
            )
            for _ in range(chance.randint(0, MAX_FAULTS))
        ),
        key=lambda fault: fault.at,
    )
    return Scenario(
        seed=seed,
        sessions=sessions,
        starts=tuple(
            chance.uniform(0.0, healed_at * chance.choice((0.1, 0.8))) for _ in range(sessions)
        ),
        replicas=chance.choice((1, 1, 2, 3)),
        workers=chance.choice((0, 1, 1, 2, 2)),
        max_jobs=chance.randint(1, 3),
        max_bots=chance.choice((1, 2, 3, 3)),
        limits=Limits(
            startup_timeout_s=chance.choice((15.0, 45.0)),
            queue_timeout_s=chance.choice((5.0, 20.0, 40.0)),
            session_timeout_s=1800.0,
        ),
        livekit=Manners(
            loses_dispatch=sometimes(0.3, 0.8),
            doubles_dispatch=sometimes(0.3, 1.0),
            refuses=sometimes(0.05, 0.3),
            answers_lost=sometimes(0.05, 0.3),
            list_lag_s=sometimes(0.3, 1.0),
            webhooks_lost=chance.choice((0.0, 0.0, 0.3, 1.0)),
            webhooks_doubled=sometimes(0.5),
            webhook_delay_s=chance.choice((0.02, 0.02, 5.0)),
        ),
        jobs=JobManners(
            never_claims=sometimes(0.3, 0.8),
            slow_start_s=chance.choice((0.1, 0.1, 4.0, SLOWEST_START_S)),
            doubled=sometimes(0.5, 1.0),
            launches_told=chance.choice((1.0, 1.0, 0.5, 0.0)),
            deaths_told=chance.choice((1.0, 1.0, 0.5, 0.0)),
            dies_early=sometimes(0.3, 1.0),
            hangs=sometimes(0.3, 0.8),
        ),
        faults=tuple(faults),
        healed_at=healed_at,
        redis_slow=sometimes(0.1, 0.5),
        standby=chance.choice((0.0, 0.5, 1.0)),
    )
