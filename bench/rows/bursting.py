"""Eight starts at one moment: `python -m bench 1c`.

Eight callers wait, each in a room of its own; then all agents are asked for at once. There are
fewer idle processes than that, as in a real burst, so it counts how fast more are made.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.peers.contenders import Make, contenders, in_turn, versions
from bench.peers.dispatched import Floor, Shared, Stock
from bench.peers.ours import Ours, OursDense
from bench.peers.peer import IDLE, Peer
from bench.peers.started import SpawnedPool
from bench.peers.visit import PATIENCE_S, Arrival, Arrivals, check_came, visit
from bench.results import Row

NUMBERS = ("1c",)
BURST = 8
#: Of ours in shared processes, which is the product once more, and so has a stage of its own.
DENSE_ROUNDS = 2
MAKERS: Sequence[Make] = (Ours, Stock, Floor, Shared, SpawnedPool)


async def burst(peer: Peer) -> list[Arrival]:
    """One burst, with nothing else going on; every start of it."""
    await peer.warm()
    async with AsyncExitStack() as rooms:
        callers = [await rooms.enter_async_context(visit(peer)) for _ in range(BURST)]
        async with asyncio.TaskGroup() as group:
            starts = [
                group.create_task(caller.start(greeting=peer.has_providers)) for caller in callers
            ]
    await peer.warm()  # A pool that fills up again would do it in the next contender's turn.
    return [start.result() for start in starts]


def rows(found: Arrivals, made_of: dict[str, dict[str, str]]) -> list[Row]:
    """Row 1c: each contender's starts, and until the greeting of those that have a voice."""
    seen = {name: [[a.seen_s for a in each] for each in every] for name, every in found.items()}
    heard = {
        f"{name} to the greeting": [
            [a.heard_s for a in each if a.heard_s is not None] for each in every
        ]
        for name, every in found.items()
        if all(each[0].heard_s is not None for each in every)
    }
    return [
        Row(
            number="1c",
            title=f"burst of {BURST} starts → agent seen by its caller",
            unit="s",
            better="lower",
            versions=made_of,
            statistic="p95",
            rounds={**seen, **heard},
            waited=PATIENCE_S,
            note=f"{IDLE} idle processes each; ours from the HTTP start request, peers from the "
            "dispatch, S from its HTTP start. Of eight, the 95th percentile is the last. `ours "
            "dense` took its turns after the others.",
        )
    ]


async def measure(rounds: int) -> list[Row]:
    found: Arrivals = defaultdict(list)
    async with contenders(MAKERS) as peers:
        made_of = versions(peers)
        for number in range(rounds):
            for peer in in_turn(peers, number):
                found[peer.name].append(await burst(peer))
    async with contenders([OursDense]) as (dense,):
        for _ in range(min(rounds, DENSE_ROUNDS)):
            found[dense.name].append(await burst(dense))
    check_came(found)
    return rows(found, made_of)
