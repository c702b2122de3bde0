"""Finds what no event leads to: rooms without a session, sessions without a next check."""

from collections.abc import Callable

from assistant import log
from assistant.sessions.record import session_of_room
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import SessionStore
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError

SWEEP_INTERVAL_S = 15.0
# A session's own end may be deleting the room right now, and a start storing its record.
ORPHAN_GRACE_S = 10.0
SWEEP_DELETES = 50  # Rooms deleted in one sweep; the next one goes on.

_log = log.get(__name__)


class Sweep:
    """Every replica has one; two at once do no harm."""

    def __init__(
        self,
        *,
        store: SessionStore,
        due: DueQueue,
        gateway: LiveKitGateway,
        room_prefix: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._due = due
        self._gateway = gateway
        self._room_prefix = room_prefix
        self._clock = clock
        #: Rooms without a live session, by when a sweep first found them so.
        self._orphans: dict[str, float] = {}

    async def __call__(self) -> None:
        """Sweep once. A room is deleted when sweeps have found it orphaned for ORPHAN_GRACE_S.

        Raises:
            StoreUnavailableError, LiveKitUnavailableError: nothing is known, so nothing is done.
        """
        for session_id in await self._store.unwatched():
            _log.warning("sweep.unwatched", session=session_id)
            await self._due.check_now(session_id)
        rooms = await self._gateway.rooms(self._room_prefix)
        ours = {room: owner for room in rooms if (owner := self._owner(room)) is not None}
        live = await self._store.are_live(list(ours.values()))
        now = self._clock()
        self._orphans = {
            room: self._orphans.get(room, now)
            for room, is_live in zip(ours, live, strict=True)
            if not is_live
        }
        due = [room for room, since in self._orphans.items() if now >= since + ORPHAN_GRACE_S]
        for room in due[:SWEEP_DELETES]:
            await self._delete(room)

    async def _delete(self, room: str) -> None:
        _log.warning("sweep.orphan_room", room=room)
        try:
            await self._gateway.delete_room(room)
        except LiveKitUnavailableError as error:
            # One room that LiveKit cannot close must not keep the others open.
            _log.warning("sweep.delete_failed", room=room, detail=error.detail)

    def _owner(self, room: str) -> str | None:
        return session_of_room(self._room_prefix, room)
