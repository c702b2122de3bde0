"""Real launches of jobs beside simulated ones, as a table."""

import json
import random
from pathlib import Path
from statistics import median

from bench.scale.figures import COSTS
from bench.scale.livekit import KNOWN_FOR_S, LiveKit
from bench.scale.loop import Loop, Process
from bench.scale.model import Fleet, Naming
from bench.scale.scenarios import NAMINGS
from bench.scale.worker import Worker

FLEET = Fleet(workers=1, max_jobs=1_000, pool=1, cores=2)


def last_offer_s(size: int, naming: Naming) -> float:
    """When the last of so many dispatches, all at once, was taken by a worker with slots enough."""
    loop, ends = Loop(), []
    rng = random.Random(1)  # noqa: S311 - a simulation
    livekit = LiveKit(loop, nodes=1, naming=naming, rng=rng)
    livekit.register(Worker(loop, FLEET, COSTS, phase_s=1.0))
    # What the node knows of the agents is fresh.
    began = KNOWN_FOR_S + 30.0
    loop.at(KNOWN_FOR_S, lambda: loop.spawn(livekit.dispatch(0)))

    def ask() -> Process:
        yield from livekit.dispatch(0)
        ends.append(loop.now - began)

    def begin() -> None:
        for _ in range(size):
            livekit.make_room(0)
        for _ in range(size):
            loop.spawn(ask())

    loop.at(began, begin)
    loop.run(began + 60)
    return max(ends)


def table(path: Path) -> str:
    """`path`: what `python -m bench.scale.launches` printed."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    rows = [
        "| dispatches at once | the room names | last offer, median | slowest run | simulated |",
        "|---|---|---|---|---|",
    ]
    kinds = {(line["dispatches"], line["naming"]) for line in lines}
    for size, naming in sorted(kinds, key=lambda kind: (kind[0], [*NAMINGS].index(kind[1]))):
        runs = [
            line["last_s"]
            for line in lines
            if (line["dispatches"], line["naming"]) == (size, naming)
        ]
        said = last_offer_s(size, naming)
        rows.append(
            f"| {size} | {NAMINGS[naming]} | {median(runs):.2f} s of {len(runs)} "
            f"| {max(runs):.2f} s | {said:.2f} s |"
        )
    return "\n".join(rows)
