"""The simulation of one host, fitted to real bursts and compared with others.

`python -m bench.scale.fit bench/scale/bursts.jsonl` fits what a start and a refill cost to
bursts of 1, 2 and 4 for which no job stood by, and shows what it then says of the others, which it
has not seen.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from statistics import median

from bench.scale.figures import ONE_HOST_COSTS, RECORD_S
from bench.scale.model import Costs, Course, Fleet
from bench.scale.world import World

FITTED_SIZES = (1, 2, 4)
POOL = 3
TRIES = 500
REFINEMENTS = 500
SEED = 1
RANGES = {
    "start_cpu_s": (0.02, 1.0),
    "start_wait_s": (0.01, 0.2),
    "side_cpu_s": (0.02, 1.5),
    "refill_cpu_s": (0.02, 1.0),
    "background": (0.02, 1.0),
}


@dataclass(frozen=True)
class Burst:
    """A burst as it was, or as it is said to be; seconds. `standby`: jobs that stood by."""

    size: int
    standby: int
    background: float
    cores: int
    joins_s: tuple[float, ...]
    refill_s: float


def read(path: Path) -> list[Burst]:
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line)
    return [
        Burst(
            size=line["size"],
            standby=line["standby"],
            background=line["background_cores"],
            cores=line["cores"],
            joins_s=tuple(line["joins_s"]),
            refill_s=line["refill_s"],
        )
        for line in lines
        # A start that failed or was repeated is another matter.
        if "size" in line and len(line["joins_s"]) == line["size"]
    ]


@dataclass(frozen=True)
class Fit:
    """`background`: how much a thread that runs anyway counts beside one that has just woken."""

    costs: Costs
    background: float


def fit_of(parts: dict[str, float], *, record_s: float) -> Fit:
    costs = replace(
        ONE_HOST_COSTS,
        record_s=record_s,
        start_cpu_s=parts["start_cpu_s"],
        start_wait_s=parts["start_wait_s"],
        side_cpu_s=parts["side_cpu_s"],
        refill_cpu_s=parts["refill_cpu_s"],
    )
    return Fit(costs, parts["background"])


def simulate(burst: Burst, fitted: Fit) -> Burst:
    """The same burst on a simulated host."""
    fleet = Fleet(
        workers=1,
        max_jobs=20,
        pool=POOL,
        standby=burst.standby,
        cores=burst.cores,
        replicas=1,
        other_cores=burst.background * fitted.background,
    )
    course = Course(
        starts_per_s=0,
        lasts_s=60,
        talk_s=1e6,
        event_at_s=1,
        burst=burst.size,
        burst_within_s=0.0,
    )
    result = World(fleet, fitted.costs, course).run()
    return Burst(
        size=burst.size,
        standby=burst.standby,
        background=burst.background,
        cores=burst.cores,
        joins_s=tuple(sorted(result.outcome.latencies_s)),
        refill_s=result.missing_s / burst.size,
    )


def distance(bursts: Sequence[Burst], fitted: Fit) -> float:
    """How far the simulation is from what was: squared logs of ratios, added up."""
    total = 0.0
    for real in bursts:
        told = simulate(real, fitted)
        if len(told.joins_s) != len(real.joins_s):
            return float("inf")
        pairs = [
            (median(told.joins_s), median(real.joins_s)),
            (told.joins_s[-1], real.joins_s[-1]),
            (told.refill_s, real.refill_s),
        ]
        total += sum(log(max(a, 0.01) / max(b, 0.01)) ** 2 for a, b in pairs)
    return total


def fit(bursts: Sequence[Burst], *, record_s: float) -> Fit:
    """The costs that bring the simulation nearest to the bursts of the fitted sizes."""
    rng = random.Random(SEED)  # noqa: S311 - a search
    known = [burst for burst in bursts if _is_fitted(burst)]
    best: dict[str, float] = {}
    least = float("inf")
    for number in range(TRIES + REFINEMENTS):
        parts = {}
        for name, (low, high) in RANGES.items():
            if number < TRIES:
                parts[name] = low * (high / low) ** rng.random()
            else:
                parts[name] = min(max(best[name] * rng.uniform(0.85, 1.18), low), high)
        found = distance(known, fit_of(parts, record_s=record_s))
        if found < least:
            best, least = parts, found
    return fit_of(best, record_s=record_s)


def validation(bursts: Sequence[Burst], fitted: Fit) -> str:
    """Measured beside simulated, as a table; medians over the runs of each size."""
    lines = [
        (
            "| stand by | burst | runs | agent in the room, p50 | simulated | slowest | simulated "
            "| refill | simulated | |"
        ),
        f"|{'---|' * 10}",
    ]
    for standby, size in sorted({(burst.standby, burst.size) for burst in bursts}):
        real = [burst for burst in bursts if (burst.standby, burst.size) == (standby, size)]
        told = [simulate(burst, fitted) for burst in real]
        cells = [f"{standby}", f"{size}", f"{len(real)}"]
        for of in (_p50, _slowest, _refill):
            cells += [f"{median(of(b) for b in runs):.2f} s" for runs in (real, told)]
        cells.append("fitted" if _is_fitted(real[0]) else "predicted")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _is_fitted(burst: Burst) -> bool:
    return not burst.standby and burst.size in FITTED_SIZES


def _p50(burst: Burst) -> float:
    return median(burst.joins_s)


def _slowest(burst: Burst) -> float:
    return burst.joins_s[-1]


def _refill(burst: Burst) -> float:
    return burst.refill_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bursts", type=Path)
    parser.add_argument("--record-s", type=float, default=RECORD_S)
    options = parser.parse_args()
    bursts = read(options.bursts)
    fitted = fit(bursts, record_s=options.record_s)
    print(fitted)
    print(validation(bursts, fitted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
