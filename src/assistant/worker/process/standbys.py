"""The worker's jobs that stand by: which still wait, which sessions the others have got.

To LiveKit and to the SDK they are jobs like all others; to callers they are free slots.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from livekit.agents.job import RunningJobInfo

from assistant import log
from assistant.refilling import AFTER_START_S
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.metadata import StandbyMetadata
from assistant.sessions.store.standby import StandbyStore
from assistant.worker.process.slots import among
from assistant.worker.standby import become

#: The judge wants a session on its worker's beat within 3 s of its claim.
SETTLE_S = 0.5
#: A worker that has no place for another gives those up that it has.
RENEW_WITHIN_S = 10.0
POLL_S = 0.05
#: LiveKit may restart; a worker that takes no jobs for so long takes no sessions either.
UNUSABLE_GRACE_S = 5.0
#: A drain does not wait longer for Redis.
END_WITHIN_S = 2.0

_log = log.get(__name__)


class Standbys:
    """`running` are the worker's jobs; what a job that stood by has got is written into its own.

    `limit`: how many may wait. `free`: slots without a session. `usable`: whether the worker takes
    jobs. `close` ends a job that cannot be reached by Redis. `on_change`: a session took one.
    """

    def __init__(
        self,
        store: StandbyStore,
        *,
        limit: int,
        running: Callable[[], list[RunningJobInfo]],
        free: Callable[[], int],
        usable: Callable[[], bool],
        close: Callable[[str], None],
        on_change: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._limit = limit
        self._running = running
        self._free = free
        self._usable = usable
        self._close = close
        self._on_change = on_change
        self._clock = clock
        self._promised: set[str] = set()
        #: Jobs that were sent home, and may still be on their way.
        self._dismissed: set[str] = set()
        #: Jobs that began with what is no longer so, until there are others in their places.
        self._stale: set[str] = set()
        self._not_before = float("-inf")
        self._unusable_since: float | None = None
        self._is_over = False

    @property
    def waiting(self) -> list[RunningJobInfo]:
        """Those that no session has taken, as far as this worker knows."""
        return [
            info
            for info in self._running()
            if info.job.id not in self._dismissed and StandbyMetadata.decode(info.job.metadata)
        ]

    @property
    def count(self) -> int:
        """Those that wait, and those that are about to."""
        return len({info.job.id for info in self.waiting} | self._promised)

    @property
    def idle_job_ids(self) -> set[str]:
        """Jobs that nobody talks to: they wait, or were sent home."""
        return {info.job.id for info in self.waiting} | self._dismissed

    def wanted(self, *, warm: int) -> int:
        """How many more this worker would take; `warm`: the processes that it has for them.

        None for a moment after a session took one: making the next would slow its start.
        """
        if self._is_over or not self._usable() or self._clock() < self._not_before:
            return 0
        stale = sum(info.job.id in self._stale for info in self.waiting)
        return max(min(self._limit - (self.count - stale), self._free() - self.count, warm), 0)

    def promise(self, job_id: str) -> AbstractContextManager[None]:
        """Count a job among them from accepting it until its process has it."""
        return among(self._promised, job_id)

    async def run(self) -> None:
        """Settle again and again, beside the beat: a slow Redis must not make that late."""
        while True:
            await self.settle()
            await asyncio.sleep(SETTLE_S)

    async def settle(self) -> None:
        """Learn which sessions they have got, and send those home that should wait no longer."""
        try:
            await self._learn(self.waiting)
        except StoreUnavailableError:
            return  # Nobody else hears of Redis either, and no session is started.
        running = {info.job.id for info in self._running()}
        self._dismissed &= running
        self._stale &= running
        for info in self._unwanted():
            await self._dismiss(info)

    async def give_way(self) -> bool:
        """Send one home for the sake of another job; False: there is none, or all have sessions."""
        for info in self.waiting:
            if await self._dismiss(info):
                return True
        return False

    async def ended(self, info: RunningJobInfo) -> None:
        """A job's process is gone: no session gets it now. One that had it stands in the job."""
        await self._dismiss(info)

    async def renew(self) -> None:
        """Replace those that wait now, each once there is another; returns when they are gone."""
        self._stale = {info.job.id for info in self.waiting}
        give_up_at = self._clock() + RENEW_WITHIN_S
        while stale := [info for info in self.waiting if info.job.id in self._stale]:
            if self._clock() > give_up_at:
                for info in stale:
                    await self._dismiss(info)
                return
            await asyncio.sleep(POLL_S)

    async def end(self) -> None:
        """The worker drains: all go home, and so does whichever is still on its way here."""
        self._is_over = True
        waiting = self.waiting
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await asyncio.gather(*map(self._dismiss, waiting))
        except TimeoutError:
            _log.warning("standby.unheard", n=len(self.waiting))
            for info in self.waiting:
                self._send_off(info)

    def _unwanted(self) -> list[RunningJobInfo]:
        waiting = self.waiting
        if self._usable():
            self._unusable_since = None
        elif self._unusable_since is None:
            self._unusable_since = self._clock()
        since = self._unusable_since
        if self._is_over or (since is not None and self._clock() > since + UNUSABLE_GRACE_S):
            return waiting
        stale = [info for info in waiting if info.job.id in self._stale]
        fresh = [info for info in waiting if info not in stale]
        replaced = stale if len(fresh) >= self._limit else []
        # More than slots: another job was accepted while one of these was on its way.
        left = [info for info in waiting if info not in replaced]
        return replaced + left[: max(len(left) - self._free(), 0)]

    async def _learn(self, jobs: Sequence[RunningJobInfo]) -> None:
        """Write into each job the session that it has got, if it has.

        Raises:
            StoreUnavailableError: Redis did not answer.
        """
        places = [StandbyMetadata.decode(info.job.metadata) for info in jobs]
        ids = [place.standby for place in places if place is not None]
        for info, got in zip(jobs, await self._store.learn(ids), strict=True):
            if got is None:
                continue
            become(info.job, got)
            self._not_before = self._clock() + AFTER_START_S
            _log.info("standby.taken", session=got.job.session, attempt=got.job.attempt)
            self._on_change()

    async def _dismiss(self, info: RunningJobInfo) -> bool:
        """Send it home; False: it has a session, or was sent home before."""
        place = StandbyMetadata.decode(info.job.metadata)
        if place is None:
            return False
        try:
            if not await self._store.dismiss(place.standby):
                await self._learn([info])
                return False
        except StoreUnavailableError:
            # It cannot be told. Should a session have got it meanwhile, that gets another.
            self._send_off(info)
            return True
        self._dismissed.add(info.job.id)
        self._on_change()
        return True

    def _send_off(self, info: RunningJobInfo) -> None:
        self._close(info.job.id)
        self._dismissed.add(info.job.id)
        self._on_change()
