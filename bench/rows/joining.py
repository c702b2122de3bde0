"""How soon an agent is there: from the request until the caller sees it, and hears it.

The caller is in the room before the clock runs, and every contender has all its idle processes
ready. Everybody is asked by what their users call: a dispatch, or, of S and of the product, an HTTP
start. The product has had jobs dispatched ahead of that, which is what it is for; asked by the
peers' bare dispatch, as `ours by dispatch`, it is without them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from bench.peers.contenders import Make, contenders, in_turn, versions
from bench.peers.dispatched import Floor, Shared, Stock
from bench.peers.ours import Ours, OursDispatched
from bench.peers.peer import IDLE, Peer
from bench.peers.started import SpawnedCold, SpawnedPool
from bench.peers.visit import PATIENCE_S, Arrival, Arrivals, check_came, visit
from bench.results import Row

NUMBERS = ("1", "1b")
STARTS_A_ROUND = 3
#: What a contender keeps of a conversation for later ones, as ours does the sound of its greeting,
#: is made while the conversation goes on.
FIRST_LASTS_S = 6.0
MAKERS: Sequence[Make] = (Ours, Stock, Floor, Shared, SpawnedPool, SpawnedCold)


def both_ways(peers: Sequence[Peer]) -> list[Peer]:
    """The contenders, with the product asked by a bare dispatch beside its own start request."""
    return [OursDispatched(peer) for peer in peers if isinstance(peer, Ours)] + list(peers)


async def one(peer: Peer, *, lasts_s: float = 0.0) -> Arrival:
    """One start, with nothing else going on; the caller leaves `lasts_s` after it."""
    await peer.warm()
    async with visit(peer) as caller:
        arrival = await caller.start(greeting=peer.has_providers)
        await asyncio.sleep(lasts_s)
    await peer.warm()  # A pool that fills up again would do it in the next contender's turn.
    return arrival


async def arrivals(peers: Sequence[Peer], rounds: int) -> Arrivals:
    """Each contender's starts, round by round; a whole call to each before any is counted."""
    found: Arrivals = defaultdict(list)
    for peer in peers:
        await one(peer, lasts_s=FIRST_LASTS_S)
    for number in range(rounds):
        for peer in peers:
            found[peer.name].append([])
        for turn in range(STARTS_A_ROUND):
            for peer in in_turn(peers, number + turn):
                found[peer.name][-1].append(await one(peer))
    return found


def rows(found: Arrivals, made_of: dict[str, dict[str, str]]) -> list[Row]:
    """Rows 1 and 1b. What has no voice is in 1b with when it was seen."""
    seen = {name: [[a.seen_s for a in every] for every in tries] for name, tries in found.items()}
    heard = {
        name: [[a.seen_s if a.heard_s is None else a.heard_s for a in every] for every in tries]
        for name, tries in found.items()
    }
    common = f"{IDLE} idle processes each; the caller waits in the room."
    return [
        Row(
            number="1",
            title="dispatch call → agent seen by the caller",
            unit="s",
            better="lower",
            versions=made_of,
            statistic="p50",
            rounds=seen,
            waited=PATIENCE_S,
            note=f"{common} Ours from the HTTP start request, which a job takes that stood by; "
            "`ours by dispatch` is the same worker asked by the peers' bare dispatch. S from its "
            "HTTP start.",
        ),
        Row(
            number="1b",
            title="start request → first greeting audio heard",
            unit="s",
            better="lower",
            versions=made_of,
            statistic="p50",
            rounds=heard,
            waited=PATIENCE_S,
            note=f"{common} Ours from the HTTP start request, peers from the dispatch, S from its "
            "HTTP start. F has no voice: its figure is when it was seen.",
        ),
    ]


async def measure(rounds: int) -> list[Row]:
    async with contenders(MAKERS) as peers:
        found = await arrivals(both_ways(peers), rounds)
        check_came(found)
        return rows(found, versions(peers))
