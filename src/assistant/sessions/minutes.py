"""The deployment's figures over time, from what was counted in each minute. Pure.

A percentile comes from the histogram's buckets, as if what fell into a bucket lay evenly between
its bounds: it is as exact as the buckets are narrow.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.sessions import tally
from assistant.sessions.record import State

Counted = Mapping[str, float]
_BOUNDS = (*map(str, tally.BUCKETS_S), "+Inf")


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of `count` durations, in seconds; None: there was none."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What happened in one step of time, which begins at `at` (Unix seconds).

    `started`: sessions that asked for an agent; `active`: those that got their first one; `ended`
    and `failed` by reason. `slots` and `waiting`: how it stood at the step's end. `joining`: from
    the start until an agent was first in the room. `latencies` by the names of tally.LATENCIES.
    `cost` by currency: what was used in this step, of the models that have a price.
    """

    at: float
    started: int
    active: int
    ended: dict[str, int]
    failed: dict[str, int]
    turns: int
    interrupted: int
    slots: int
    waiting: int
    joining: Spread
    latencies: dict[str, Spread]
    cost: dict[str, float]


def points(
    minutes: Sequence[Counted], *, first_at: float, step: int, slots: int, waiting: int
) -> list[Point]:
    """The minutes, of which the first begins at `first_at`, in steps of `step` minutes.

    `slots` and `waiting` are those of now, which were the same ever since they last changed.
    """
    used, queued = _levels(minutes, "slots", slots), _levels(minutes, "waiting", waiting)
    found = []
    for begin in range(0, len(minutes), step):
        counted: defaultdict[str, float] = defaultdict(float)
        for minute in minutes[begin : begin + step]:
            for name, amount in minute.items():
                counted[name] += amount
        last = min(begin + step, len(minutes)) - 1
        found.append(_point(first_at + begin * 60.0, counted, used[last], queued[last]))
    return found


def _levels(minutes: Sequence[Counted], name: str, now: int) -> list[int]:
    """How it stood at the end of each minute, though only changes are noted."""
    levels = [0] * len(minutes)
    level: float = now
    for i in range(len(minutes) - 1, -1, -1):
        minute = minutes[i]
        levels[i] = int(minute.get(name, level))
        level = minute.get(f"{name}:before", level)
    return levels


def _point(at: float, counted: Counted, slots: int, waiting: int) -> Point:
    turns = interrupted = 0.0
    cost: defaultdict[str, float] = defaultdict(float)
    latencies = {name: defaultdict[str, float](float) for name in tally.LATENCIES}
    for name, amount in counted.items():
        if name.startswith(tally.TURN):
            _, *labels = name.split("|")
            if labels == ["count"]:
                turns += amount
            elif labels == ["interrupted"]:
                interrupted += amount
            elif len(labels) == 2 and labels[0] in latencies:
                latencies[labels[0]][labels[1]] += amount
        elif name.startswith(tally.USAGE):
            quantity = name.rpartition("|")[2]
            if quantity.startswith("cost "):
                cost[quantity.removeprefix("cost ")] += amount
    start = tally.bucket_field("start", "")
    joining = spread({bound: counted.get(f"{start}{bound}", 0) for bound in _BOUNDS})
    return Point(
        at=at,
        started=int(counted.get(tally.STARTED, 0)),
        active=joining.count,
        ended=_reasons(counted, State.ENDED),
        failed=_reasons(counted, State.FAILED),
        turns=int(turns),
        interrupted=int(interrupted),
        slots=slots,
        waiting=waiting,
        joining=joining,
        latencies={name: spread(buckets) for name, buckets in latencies.items()},
        cost=dict(cost),
    )


def _reasons(counted: Counted, state: State) -> dict[str, int]:
    prefix = tally.over_field(state.value, "")
    found = {
        name.removeprefix(prefix): int(amount)
        for name, amount in counted.items()
        if name.startswith(prefix)
    }
    return dict(sorted(found.items()))


def spread(buckets: Counted) -> Spread:
    """The percentiles of a histogram, given as how many fell into the bucket up to each bound."""
    counts = [buckets.get(bound, 0) for bound in _BOUNDS]
    return Spread(int(sum(counts)), *(_percentile(counts, share) for share in (0.5, 0.9, 0.99)))


def _percentile(counts: Sequence[float], share: float) -> float | None:
    """None: nothing was counted. What is above all bounds counts as the highest one."""
    total = sum(counts)
    if not total:
        return None
    rank, before = share * total, 0.0
    for (lower, upper), count in zip(
        pairwise((0.0, *tally.BUCKETS_S, math.inf)), counts, strict=True
    ):
        if count and before + count >= rank:
            if math.isinf(upper):
                return lower
            return lower + (upper - lower) * (rank - before) / count
        before += count
    return tally.BUCKETS_S[-1]
