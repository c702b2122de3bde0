"""What a job tells its session: in order, buffered while Redis is away."""

import asyncio

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError, StoreUnavailableError
from assistant.sessions.store.records import SessionStore

MAX_BUFFERED = 1000  # A turn a second for a quarter of an hour; older news is dropped first.
RETRY_S = 1.0
FLUSH_TIMEOUT_S = 5.0  # A job that ends does not wait longer for Redis than this.

_log = log.get(__name__)


class Reporter:
    """Delivers a job's events to its session; `tell` never waits."""

    def __init__(self, store: SessionStore, session_id: str) -> None:
        self._store = store
        self._session_id = session_id
        self._waiting: asyncio.Queue[ev.Event] = asyncio.Queue(MAX_BUFFERED)

    def tell(self, event: ev.Event) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
            _log.warning("job.report_dropped", session=self._session_id)
        self._waiting.put_nowait(event)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            event = await self._waiting.get()
            try:
                await self._deliver(event)
            finally:
                self._waiting.task_done()

    async def flush(self) -> None:
        """Wait until everything was delivered, for FLUSH_TIMEOUT_S at most."""
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._waiting.join()
        except TimeoutError:
            _log.warning("job.reports_lost", session=self._session_id, n=self._waiting.qsize())

    async def _deliver(self, event: ev.Event) -> None:
        while True:
            try:
                if isinstance(event, ev.TurnCompleted):
                    await self._store.note(self._session_id, event)
                else:
                    await self._store.record(self._session_id, event)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
            except SessionError as error:
                # The record is gone or others won; there is nobody left to tell.
                _log.info("job.report_refused", event_name=event.name, error=str(error))
                return
            else:
                return
