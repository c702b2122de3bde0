"""One replica's ear on `assistant:events`: one blocking read, and a bounded queue a listener."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from redis.asyncio import Redis

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect_blocking, entries_of, translated
from assistant.sessions.words import Words

BLOCK_S = 5.0  # One empty answer in so long costs nothing.
READ_ENTRIES = 500
# Events that a listener may be behind before it is cut off: at 300 bytes each, 150 kB.
MAX_BEHIND = 500
RETRY_S = 0.5

_log = log.get(__name__)


class End(StrEnum):
    """Why a listener hears no more."""

    BEHIND = "too slow"
    AWAY = "the session store is away"
    STOPPING = "this replica stops"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as recorded. `id` is that in `assistant:events`, `entry` that in its session's
    stream; None: it was written by an older release, which did not say.
    """

    id: str
    entry: str | None
    session: str
    name: str
    data: str = field(repr=False)


class Listener:
    """What comes after it was made, in order; of one session, or of all (`session_id` None)."""

    def __init__(self, session_id: str | None) -> None:
        self.session_id = session_id
        self.end: End | None = None
        self._waiting: deque[Entry] = deque()
        self._words: dict[str, Words] = {}
        self._news = asyncio.Event()

    def offer(self, entry: Entry) -> None:
        if self.end is None and self.session_id in {None, entry.session}:
            if len(self._waiting) >= MAX_BEHIND:
                self.close(End.BEHIND)
                return
            self._waiting.append(entry)
            self._news.set()

    def hear(self, words: Words) -> None:
        """Words while they are spoken; of each side the newest are kept until they are taken."""
        if self.end is None:
            self._words[words.role] = words
            self._news.set()

    def take_words(self) -> list[Words]:
        words = list(self._words.values())
        self._words.clear()
        return words

    def close(self, why: End) -> None:
        self.end = self.end or why
        self._news.set()

    async def next(self, timeout_s: float) -> list[Entry]:
        """What came meanwhile; empty when nothing did within `timeout_s`, or after the end.

        Empty too when there are words to be taken.
        """
        if not self._waiting and not self._words and self.end is None:
            self._news.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                return []
        entries = list(self._waiting)
        self._waiting.clear()
        return entries


def blocking_client(url: str) -> Redis:
    """A client for the feed's one connection."""
    return connect_blocking(url, block_s=BLOCK_S)


class EventFeed:
    """`run` reads until cancelled; it owns `redis`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: set[Listener] = set()
        self._why_deaf: End | None = End.AWAY
        #: Whether it has heard anything yet; before, the replica is not ready.
        self.has_begun = False

    @property
    def is_live(self) -> bool:
        return self._why_deaf is None

    def listen(self, session_id: str | None) -> Listener:
        """A listener that hears what is written from now on; hand it back to `leave`.

        Raises:
            StoreUnavailableError: the feed does not hear anything now.
        """
        if self._why_deaf is not None:
            raise StoreUnavailableError(self._why_deaf)
        listener = Listener(session_id)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def close(self, why: End = End.STOPPING) -> None:
        """End every listener, and take no new ones."""
        self._why_deaf = why
        for listener in self._listeners:
            listener.close(why)

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._follow()
                except StoreUnavailableError as error:
                    _log.warning("events.unavailable", error=str(error), n=len(self._listeners))
                    if self._why_deaf is not End.STOPPING:
                        self.close(End.AWAY)
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._redis.aclose()

    async def _follow(self) -> None:
        with translated():
            last = await self._redis.xrevrange(keys.EVENTS, count=1)
        position = cast("str", last[0][0]) if last else "0-0"
        self.has_begun = True
        if self._why_deaf is End.AWAY:
            self._why_deaf = None
        while True:
            with translated():
                answer: Any = await self._redis.xread(
                    {keys.EVENTS: position}, count=READ_ENTRIES, block=int(BLOCK_S * 1000)
                )
            for entry_id, row in entries_of(answer):
                position = entry_id
                entry = Entry(entry_id, row.get("entry"), row["session"], row["name"], row["data"])
                for listener in self._listeners:
                    listener.offer(entry)
