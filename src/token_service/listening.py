"""An operator's ear: a token to hear a session unseen, and the note that somebody asked for it."""

import time
from collections.abc import Callable

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionNotFoundError
from assistant.sessions.record import AT_WORK, is_session_id
from assistant.sessions.store.records import SessionStore
from token_service.auth import Caller
from token_service.errors import SessionNotLiveError
from token_service.outcomes import Minted
from token_service.tokens import Minter

_log = log.get(__name__)


class Listening:
    """Raises StoreUnavailableError when Redis is away."""

    def __init__(
        self, store: SessionStore, minter: Minter, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._minter = minter
        self._clock = clock

    async def admit(self, caller: Caller, session_id: str) -> Minted:
        """A listener's token for a live session; its timeline says who got one.

        Raises:
            ForbiddenError: it takes a secret key.
            SessionNotFoundError: there is no such session.
            SessionNotLiveError: no agent is there, nor on its way.
        """
        caller.require_secret()
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        session = await self._store.get(session_id)
        if session.state not in AT_WORK:
            raise SessionNotLiveError
        noted = ev.OperatorListening(at=self._clock(), by=caller.name)
        await self._store.note(session_id, noted)
        _log.info("session.listening", session=session_id, caller=caller.name)
        return Minted(session.id, session.room, self._minter.mint_listener(session), None)
