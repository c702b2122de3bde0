"""One place for a conversation in a house; to the SDK's pool, a job process like any other.

Source: livekit-agents 1.8.9, `ipc/job_executor.py`, and `ipc/job_proc_executor.py` with
`ipc/supervised_proc.py` for how a job is started and ended, and what the pool is told of it.
"""

import asyncio
import contextlib
from typing import Any, Protocol

from livekit.agents.ipc.channel import Message
from livekit.agents.ipc.inference_executor import InferenceExecutor
from livekit.agents.ipc.job_executor import JobStatus
from livekit.agents.ipc.proto import (
    InferenceRequest,
    InferenceResponse,
    ShutdownRequest,
    ShutdownRequestAck,
    ShuttingDown,
    StartJobRequest,
)
from livekit.agents.job import RunningJobInfo
from livekit.agents.telemetry import metrics
from livekit.agents.utils.aio.duplex_unix import DuplexClosed

from assistant.worker.process.letters import Evict, Left


class Home(Protocol):
    """The house that a seat is in."""

    @property
    def pid(self) -> int | None: ...

    async def opened(self) -> None:
        """Return once it takes jobs. Raises whatever keeps it from that."""

    async def answers(self) -> None:
        """Raises: HouseHeldError: its loop does not run at the moment."""

    async def deliver(self, seat: int, message: Message) -> None: ...

    def retire(self) -> None:
        """Take no more jobs, and end with the last one that it has."""

    def vacate(self, seat: "Seat") -> None:
        """The seat is empty for good."""


class Seats(Protocol):
    """Where seats come from."""

    def find(self, seat: "Seat") -> tuple[Home, int]:
        """A house with room, and the seat's number in it."""


class Seat:
    """Satisfies the SDK's JobExecutor, and has what `pool` reads of the SDK's own."""

    def __init__(
        self, seats: Seats, *, inference: InferenceExecutor | None, close_timeout_s: float
    ) -> None:
        self._seats = seats
        self._inference = inference
        self._close_timeout_s = close_timeout_s
        self._home: Home | None = None
        self._number = 0
        self._user_arguments: Any | None = None
        self._running_job: RunningJobInfo | None = None
        self._status: JobStatus | None = None
        self._inferring: set[asyncio.Task[None]] = set()
        self._closed = False
        #: 0: the job ended; else how the house did.
        self.exitcode: int | None = None
        self._initialize_fut = asyncio.Future[None]()
        self._acknowledged = asyncio.Future[None]()
        self._shutting_down_fut = asyncio.Future[None]()
        self._gone = asyncio.Future[None]()

    @property
    def id(self) -> str:
        return f"{self.pid}-{self._number}"

    @property
    def pid(self) -> int | None:
        return self._home.pid if self._home is not None else None

    @property
    def started(self) -> bool:
        return self._home is not None

    @property
    def user_arguments(self) -> Any | None:
        return self._user_arguments

    @user_arguments.setter
    def user_arguments(self, value: Any | None) -> None:
        self._user_arguments = value

    @property
    def running_job(self) -> RunningJobInfo | None:
        return self._running_job

    @property
    def status(self) -> JobStatus:
        if self._status is None:
            raise RuntimeError("job status not available")
        return self._status

    def logging_extra(self) -> dict[str, Any]:
        return {"pid": self.pid, "seat": self._number}

    async def start(self) -> None:
        self._home, self._number = self._seats.find(self)

    async def initialize(self) -> None:
        try:
            await self.house.opened()
        except Exception as error:
            if not self._initialize_fut.done():
                self._initialize_fut.set_exception(error)
                self._initialize_fut.exception()  # Seen, also where nobody asks.
            raise
        self._initialize_fut.set_result(None)

    async def launch_job(self, info: RunningJobInfo) -> None:
        if self._running_job is not None or self._closed:
            raise RuntimeError("the seat is taken, or gone")
        await self.house.answers()
        metrics.job_started()
        self._running_job, self._status = info, JobStatus.RUNNING
        request = StartJobRequest()
        request.running_job = info
        try:
            await self.house.deliver(self._number, request)
        except Exception:
            self._running_job, self._status = None, None
            metrics.job_ended()
            raise

    async def join(self) -> None:
        await asyncio.shield(self._gone)

    async def aclose(self) -> None:
        """End the job in order, or without waiting for it; without one, give up the seat."""
        if self._home is None or self._gone.done():
            return
        self._closed = True
        if self._running_job is None:
            self.empty(0)
            return
        with contextlib.suppress(DuplexClosed):  # The house is ending, of which it is told.
            await self._home.deliver(self._number, ShutdownRequest())
        try:
            async with asyncio.timeout(self._close_timeout_s):
                await asyncio.shield(self._acknowledged)
            # As the SDK has it: what the job does until it leaves its room has its own limits.
            await asyncio.shield(self._shutting_down_fut)
            async with asyncio.timeout(self._close_timeout_s):
                await asyncio.shield(self._gone)
        except TimeoutError:
            # Who knows what it leaves behind; its neighbours may finish.
            self._home.retire()
            with contextlib.suppress(DuplexClosed):
                await self._home.deliver(self._number, Evict())
            self.empty(1)

    def receive(self, message: Message) -> None:
        """What the house has to say of this seat."""
        if isinstance(message, InferenceRequest):
            inferring = asyncio.create_task(self._infer(message), name="inference")
            self._inferring.add(inferring)
            inferring.add_done_callback(self._inferring.discard)
        elif isinstance(message, ShutdownRequestAck):
            _settle(self._acknowledged)
        elif isinstance(message, ShuttingDown):
            _settle(self._shutting_down_fut)
        elif isinstance(message, Left):
            self.empty(0)

    def empty(self, exit_code: int | None) -> None:
        """The job is over, or the house is, which then ended with `exit_code`."""
        if self._gone.done():
            return
        self._closed = True
        self.exitcode = exit_code
        if self._running_job is not None:
            metrics.job_ended()
            self._status = JobStatus.SUCCESS if exit_code == 0 else JobStatus.FAILED
        for future in (self._acknowledged, self._shutting_down_fut, self._gone):
            _settle(future)
        for inferring in self._inferring:
            inferring.cancel()
        self.house.vacate(self)

    async def _infer(self, request: InferenceRequest) -> None:
        answer = InferenceResponse(request_id=request.request_id)
        try:
            if self._inference is None:
                raise RuntimeError("no inference executor")  # noqa: TRY301 - as any other
            answer.data = await self._inference.do_inference(request.method, request.data)
        except Exception as error:  # noqa: BLE001 - the job is told, whatever it is
            answer.error = str(error)
        with contextlib.suppress(DuplexClosed):
            await self.house.deliver(self._number, answer)

    @property
    def house(self) -> Home:
        if self._home is None:
            raise RuntimeError("the seat is in no house yet")
        return self._home


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
