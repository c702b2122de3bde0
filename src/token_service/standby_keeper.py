"""Has LiveKit dispatch jobs ahead of sessions, as many as the workers' beats ask for.

Level-triggered: what LiveKit dropped, or a worker refused, the next beats ask for again. Which
worker gets one is LiveKit's choice.
"""

import asyncio
import secrets

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.metadata import StandbyMetadata
from assistant.sessions.store.standby import StandbyStore
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError
from token_service.overview import Fleet, takes_jobs

LOOK_S = 0.5
#: In one look: 0.3 s of LiveKit's answers. The next ones ask for the rest.
MOST_AT_ONCE = 100
AWAY_S = 2.0
# No session id has a dot in it, so that no room of a session is ever called like this.
ROOM_MARK = "standby."

_log = log.get(__name__)


class StandbyKeeper:
    """Every replica runs one; of several, one asks at a time."""

    def __init__(
        self,
        *,
        store: StandbyStore,
        fleet: Fleet,
        gateway: LiveKitGateway,
        room_prefix: str,
        agent_name: str,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._gateway = gateway
        self._room_prefix = room_prefix
        self._agent_name = agent_name

    async def run(self) -> None:
        """Look until cancelled; while Redis or LiveKit are away, seldom."""
        while True:
            try:
                await self.look()
                delay_s = LOOK_S
            except (StoreUnavailableError, LiveKitUnavailableError) as error:
                _log.warning("standby.failed", error=str(error))
                delay_s = AWAY_S
            await asyncio.sleep(delay_s)

    async def look(self) -> None:
        """Ask for what is missing now.

        Raises:
            StoreUnavailableError, LiveKitUnavailableError: not all was asked for.
        """
        beats = [beat for beat in await self._fleet.beats() if takes_jobs(beat)]
        if not all(beat.stands_by for beat in beats):
            return  # One of an older release would take such a job for a caller's.
        wanted = sum(beat.standby_wanted for beat in beats)
        if not wanted or not await self._store.may_ask():
            return
        for _ in range(min(wanted, MOST_AT_ONCE)):
            place = StandbyMetadata(standby=secrets.token_hex(8))
            room = f"{self._room_prefix}{ROOM_MARK}{place.standby}"
            await self._gateway.stand_by(room, self._agent_name, place.encode())
