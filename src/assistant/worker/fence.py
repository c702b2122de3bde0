"""A job's right to be in its room: it leaves by itself when a newer attempt took its place."""

import asyncio
import time
from typing import Protocol

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.record import AT_WORK, State
from assistant.sessions.store.records import SessionStore

CHECK_INTERVAL_S = 1.0
SUPERSEDED = "superseded"

_log = log.get(__name__)


class Leave(Protocol):
    """Ends the job; `lost`: nobody else has the session, and somebody should."""

    def __call__(self, why: str, *, lost: bool) -> None: ...


class Fence:
    """Watches whether one attempt is still the session's current one.

    `grace_s`: how long a conversation goes on while Redis does not answer.
    """

    def __init__(
        self, store: SessionStore, session_id: str, attempt: int, *, grace_s: float
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._attempt = attempt
        self._grace_s = grace_s

    async def watch(self, leave: Leave) -> None:
        """Call `leave` once the attempt is over, and return.

        A process that was stopped for a while checks first of all when it goes on.
        """
        answered_at = time.monotonic()
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            try:
                standing = await self._store.standing(self._session_id)
            except StoreUnavailableError:
                if time.monotonic() - answered_at > self._grace_s:
                    leave("session store unreachable", lost=True)
                    return
                continue
            answered_at = time.monotonic()
            why = self._why_over(standing)
            if why is not None:
                _log.info("job.leaving", session=self._session_id, why=why)
                leave(why, lost=False)
                return

    def _why_over(self, standing: tuple[State, int] | None) -> str | None:
        if standing is None:
            return "session erased"
        state, attempt = standing
        if attempt != self._attempt:
            return SUPERSEDED
        return None if state in AT_WORK else f"session {state}"
