"""What a job or its worker tells the sessions: in order, buffered while Redis is away."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError, StoreUnavailableError
from assistant.sessions.item import Item
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.records import SessionStore
from assistant.sessions.usage import Spent

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
    unfinished: tuple[Item, ...]


@dataclass(frozen=True)
class _Begun:
    attempt: int
    unfinished: tuple[Item, ...]


@dataclass(frozen=True)
class _Used:
    attempt: int
    spent: Spent


@dataclass(frozen=True)
class _Logged:
    attempt: int
    lines: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Silent:
    attempt: int
    parts: Mapping[str, Any]


_News = ev.Event | _Said | _Begun | _Used | _Logged | _Silent


class Reporter:
    """Delivers news to their sessions; nothing but `run` and `flush` ever waits.

    `archive`: where `keep`, `begin`, `spend`, `log` and `silent` lead; None: nobody calls them.
    """

    def __init__(self, store: SessionStore, archive: Archive | None = None) -> None:
        self._store = store
        self._archive = archive
        self._waiting: asyncio.Queue[tuple[str, _News]] = asyncio.Queue(MAX_BUFFERED)

    def tell(self, session_id: str, event: ev.Event) -> None:
        self._put(session_id, event)

    def keep(
        self, session_id: str, attempt: int, item: Item, unfinished: tuple[Item, ...] = ()
    ) -> None:
        """Have something kept that was said in the attempt, which is now in the middle of those."""
        self._put(session_id, _Said(attempt, item, unfinished))

    def begin(self, session_id: str, attempt: int, unfinished: tuple[Item, ...]) -> None:
        """Have written down what the attempt is in the middle of."""
        self._put(session_id, _Begun(attempt, unfinished))

    def spend(self, session_id: str, attempt: int, spent: Spent) -> None:
        """Have written down what the attempt has used so far."""
        self._put(session_id, _Used(attempt, spent))

    def log(self, session_id: str, attempt: int, lines: Sequence[Mapping[str, Any]]) -> None:
        """Have written down what the attempt's job has logged, in place of what it had before."""
        self._put(session_id, _Logged(attempt, lines))

    def silent(self, session_id: str, attempt: int, parts: Mapping[str, Any]) -> None:
        """Have written down that nothing more comes of the attempt: its process is gone.

        `parts` of the report are what is left of it.
        """
        self._put(session_id, _Silent(attempt, parts))

    @property
    def is_behind(self) -> bool:
        """Whether news wait, behind what is being delivered."""
        return not self._waiting.empty()

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

    @property
    def _archived(self) -> Archive:
        if self._archive is None:
            raise TypeError("this reporter has no archive")
        return self._archive

    def _put(self, session_id: str, news: _News) -> None:
        if self._waiting.full():
            dropped, _ = self._waiting.get_nowait()
            self._waiting.task_done()
            _log.warning("report.dropped", session=dropped)
        self._waiting.put_nowait((session_id, news))

    async def _deliver(self, session_id: str, news: _News) -> None:
        while True:
            try:
                await self._write(session_id, news)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
            except SessionError as error:
                # The record is gone or others won; there is nobody left to tell.
                _log.info("report.refused", session=session_id, error=str(error))
                return
            else:
                return

    async def _write(self, session_id: str, news: _News) -> None:
        match news:
            case _Said(attempt, item, unfinished):
                await self._archived.keep(session_id, attempt, item, unfinished)
            case _Begun(attempt, unfinished):
                await self._archived.begin(session_id, attempt, unfinished)
            case _Used(attempt, spent):
                await self._archived.spend(session_id, attempt, spent)
            case _Logged(attempt, lines):
                parts = {f"logs:{attempt}": lines}
                await self._archived.finish(session_id, attempt, parts, last=False)
            case _Silent(attempt, parts):
                await self._archived.recover(session_id, attempt)
                await self._archived.finish(session_id, attempt, parts, last=True)
            case ev.Note():
                await self._store.note(session_id, news)
            case _:
                next_check = None if news.urgent else news.at + NOT_URGENT_S
                await self._store.record(session_id, news, next_check=next_check)
