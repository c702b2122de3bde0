"""What an event stream says: first what was missed, then what happens, then why it ends."""

import json
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.record import Session
from assistant.sessions.store import keys
from assistant.sessions.store.client import translated
from token_service import sse
from token_service.auth import Caller
from token_service.event_feed import End, Entry, EventFeed, Listener
from token_service.public_events import ENDS, RECORDED, published, spoken
from token_service.stream_places import StreamPlaces
from token_service.words_feed import WordsFeed

HISTORY_ENTRIES = 500  # read at once
START = "0-0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Bounds of a stream's life, in seconds."""

    #: Proxies close what is silent for 30 s or more.
    heartbeat_s: float = 15.0
    #: A reader that takes nothing for so long is cut off.
    send_timeout_s: float = 15.0
    #: Then it is asked to resume, so that keys that were taken away stop working.
    life_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class _Row:
    """One entry of the stream that is told; `id` None: where it stands there is not known."""

    id: str | None
    session: str
    name: str
    data: str


class EventStreams:
    """Streams of this replica."""

    def __init__(
        self, redis: Redis, feed: EventFeed, words: WordsFeed, timing: Timing | None = None
    ) -> None:
        self._redis = redis
        self._feed = feed
        self._words = words
        self._timing = timing or Timing()
        self._places = StreamPlaces()

    def require_begun(self) -> None:
        """Raises: StoreUnavailableError: this replica has only just started."""
        if not self._feed.has_begun:
            raise StoreUnavailableError("events are not followed yet")

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._places.taken

    async def open(
        self, session: Session | None, caller: Caller, *, after: str | None, partials: bool = False
    ) -> "EventStream | None":
        """A stream about one session, or about all (None); whoever gets it closes it.

        `after`: the id of the last event that the reader has; None: all of a session, or of all
        sessions what comes. A public caller sees it as web pages do. `partials`: with words of the
        one session while they are spoken. Returns None if the session is over and there is nothing
        more to say.

        Raises:
            TooManyStreamsError: there is no place now.
            StoreUnavailableError: Redis does not answer.
        """
        key = None if session is None else session.id
        give_back = self._places.take(key, caller)
        try:
            listener = self._feed.listen(key)
        except BaseException:
            give_back()
            raise
        if partials:
            self._words.follow(listener)

        def close() -> None:
            self._feed.leave(listener)
            self._words.leave(listener)
            give_back()

        stream = EventStream(
            self._redis,
            listener,
            session,
            page=caller.is_public,
            timing=self._timing,
            on_close=close,
        )
        try:
            await stream.begin(after)
        except BaseException:
            stream.close()
            raise
        if stream.is_over:
            stream.close()
            return None
        return stream


class EventStream:
    """One reader's stream; `begin` it, send its `frames`, `close` it."""

    def __init__(
        self,
        redis: Redis,
        listener: Listener,
        session: Session | None,
        *,
        page: bool,
        timing: Timing,
        on_close: Callable[[], None],
    ) -> None:
        self.timing = timing
        self._redis = redis
        self._listener = listener
        self._session = session
        self._page = page
        self._on_close: Callable[[], None] | None = on_close
        self._key = keys.EVENTS if session is None else keys.session_events(session.id)
        #: The last entry that was told or left out.
        self._cursor = START
        self._truncated = False
        self._first: list[_Row] = []
        #: Whether the session's end was told, or was there before.
        self._over = session is not None and session.terminal

    @property
    def is_over(self) -> bool:
        return self._over and not any(row.name in RECORDED for row in self._first)

    def close(self) -> None:
        if self._on_close is not None:
            self._on_close()
            self._on_close = None

    async def begin(self, after: str | None) -> None:
        """Read the first of what was missed.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        if after is None and self._session is None:
            self._cursor = await self._newest()
            return
        self._cursor = after or START
        await self._look_for_gap()
        self._first = await self._missed()

    async def frames(self) -> AsyncGenerator[bytes]:
        # A reader that gets nothing else can still resume. What is truncated goes on nowhere yet.
        yield sse.opening(None if self._truncated else self._cursor)
        if self._truncated:
            yield sse.frame("stream.truncated", {"name": "stream.truncated", "at": time.time()})
        try:
            async for chunk in self._history():
                yield chunk
        except StoreUnavailableError:
            yield sse.comment(f"{End.AWAY}; resume")
            return
        until = time.monotonic() + self.timing.life_s
        while time.monotonic() < until and not self._over:
            entries = await self._listener.next(self.timing.heartbeat_s)
            partials = self._listener.take_words()
            if not entries and not partials:
                if self._listener.end is not None:
                    yield sse.comment(f"{self._listener.end}; resume")
                    return
                yield sse.comment("still here")
                continue
            rows = [self._row_of(entry) for entry in entries]
            if any(row.id is None for row in rows):
                break
            for chunk in self._told(rows):
                yield chunk
            for words in partials:
                event = spoken(self._listener.session_id or "", words)
                yield sse.frame(event.name, event.streamed())
        yield sse.comment("the session is over" if self._over else "resume")

    async def _history(self) -> AsyncGenerator[bytes]:
        rows = self._first
        while rows:
            for chunk in self._told(rows):
                yield chunk
            rows = await self._missed() if len(rows) == HISTORY_ENTRIES else []

    def _told(self, rows: Iterable[_Row]) -> Iterator[bytes]:
        """The frames of what is new and public, in order."""
        for row in rows:
            if row.id is None or _place(row.id) <= _place(self._cursor):
                continue
            self._cursor = row.id
            self._over |= self._session is not None and row.name in ENDS
            event = published(row.session, row.name, json.loads(row.data), page=self._page)
            if event is not None:
                yield sse.frame(event.name, event.streamed(), event_id=row.id)

    def _row_of(self, entry: Entry) -> _Row:
        entry_id = entry.id if self._session is None else entry.entry
        return _Row(entry_id, entry.session, entry.name, entry.data)

    async def _newest(self) -> str:
        with translated():
            found = await self._redis.xrevrange(self._key, count=1)
        return cast("str", found[0][0]) if found else START

    async def _missed(self) -> list[_Row]:
        with translated():
            found = cast(
                "list[tuple[str, dict[str, str]]]",
                await self._redis.xrange(self._key, min=f"({self._cursor}", count=HISTORY_ENTRIES),
            )
        about = "" if self._session is None else self._session.id
        return [
            _Row(entry_id, row.get("session", about), row["name"], row["data"])
            for entry_id, row in found
        ]

    async def _look_for_gap(self) -> None:
        """Find out whether something after the cursor may be gone; what is kept is told anyway."""
        cursor = _place(self._cursor)
        with translated():
            try:
                info = await self._redis.xinfo_stream(self._key)
            except ResponseError:
                # There is no stream.
                self._truncated, self._cursor = cursor > (0, 0), START
                return
        first, last = info["first-entry"], _place(info["last-generated-id"])
        trimmed = info["entries-added"] > info["length"]
        # An id of the future is of another Redis: nothing is known about it.
        is_foreign = cursor > last
        is_gone = trimmed and (first is None or cursor < _place(first[0]))
        self._truncated = is_foreign or is_gone
        if is_foreign:
            self._cursor = START


def _place(entry_id: str) -> tuple[int, int]:
    ms, _, place = entry_id.partition("-")
    return int(ms), int(place or 0)
