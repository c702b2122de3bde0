"""The runs behind docs/scaling.md: each table is a list of rows, each row a fleet and a course."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from bench.scale.model import Course, Fleet, LoadReport, Naming, Taking

# 60 jobs of 0.07 cores are 70 % of 6 cores: what the SDK's own load report would stop at too.
BASE = Fleet(
    workers=200,
    max_jobs=60,
    pool=3,
    standby=2,
    cores=6,
    livekit_nodes=3,
    replicas=3,
    max_bots=12_000,
)
# 10,000 conversations of five minutes end, and begin, 33 times a second.
TALK_S = 300.0
STEADY = Course(
    starts_per_s=10_000 / TALK_S, lasts_s=120, talk_s=TALK_S, sessions=10_000, warm_up_s=10
)
NEARLY_FULL = replace(STEADY, sessions=11_640, starts_per_s=11_640 / TALK_S)
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
    rows = (
        ("steady, 83 % full", BASE, STEADY),
        ("steady, 97 % full", BASE, NEARLY_FULL),
        ("burst of 1,500", AMPLE, burst(BIG_BURST)),
        ("5 workers freeze", BASE, replace(STEADY, frozen=5, event_at_s=EVENT_AT_S)),
    )
    for name, fleet, course in rows:
        for report in get_args(LoadReport):
            # All are LiveKit's choice, which is what this is about.
            alone = replace(fleet, load_report=report, standby=0)
            yield Row(f"{name} | `{report}`", alone, course)


def _standby() -> Iterator[Row]:
    for jobs, pool in ((0, 3), (1, 3), (2, 3), (4, 5), (8, 9)):
        fleet = replace(BASE, standby=jobs, pool=pool)
        for name, course in (
            ("steady, 83 % full", STEADY),
            ("steady, 97 % full", NEARLY_FULL),
            ("burst of 500", burst(500)),
            ("burst of 1,500", burst(BIG_BURST)),
        ):
            yield Row(f"{jobs} of {pool} | {name}", fleet, course)


def _rates() -> Iterator[Row]:
    for rate in (10, 33, 50, 67, 100):
        # As many conversations at a time; the shorter they are, the more begin.
        course = replace(STEADY, starts_per_s=float(rate), talk_s=10_000 / rate)
        for nodes, jobs, pool in ((1, 2, 3), (3, 0, 3), (3, 2, 3), (3, 4, 5)):
            fleet = replace(BASE, livekit_nodes=nodes, standby=jobs, pool=pool)
            yield Row(f"{rate} | {nodes} | {jobs} of {pool}", fleet, course)


# Which job a start takes, in the table's words.
TAKINGS: dict[Taking, str] = {
    "longest there": "that has waited longest",
    "spoke last": "that spoke last",
    "most free": "of the worker with most free slots",
}


def _takes() -> Iterator[Row]:
    three = Fleet(workers=3, max_jobs=20, pool=3, standby=2, cores=2, max_bots=60)
    hours = Course(
        starts_per_s=40 / TALK_S, lasts_s=7_200, talk_s=TALK_S, sessions=40, warm_up_s=600
    )
    rows = (
        ("200 workers, 83 % full", BASE, replace(STEADY, lasts_s=600, warm_up_s=200)),
        ("3 workers of 20, 67 % full", three, hours),
        ("5 of 200 freeze", BASE, replace(STEADY, frozen=5, event_at_s=EVENT_AT_S)),
    )
    for name, fleet, course in rows:
        yield Row(f"{name} | none, LiveKit chooses", replace(fleet, standby=0), course)
        for taking, words in TAKINGS.items():
            yield Row(f"{name} | {words}", replace(fleet, taking=taking), course)


def _pools() -> Iterator[Row]:
    for size in (1, 2, 3, 4, 6, 8, 12):
        yield Row(f"{size} | steady", replace(BASE, pool=size), STEADY)
        yield Row(f"{size} | burst of 1,500", replace(AMPLE, pool=size), burst(BIG_BURST))


def _nodes() -> Iterator[Row]:
    for nodes in (1, 2, 3, 5):
        for naming, how in NAMINGS.items():
            for jobs in (0, 2) if naming == BASE.naming else (0,):
                fleet = replace(BASE, livekit_nodes=nodes, naming=naming, standby=jobs)
                yield Row(f"{nodes} | {how} | {jobs} | steady", fleet, STEADY)
                yield Row(f"{nodes} | {how} | {jobs} | burst of 500", fleet, burst(500))


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
    Table(
        "standby",
        "stand by | course",
        tuple(_standby()),
        ("found one", *SPREAD, "learning p95", "cold", "repeated", "waiting"),
    ),
    Table(
        "rates",
        "starts a second | LiveKit nodes | stand by",
        tuple(_rates()),
        ("found one", *SPREAD, "learning p95", "asked ahead", "refused", "waiting"),
    ),
    Table(
        "takes",
        "course | which is taken",
        tuple(_takes()),
        ("jobs of a worker", "spread", "full", "overloaded", "repeated", "max"),
    ),
    Table("pools", "pool | course", tuple(_pools()), ("found one", *SPREAD, "cold", "repeated")),
    Table(
        "nodes",
        "LiveKit nodes | the room names | stand by | course",
        tuple(_nodes()),
        ("found one", *SPREAD, "lost", "repeated", "wasted", "failed"),
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
    Fleet(
        workers=10,
        max_jobs=10,
        pool=3,
        standby=2,
        cores=4,
        livekit_nodes=2,
        replicas=1,
        max_bots=100,
    ),
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
