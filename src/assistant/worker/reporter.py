"""What a job or its worker tells the sessions: in order, buffered while Redis is away."""

import asyncio
from dataclasses import dataclass

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError, StoreUnavailableError
from assistant.sessions.item import Item
from assistant.sessions.store.records import SessionStore

MAX_BUFFERED = 1000  # A turn a second for a quarter of an hour; older news is dropped first.
RETRY_S = 1.0
FLUSH_TIMEOUT_S = 5.0  # A job that ends does not wait longer for Redis than this.
# When to look at a session that changed, but whose next step is not due to it.
NOT_URGENT_S = 1.0

_log = log.get(__name__)


@dataclass(frozen=True)
class _Said:
    attempt: int
    item: Item


class Reporter:
    """Delivers events to their sessions; `tell` and `keep` never wait."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._waiting: asyncio.Queue[tuple[str, ev.Event | _Said]] = asyncio.Queue(MAX_BUFFERED)

    def tell(self, session_id: str, event: ev.Event) -> None:
        self._put(session_id, event)

    def keep(self, session_id: str, attempt: int, item: Item) -> None:
        """Have something kept that was said in the attempt."""
        self._put(session_id, _Said(attempt, item))

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            session_id, news = await self._waiting.get()
            try:
                await self._deliver(session_id, news)
            finally:
                self._waiting.task_done()

    async def flush(self) -> None:
        """Wait until everything was delivered, for FLUSH_TIMEOUT_S at most."""
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._waiting.join()
        except TimeoutError:
            _log.warning("reports.lost", n=self._waiting.qsize())

    def _put(self, session_id: str, news: ev.Event | _Said) -> None:
        if self._waiting.full():
            dropped, _ = self._waiting.get_nowait()
            self._waiting.task_done()
            _log.warning("report.dropped", session=dropped)
        self._waiting.put_nowait((session_id, news))

    async def _deliver(self, session_id: str, news: ev.Event | _Said) -> None:
        while True:
            try:
                match news:
                    case _Said(attempt, item):
                        await self._store.keep(session_id, attempt, item)
                    case ev.Note():
                        await self._store.note(session_id, news)
                    case _:
                        next_check = None if news.urgent else news.at + NOT_URGENT_S
                        await self._store.record(session_id, news, next_check=next_check)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
            except SessionError as error:
                # The record is gone or others won; there is nobody left to tell.
                _log.info("report.refused", session=session_id, error=str(error))
                return
            else:
                return
