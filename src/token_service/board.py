"""`GET /api/overview/stream`: the figures of this moment, told whenever they change.

One look a second for all readers of this replica, and none while nobody reads. A reader that is
slow misses what was overtaken meanwhile: the latest is all that counts.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

from assistant.sessions.errors import StoreUnavailableError
from token_service import sse
from token_service.errors import TooManyStreamsError
from token_service.event_feed import End
from token_service.event_streams import Timing
from token_service.overview import Overview
from token_service.stats import OverviewAnswer

MAX_READERS = 100  # Consoles; each is an open connection and two tasks.
LOOK_EVERY_S = 1.0
# A beat comes every second; one that is late is news.
LATE_BEAT_S = 2.0


class Reader:
    """One reader's stream: send its `frames`, `close` it."""

    def __init__(self, timing: Timing, leave: Callable[["Reader"], None]) -> None:
        self.timing = timing
        self._leave = leave
        self._latest: bytes | None = None
        self._end: End | None = None
        self._news = asyncio.Event()

    def offer(self, frame: bytes) -> None:
        self._latest = frame
        self._news.set()

    def end(self, why: End) -> None:
        self._end = self._end or why
        self._news.set()

    def close(self) -> None:
        self._leave(self)

    async def frames(self) -> AsyncGenerator[bytes]:
        yield sse.opening()
        until = time.monotonic() + self.timing.life_s
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(self.timing.heartbeat_s):
                    await self._news.wait()
            except TimeoutError:
                yield sse.comment("still here")
                continue
            self._news.clear()
            if self._latest is not None:
                frame, self._latest = self._latest, None
                yield frame
            if self._end is not None:
                yield sse.comment(f"{self._end}; resume")
                return
        yield sse.comment("resume")


class Board:
    """`run` looks until cancelled."""

    def __init__(
        self,
        overview: Overview,
        timing: Timing | None = None,
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._overview = overview
        self._timing = timing or Timing()
        self._look_every_s = look_every_s
        self._readers: set[Reader] = set()
        self._is_read = asyncio.Event()
        self._looking = asyncio.Lock()
        #: What was told last, and its frame; None: nobody reads, or nothing is known.
        self._told: tuple[OverviewAnswer, bytes] | None = None
        self._stopping = False

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    async def open(self) -> Reader:
        """A stream that begins with how it stands now; whoever gets it closes it.

        Raises:
            TooManyStreamsError: there is no place now.
            StoreUnavailableError: Redis does not answer, or this replica stops.
        """
        if self._stopping:
            raise StoreUnavailableError(End.STOPPING)
        if self.count >= MAX_READERS:
            raise TooManyStreamsError
        reader = Reader(self._timing, self._leave)
        self._readers.add(reader)
        try:
            async with self._looking:
                if self._told is None:
                    await self._look()
                else:
                    reader.offer(self._told[1])
        except BaseException:
            self._leave(reader)
            raise
        self._is_read.set()
        return reader

    def close(self) -> None:
        """End every stream, and open no new ones."""
        self._stopping = True
        self._end_all(End.STOPPING)

    async def run(self) -> None:
        while True:
            await self._is_read.wait()
            await asyncio.sleep(self._look_every_s)
            try:
                async with self._looking:
                    await self._look()
            except StoreUnavailableError:
                self._told = None
                self._end_all(End.AWAY)

    async def _look(self) -> None:
        answer = await self._overview.now()
        if self._told is not None and _steady(answer) == _steady(self._told[0]):
            return
        frame = sse.frame("overview", answer.model_dump(mode="json", by_alias=True))
        self._told = answer, frame
        for reader in self._readers:
            reader.offer(frame)

    def _leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        if not self._readers:
            self._is_read.clear()
            self._told = None

    def _end_all(self, why: End) -> None:
        for reader in self._readers:
            reader.end(why)


def _steady(answer: OverviewAnswer) -> OverviewAnswer:
    """Without what differs at every look."""
    workers = [
        worker.model_copy(update={"beat_age_s": worker.beat_age_s // LATE_BEAT_S})
        for worker in answer.workers
    ]
    redis = answer.redis.model_copy(
        update={"latency_s": 0.0, "used_memory_bytes": None, "connected_clients": None}
    )
    return answer.model_copy(update={"at": 0.0, "workers": workers, "redis": redis})
