"""Eight starts at one moment: `python -m bench 1c`.

Eight callers wait, each in a room of its own; then all agents are asked for at once. There are
fewer idle processes than that, as in a real burst, so it counts how fast more are made.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from bench.peers.contenders import Make, contenders, in_turn, versions
from bench.peers.dispatched import Floor, Shared, Stock
from bench.peers.ours import Ours, OursDense
from bench.peers.peer import IDLE, Peer
from bench.peers.started import SpawnedPool
from bench.peers.visit import Arrival, visit
from bench.results import Row

from assistant.rehearsal.errors import WaitTimedOutError

NUMBERS = ("1c",)
BURST = 8
#: A start that took so long has been dropped: the server asks a worker once.
LOST_AFTER_S = 20.0
#: Of ours in shared processes, which is the product once more, and so has a stage of its own.
DENSE_ROUNDS = 2
MAKERS: Sequence[Make] = (Ours, Stock, Floor, Shared, SpawnedPool)


async def burst(peer: Peer) -> list[Arrival]:
    """One burst, with nothing else going on; the starts that came to something.

    Raises:
        WaitTimedOutError: none did.
    """
    await peer.warm()
    async with AsyncExitStack() as rooms:
        callers = [await rooms.enter_async_context(visit(peer)) for _ in range(BURST)]
        starts = [
            caller.start(greeting=peer.has_providers, timeout_s=LOST_AFTER_S) for caller in callers
        ]
        tried = await asyncio.gather(*starts, return_exceptions=True)
    await peer.warm()  # A pool that fills up again would do it in the next contender's turn.
    arrivals = [start for start in tried if isinstance(start, Arrival)]
    for error in tried:
        if isinstance(error, BaseException) and not (
            arrivals and isinstance(error, WaitTimedOutError)
        ):
            raise error
    return arrivals


def lost(found: Mapping[str, list[list[Arrival]]]) -> str:
    """Whose starts came to nothing; what was lost is in no figure."""
    counts = {name: sum(BURST - len(each) for each in every) for name, every in found.items()}
    told = [f"{name} lost {n} of {BURST * len(found[name])}" for name, n in counts.items() if n]
    return " Starts that were lost, and are in no figure: " + ", ".join(told) if told else ""


async def measure(rounds: int) -> list[Row]:
    found: dict[str, list[list[Arrival]]] = defaultdict(list)
    async with contenders(MAKERS) as peers:
        made_of = versions(peers)
        for number in range(rounds):
            for peer in in_turn(peers, number):
                found[peer.name].append(await burst(peer))
    async with contenders([OursDense]) as (dense,):
        for _ in range(min(rounds, DENSE_ROUNDS)):
            found[dense.name].append(await burst(dense))
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
            note=f"{IDLE} idle processes each; ours from the HTTP start request, peers from the "
            "dispatch, S from its HTTP start. Of eight, the 95th percentile is the last. `ours "
            "dense` took its turns after the others." + lost(found),
        )
    ]
