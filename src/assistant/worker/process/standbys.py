"""The worker's jobs that stand by: which still wait, which sessions the others have got.

To LiveKit and to the SDK they are jobs like all others; to callers they are free slots.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from livekit.agents.job import RunningJobInfo

from assistant import log
from assistant.refilling import AFTER_START_S
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.metadata import StandbyMetadata
from assistant.sessions.store.standby import StandbyStore

#: A worker that has no place for another gives those up that it has.
RENEW_WITHIN_S = 10.0
POLL_S = 0.05

_log = log.get(__name__)


class Standbys:
    """`running` are the worker's jobs; what a job that stood by has got is written into its own.

    `limit`: how many may wait. `close` ends a job that cannot be reached by Redis.
    """

    def __init__(
        self,
        store: StandbyStore,
        *,
        limit: int,
        running: Callable[[], list[RunningJobInfo]],
        close: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._limit = limit
        self._running = running
        self._close = close
        self._clock = clock
        self._promised: set[str] = set()
        #: Jobs that were sent home, and may still be on their way.
        self._dismissed: set[str] = set()
        #: Jobs that began with what is no longer so, until there are others in their places.
        self._stale: set[str] = set()
        self._not_before = float("-inf")
        self._is_over = False
        self._settling = asyncio.Lock()

    @property
    def waiting(self) -> list[RunningJobInfo]:
        """Those that no session has taken, as far as this worker knows."""
        return [
            info
            for info in self._running()
            if info.job.id not in self._dismissed and StandbyMetadata.decode(info.job.metadata)
        ]

    @property
    def idle_job_ids(self) -> set[str]:
        """Jobs that nobody talks to: they wait, or were sent home."""
        return {info.job.id for info in self.waiting} | self._dismissed

    def wanted(self, *, free: int, warm: int) -> int:
        """How many more this worker would take: `free` slots, and `warm` processes for them.

        None for a moment after a session took one: making the next would slow its start.
        """
        if self._is_over or self._clock() < self._not_before:
            return 0
        waiting = len(self.waiting) + len(self._promised)
        fresh = len(self._fresh) + len(self._promised)
        return max(min(self._limit - fresh, free - waiting, warm), 0)

    @contextmanager
    def promise(self, job_id: str) -> Iterator[None]:
        """Count a job among them from accepting it until its process has it."""
        self._promised.add(job_id)
        try:
            yield
        finally:
            self._promised.discard(job_id)

    async def settle(self) -> None:
        """Learn which sessions they have got; without Redis none gets one."""
        async with self._settling:
            for info in self.waiting:
                await self.learn(info)
            running = {info.job.id for info in self._running()}
            self._dismissed &= running
            self._stale &= running
            if self._is_over or len(self._fresh) >= self._limit:
                await self._dismiss_all(but=set() if self._is_over else self._fresh)

    async def learn(self, info: RunningJobInfo) -> bool:
        """Whether the job has a session, which then stands in its metadata."""
        place = StandbyMetadata.decode(info.job.metadata)
        if place is None:
            return True
        try:
            assignment = await self._store.learn(place.standby)
        except StoreUnavailableError:
            return False
        if assignment is None:
            return False
        info.job.metadata = assignment.job.encode()
        self._not_before = self._clock() + AFTER_START_S
        _log.info("standby.taken", session=assignment.job.session, attempt=assignment.job.attempt)
        return True

    async def give_way(self) -> bool:
        """Send one home for the sake of another job; False: there is none, or all have sessions."""
        for info in self.waiting:
            if await self._dismiss(info):
                return True
        return False

    async def renew(self) -> None:
        """Replace those that wait now, each once there is another; returns when they are gone."""
        self._stale = {info.job.id for info in self.waiting}
        give_up_at = self._clock() + RENEW_WITHIN_S
        while self._stale & {info.job.id for info in self.waiting}:
            if self._clock() > give_up_at:
                await self._dismiss_all(but=self._fresh)
                return
            await asyncio.sleep(POLL_S)

    async def end(self) -> None:
        """The worker drains: all go home, and so does whichever is still on its way here."""
        self._is_over = True
        await self.settle()

    @property
    def _fresh(self) -> set[str]:
        return {info.job.id for info in self.waiting} - self._stale

    async def _dismiss_all(self, *, but: set[str]) -> None:
        for info in self.waiting:
            if info.job.id not in but:
                await self._dismiss(info)

    async def _dismiss(self, info: RunningJobInfo) -> bool:
        place = StandbyMetadata.decode(info.job.metadata)
        if place is None:
            return False
        try:
            dismissed = await self._store.dismiss(place.standby)
        except StoreUnavailableError:
            # Nobody else reaches it either.
            self._close(info.job.id)
            dismissed = True
        if dismissed:
            self._dismissed.add(info.job.id)
        else:
            await self.learn(info)
        return dismissed
