"""The job processes of a worker that have several jobs each: which has room, and who leaves.

Where the SDK's pool would start a process, it is given a seat in a house that has room, or in a
new one. Houses are filled one after another, and those that are empty leave unless theirs is the
only room. Source: livekit-agents 1.8.9, `ipc/proc_pool.py`, `ipc/job_proc_executor.py`.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from multiprocessing import Process
from socket import socket
from typing import Any, Protocol, TypeVar

from livekit.agents.ipc import channel, job_proc_executor
from livekit.agents.ipc.channel import Message
from livekit.agents.ipc.job_proc_executor import ProcJobExecutor
from livekit.agents.utils import aio

from assistant import log
from assistant.worker.errors import HouseHeldError
from assistant.worker.process.house import main as run_house
from assistant.worker.process.letters import Letter, Pulse
from assistant.worker.process.loop_watch import HELD_S
from assistant.worker.process.seats import Seat

#: A house from which nothing was heard so long is killed, with all its conversations, which get a
#: new agent each. The SDK's own 60 s are for a process whose one caller waits.
FROZEN_S = 5.0
LOOK_S = 0.5
#: A house whose loop was held gets no new job so long.
RECOVERY_S = 3.0
#: Nor one from which nothing was heard so long; four beats of its loop.
SILENT_S = 1.0
#: Within which the worker's own loop reads what it was sent while it did not run.
READ_S = 0.05
#: What no conversation gives back adds up: a house leaves after so many for each of its seats.
#: Source: measured, 0.5 MB a conversation, which is 100 MB for eight seats.
JOBS_A_SEAT = 25
#: Houses are late together where the machine is too small; then more of them would not help.
SPARE = 2

_log = log.get(__name__)


class Rooms(Protocol):
    """How a house stands."""

    @property
    def taken(self) -> int: ...

    @property
    def free(self) -> int: ...

    @property
    def jobs(self) -> int:
        """Of the seats that are taken, those that have one."""

    @property
    def is_worn(self) -> bool:
        """Whether it gets no more jobs, ever."""

    @property
    def is_held(self) -> bool:
        """Whether its loop does not run, or did not a moment ago."""


AnyRooms = TypeVar("AnyRooms", bound=Rooms)


def with_room(houses: Sequence[AnyRooms], *, most: int) -> AnyRooms | None:
    """The fullest one that takes a job; one that is held only if there may be no more than `most`.

    None: there should be a new one.
    """
    roomy = [house for house in houses if house.free and not house.is_worn]
    quick = [house for house in roomy if not house.is_held]
    if quick:
        return max(quick, key=lambda house: house.taken)
    return max(roomy, key=lambda house: house.free, default=None) if len(houses) >= most else None


def unneeded(houses: Sequence[AnyRooms]) -> AnyRooms | None:
    """An empty one that gets no more jobs, or need not: there is room elsewhere."""
    roomy = [house for house in houses if house.free and not house.is_worn]
    empty = (house for house in houses if not house.taken)
    return next((house for house in empty if house.is_worn or roomy != [house]), None)


def needless(houses: Sequence[AnyRooms]) -> AnyRooms | None:
    """One without jobs whose seats would find room in the others, as after a peak."""
    quick = [house for house in houses if not house.is_worn and not house.is_held]
    room = sum(house.free for house in quick)
    idle = [house for house in quick if house.taken and not house.jobs]
    fitting = [house for house in idle if house.taken <= room - house.free]
    return min(fitting, key=lambda house: house.taken, default=None)


class HouseProcess(ProcJobExecutor):
    """A house, seen from the worker."""

    def __init__(self, houses: "Houses", seats: int, **options: Any) -> None:
        super().__init__(**options)
        self._houses = houses
        self._room = seats
        self._last_number = 0
        self._held_until = 0.0
        self._heard_at = math.inf
        self.seats: dict[int, Seat] = {}
        self.retired = False
        self._opening = asyncio.create_task(self._open(), name="open house")
        # Its seats are told; there may be none any more.
        self._opening.add_done_callback(lambda opening: opening.cancelled() or opening.exception())

    @property
    def taken(self) -> int:
        return len(self.seats)

    @property
    def free(self) -> int:
        return self._room - self.taken

    @property
    def jobs(self) -> int:
        return sum(seat.running_job is not None for seat in self.seats.values())

    @property
    def is_open(self) -> bool:
        return self._opening.done()

    @property
    def is_worn(self) -> bool:
        return self.retired or self._last_number >= JOBS_A_SEAT * self._room

    @property
    def is_held(self) -> bool:
        return self.is_silent or time.monotonic() < self._held_until

    @property
    def is_silent(self) -> bool:
        """Whether its loop does not run."""
        return time.monotonic() - self._heard_at > SILENT_S

    def let(self, seat: Seat) -> int:
        self._last_number += 1
        self.seats[self._last_number] = seat
        return self._last_number

    async def opened(self) -> None:
        await asyncio.shield(self._opening)

    async def answers(self) -> None:
        """Raises: HouseHeldError: its loop does not run at the moment."""
        if self.is_silent:
            await asyncio.sleep(READ_S)
        if self.is_silent:
            self.send_away()
            await asyncio.sleep(READ_S)  # The pool strikes them off.
            raise HouseHeldError(self.pid)

    async def leave(self) -> None:
        """End it, which the SDK can only once it is open."""
        with contextlib.suppress(Exception):
            await self.opened()
        await self.aclose()

    async def deliver(self, seat: int, message: Message) -> None:
        await channel.asend_message(self._pch, Letter(seat, message))

    def retire(self) -> None:
        self.retired = True
        self._houses.tidy()

    def vacate(self, seat: Seat) -> None:
        self.seats = {number: other for number, other in self.seats.items() if other is not seat}
        self._houses.tidy()

    def send_away(self) -> None:
        """Empty the seats that have no job; the pool looks for others."""
        for seat in list(self.seats.values()):
            if seat.running_job is None:
                seat.empty(0)

    async def _open(self) -> None:
        try:
            await self.start()
            await self.initialize()
        except BaseException:
            self._houses.strike(self)
            await self.aclose()
            raise
        self._heard_at = time.monotonic()
        _log.info("house.opened", pid=self.pid, seats=self._room)
        self._ending = asyncio.create_task(self._end(), name="house ends")
        self._watching = asyncio.create_task(self._watch(), name="watch house")

    async def _end(self) -> None:
        """Tell the seats once the process is gone, however that came."""
        await self.join()
        self._watching.cancel()
        self._houses.strike(self)
        say = _log.error if self.jobs else _log.info
        say("house.ended", pid=self.pid, exit_code=self.exitcode, jobs=self.jobs)
        for seat in list(self.seats.values()):
            seat.empty(self.exitcode)

    async def _watch(self) -> None:
        """Kill it once it is frozen."""
        while True:
            await asyncio.sleep(LOOK_S)
            if time.monotonic() - self._heard_at > FROZEN_S:
                await asyncio.sleep(READ_S)
            if time.monotonic() - self._heard_at > FROZEN_S:
                _log.error("house.frozen", pid=self.pid, silent_s=FROZEN_S)
                await self.kill()
                return

    def _create_process(self, cch: socket, log_cch: socket) -> Process:
        process = super()._create_process(cch, log_cch)
        process._target = run_house  # type: ignore[attr-defined]  # noqa: SLF001
        return process

    async def _main_task(self, ipc_ch: aio.ChanReceiver[Message]) -> None:
        async for message in ipc_ch:
            self._heard_at = time.monotonic()
            if isinstance(message, Letter):
                if seat := self.seats.get(message.seat):
                    seat.receive(message.message)
            elif isinstance(message, Pulse) and message.late_s >= HELD_S:
                self._held_until = self._heard_at + RECOVERY_S
                self.send_away()
            elif isinstance(message, Pulse):
                self._houses.move_together()


class Houses:
    """All houses of a worker; each has `seats`, and there are as many as `jobs` and spares need."""

    def __init__(self, seats: int, *, jobs: int) -> None:
        self._seats = seats
        self._most = SPARE * math.ceil(jobs / seats)
        self._houses: list[HouseProcess] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._options: dict[str, Any] = {}

    def take_over(self) -> None:
        """From now on, whatever pool the SDK makes in this process has seats for processes."""
        job_proc_executor.ProcJobExecutor = self.seat  # type: ignore[misc, assignment]

    def seat(self, **options: Any) -> Seat:
        """Called by the SDK's pool as its ProcJobExecutor would be."""
        self._options = options
        return Seat(
            self,
            inference=options["inference_executor"],
            close_timeout_s=options["close_timeout"],
        )

    def find(self, seat: Seat) -> tuple[HouseProcess, int]:
        """A house with room, which may be a new one, and the seat's number in it."""
        found = with_room(self._houses, most=self._most)
        if found is None:
            found = HouseProcess(self, self._seats, **self._options)
            self._houses.append(found)
        return found, found.let(seat)

    def retire_all(self) -> list[HouseProcess]:
        """None of those that there are gets another job; they are returned."""
        retiring = [house for house in self._houses if not house.retired]
        for house in retiring:
            house.retired = True
        return retiring

    def reinstate(self, houses: list[HouseProcess]) -> None:
        for house in houses:
            house.retired = False

    def tidy(self) -> None:
        """Have houses leave that nobody needs."""
        while (house := unneeded(self._houses)) is not None:
            self._leave(house)

    def move_together(self) -> None:
        """Have free seats move out of a house that would then be empty; the pool finds others."""
        opened = [house for house in self._houses if house.is_open]
        if (house := needless(opened)) is not None:
            house.send_away()

    def strike(self, house: HouseProcess) -> None:
        if house in self._houses:
            self._houses.remove(house)

    async def aclose(self) -> None:
        """End all of them, once no seat is taken."""
        for house in list(self._houses):
            self._leave(house)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _leave(self, house: HouseProcess) -> None:
        self.strike(house)
        leaving = asyncio.create_task(house.leave(), name="house leaves")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
