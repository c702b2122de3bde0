"""Row 6-api: how much slower the API is with 10,000 stored sessions than with 10.

As bench/stored_sessions.py has it: two services side by side, the same requests to both in turn. A
round's values are the 99th percentiles of each kind of request (token, start, one session, lists
and figures), and their mean stands for the round, so that every kind weighs as it is slow.
"""

import asyncio
import random
import secrets
import tempfile
from pathlib import Path

from bench.results import Row
from bench.stored_sessions import filled
from bench.stored_sessions import measure as ask

from assistant.rehearsal.load.figures import percentile

NUMBERS = ("6-api",)
FEW, MANY = 10, 10_000
#: Of each kind, on each side, in a round.
REQUESTS = 200
NOTE = "mean of the 99th percentiles of token, start, get, list, list of ended ones, and stats"


async def measure(rounds: int) -> list[Row]:
    """Row 6-api."""
    return [await asyncio.to_thread(_measured, rounds)]


def _measured(rounds: int) -> Row:
    rng = random.Random(secrets.randbits(32))  # noqa: S311 - ids of a benchmark
    few_name, many_name = f"ours at {FEW}", f"ours at {MANY}"
    took: dict[str, list[list[float]]] = {many_name: [], few_name: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        filled(Path(folder), FEW, MANY, rng) as (few, many, _),
    ):
        asyncio.run(ask(few, many, REQUESTS // 10, rng))
        for _ in range(rounds):
            seconds = asyncio.run(ask(few, many, REQUESTS, rng))
            for name, side in ((many_name, "many"), (few_name, "few")):
                took[name].append(
                    [percentile(sorted(sides[side]), 0.99) for sides in seconds.values()]
                )
    return Row(
        number="6-api",
        title=f"The API's p99 with {MANY:,} stored sessions and with {FEW}",
        unit="s",
        better="lower",
        statistic="mean",
        rounds=took,
        note=NOTE,
    )
