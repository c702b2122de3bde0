"""The runs behind docs/scaling.md: each table is a list of rows, each row a fleet and a course."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from bench.scale.model import Course, Fleet, LoadReport, Naming

# 60 jobs of 0.07 cores are 70 % of 6 cores: what the SDK's own load report would stop at too.
BASE = Fleet(
    workers=200, max_jobs=60, pool=3, cores=6, livekit_nodes=3, replicas=3, max_bots=12_000
)
# 10,000 conversations of five minutes end, and begin, 33 times a second.
TALK_S = 300.0
STEADY = Course(
    starts_per_s=10_000 / TALK_S, lasts_s=120, talk_s=TALK_S, sessions=10_000, warm_up_s=10
)
EVENT_AT_S = 40.0


@dataclass(frozen=True)
class Row:
    name: str
    fleet: Fleet
    course: Course


@dataclass(frozen=True)
class Table:
    """`name` is the marker in docs/scaling.md; `head` names what its rows differ in."""

    name: str
    head: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...]


# Enough of LiveKit for a burst of this size to reach the workers, so that it shows theirs.
BIG_BURST = 1_500
AMPLE = replace(BASE, livekit_nodes=5)


# What the request that makes a room names, in the table's words.
NAMINGS: dict[Naming, str] = {
    "no agent": "no agent",
    "none there is": "one there is not",
    "its agent": "its agent",
}


def burst(size: int) -> Course:
    return replace(STEADY, burst=size, event_at_s=EVENT_AT_S)


def _reports() -> Iterator[Row]:
    nearly_full = replace(STEADY, sessions=11_640, starts_per_s=11_640 / TALK_S)
    rows = (
        ("steady, 83 % full", BASE, STEADY),
        ("steady, 97 % full", BASE, nearly_full),
        ("burst of 1,500", AMPLE, burst(BIG_BURST)),
        ("5 workers freeze", BASE, replace(STEADY, frozen=5, event_at_s=EVENT_AT_S)),
    )
    for name, fleet, course in rows:
        for report in get_args(LoadReport):
            yield Row(f"{name} | `{report}`", replace(fleet, load_report=report), course)


def _pools() -> Iterator[Row]:
    for size in (1, 2, 3, 4, 6, 8, 12):
        yield Row(f"{size} | steady", replace(BASE, pool=size), STEADY)
        yield Row(f"{size} | burst of 1,500", replace(AMPLE, pool=size), burst(BIG_BURST))


def _nodes() -> Iterator[Row]:
    for nodes in (1, 2, 3, 5):
        for naming, how in NAMINGS.items():
            fleet = replace(BASE, livekit_nodes=nodes, naming=naming)
            yield Row(f"{nodes} | {how} | steady", fleet, STEADY)
            yield Row(f"{nodes} | {how} | burst of 500", fleet, burst(500))


def _frozen() -> Iterator[Row]:
    course = replace(STEADY, frozen=5, event_at_s=EVENT_AT_S)
    yield Row("as it is", BASE, course)
    yield Row("without the watchdog", replace(BASE, watchdog_s=None), course)
    bare = replace(BASE, watchdog_s=None, redispatches=False)
    yield Row("without watchdog and re-dispatch", bare, course)


def _restarts() -> Iterator[Row]:
    # A tenth of the fleet, for hours: each worker waits for the last of its conversations.
    fleet = replace(BASE, workers=20, max_bots=1_200, livekit_nodes=1)
    course = replace(
        STEADY,
        starts_per_s=1_000 / TALK_S,
        sessions=1_000,
        lasts_s=40_000,
        event_at_s=EVENT_AT_S,
    )
    for at_once, surge in ((1, False), (3, False), (5, False), (5, True)):
        name = f"{at_once} at a time{', new ones first' if surge else ''}"
        yield Row(name, fleet, replace(course, restart_at_once=at_once, surge=surge))


SPREAD = ("p50", "p95", "p99", "max")
TABLES = (
    Table(
        "reports",
        "course | load report",
        tuple(_reports()),
        (*SPREAD, "lost", "repeated", "wasted", "failed", "jobs of a worker"),
    ),
    Table("pools", "pool | course", tuple(_pools()), (*SPREAD, "cold", "repeated")),
    Table(
        "nodes",
        "LiveKit nodes | the room names | course",
        tuple(_nodes()),
        (*SPREAD, "lost", "repeated", "wasted", "failed"),
    ),
    Table(
        "frozen",
        "5 of 200 workers freeze",
        tuple(_frozen()),
        ("p99", "max", "lost", "repeated", "failed", "moved", "moved p95", "cut off"),
    ),
    Table(
        "restarts",
        "20 workers restart",
        tuple(_restarts()),
        ("took", "queued p95", "queued max", "p95", "failed"),
    ),
)

# Small enough for a test: ten workers, a burst that fills them, one that freezes.
SMALL = Row(
    "ten workers",
    Fleet(workers=10, max_jobs=10, pool=2, cores=4, livekit_nodes=2, replicas=1, max_bots=100),
    Course(
        starts_per_s=1.0,
        lasts_s=120,
        talk_s=60,
        sessions=60,
        warm_up_s=5,
        event_at_s=30,
        burst=25,
        frozen=1,
        seed=7,
    ),
)
