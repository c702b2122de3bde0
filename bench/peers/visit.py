"""A caller in a contender's room: what it sees and hears, and when."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from bench.errors import NothingCameError
from bench.peers.peer import Peer, Room

from assistant.rehearsal.caller import Caller
from assistant.rehearsal.errors import WaitTimedOutError

#: What a caller waits, whoever was asked. Nobody's start that came took so long, so that this
#: tells a lost one from a slow one. What has not come by then counts as this: the least it took.
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Arrival:
    """Seconds from the request until the caller saw the agent, and heard it; None: not asked.

    PATIENCE_S is one that had not come by then.
    """

    seen_s: float
    heard_s: float | None

    @property
    def came(self) -> bool:
        """Whether the caller got all that it waited for."""
        return max(self.seen_s, self.heard_s or 0.0) < PATIENCE_S


#: By contender, round by round.
Arrivals = dict[str, list[list[Arrival]]]


class Visit:
    """A caller in its room, before and after the agent is asked for."""

    def __init__(self, peer: Peer, room: Room, caller: Caller) -> None:
        self.peer = peer
        self.caller = caller
        self._room = room

    async def start(self, *, greeting: bool = True) -> Arrival:
        """Asks for the agent and waits until it is seen and, with `greeting`, heard, or in vain."""
        began = time.monotonic()
        seen_s, heard_s = PATIENCE_S, PATIENCE_S if greeting else None
        asked = asyncio.create_task(self.peer.begin(self._room), name="begin")
        try:
            seen_s = (await self.caller.wait_for_agent(PATIENCE_S)).joined - began
            if greeting:
                left_s = max(began + PATIENCE_S - time.monotonic(), 0.0)
                heard_s = (await self.caller.wait_for_speech(left_s, since=began)).started - began
        except WaitTimedOutError as error:
            print(f"{self.peer.name}: {error}", flush=True)
        finally:
            await asked
        arrival = Arrival(
            min(seen_s, PATIENCE_S), None if heard_s is None else min(heard_s, PATIENCE_S)
        )
        print(json.dumps({"contender": self.peer.name, **asdict(arrival)}), flush=True)
        return arrival


def check_came(found: Arrivals) -> None:
    """Some starts may be lost, and count as what was waited for them; not all of them.

    Raises:
        NothingCameError: a contender was not seen, or not heard, once.
    """
    for name, rounds in found.items():
        arrivals = [arrival for each in rounds for arrival in each]
        if not any(arrival.came for arrival in arrivals):
            raise NothingCameError(name, len(arrivals), PATIENCE_S)


@asynccontextmanager
async def visit(peer: Peer) -> AsyncIterator[Visit]:
    """A caller waits in a new room; whatever it starts there has ended when this is left."""
    room = await peer.room()
    caller = Caller(room.url, room.token, keeps_audio=False)
    try:
        async with caller:
            yield Visit(peer, room, caller)
    finally:
        await peer.end(room)
