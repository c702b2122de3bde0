"""A caller in a contender's room: what it sees and hears, and when."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from bench.peers.peer import Peer, Room

from assistant.rehearsal.caller import Caller

#: A cold process on a busy machine takes a few seconds.
AGENT_TIMEOUT_S = 40.0
SPEECH_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Arrival:
    """Seconds from the request until the caller saw the agent, and heard it; None: not asked."""

    seen_s: float
    heard_s: float | None


class Visit:
    """A caller in its room, before and after the agent is asked for."""

    def __init__(self, peer: Peer, room: Room, caller: Caller) -> None:
        self.peer = peer
        self.caller = caller
        self._room = room

    async def start(self, *, greeting: bool = True, timeout_s: float = AGENT_TIMEOUT_S) -> Arrival:
        """Asks for the agent and waits until it is seen and, with `greeting`, heard.

        Raises:
            WaitTimedOutError: it did not come, or was silent.
        """
        began = time.monotonic()
        asked = asyncio.create_task(self.peer.begin(self._room), name="begin")
        try:
            agent = await self.caller.wait_for_agent(timeout_s)
            heard = None
            if greeting:
                heard = await self.caller.wait_for_speech(SPEECH_TIMEOUT_S, since=began)
        finally:
            await asked
        arrival = Arrival(agent.joined - began, heard.started - began if heard else None)
        print(json.dumps({"contender": self.peer.name, **asdict(arrival)}), flush=True)
        return arrival


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
