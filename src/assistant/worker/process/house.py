"""A job process that has several jobs, all on one loop: what runs inside.

It takes the place of the SDK's own single job in a job process, and runs each of its jobs with
just that: contexts, shutdown callbacks, telemetry and inference are the SDK's. What the process
begins with is loaded once. Each job has a seat, whose number no other job of the house ever gets.

Source: livekit-agents 1.8.9, `ipc/job_proc_lazy_main.py`, `ipc/proc_client.py`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from livekit.agents import JobContext, JobExecutorType, JobProcess
from livekit.agents.ipc import job_proc_lazy_main as sdk
from livekit.agents.ipc.channel import Message
from livekit.agents.ipc.job_proc_lazy_main import ProcStartArgs, _JobProc
from livekit.agents.ipc.proc_client import _ProcClient
from livekit.agents.ipc.proto import (
    InitializeRequest,
    ShutdownRequest,
    ShutdownRequestAck,
    ShuttingDown,
    StartJobRequest,
)
from livekit.agents.utils import aio
from livekit.agents.utils.aio.duplex_unix import DuplexClosed

from assistant import log
from assistant.worker.process.letters import Evict, Left, Letter, Pulse
from assistant.worker.process.loop_watch import Hold, LoopWatch

# What blocks runs on threads, which are begun when they are needed: a job's tools must not wait
# for those of its neighbours, as they would for the few that Python gives a process.
THREADS = 64

_log = log.get(__name__)


def main(args: ProcStartArgs) -> None:
    """As the SDK's `proc_main`, with a house for the job."""
    sdk._JobProc = House  # type: ignore[misc, assignment]  # noqa: SLF001
    sdk.proc_main(args)


class _Mailbox:
    """What a seat's job takes for its process's connection to the worker."""

    def __init__(self, client: _ProcClient, seat: int) -> None:
        self._client = client
        self._seat = seat

    async def send(self, message: Message) -> None:
        await self._client.send(Letter(self._seat, message))


class House:
    """Made, and called, as the SDK makes and calls its `_JobProc`."""

    def __init__(
        self,
        initialize_process_fnc: Callable[[JobProcess], Any],
        job_entrypoint_fnc: Callable[[JobContext], Awaitable[None]],
        session_end_fnc: Callable[[JobContext], Awaitable[None]] | None,
        *,
        executor_type: JobExecutorType,  # noqa: ARG002 - that of a process with one job
        **options: Any,
    ) -> None:
        self._setup = initialize_process_fnc
        self._entrypoint = job_entrypoint_fnc
        # To the SDK, jobs on threads are those that share their process: each has its own log
        # fields.
        self._new_job = partial(
            _JobProc,
            job_entrypoint_fnc=self._enter,
            session_end_fnc=session_end_fnc,
            executor_type=JobExecutorType.THREAD,
            **options,
        )
        self._letters: dict[int, aio.Chan[Message]] = {}
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def initialize(self, request: InitializeRequest, client: _ProcClient) -> None:
        self._request, self._client = request, client
        first = self._new_job(initialize_process_fnc=self._setup)
        first.initialize(request, client)
        self._process = first._job_proc  # noqa: SLF001

    async def entrypoint(self, letters: aio.ChanReceiver[Message]) -> None:
        """Run jobs until the worker wants no more of the house, or is gone."""
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="house")
        asyncio.get_running_loop().set_default_executor(threads)
        with LoopWatch(on_beat=self._pulse, on_hold=_tell_held):
            try:
                async for message in letters:
                    if isinstance(message, Letter):
                        self._receive(message)
                    elif isinstance(message, ShutdownRequest):
                        await self._client.send(ShutdownRequestAck())
                        await self._client.send(ShuttingDown())
                        break
            finally:
                await aio.cancel_and_wait(*self._jobs.values())

    def _receive(self, letter: Letter) -> None:
        seat, message = letter.seat, letter.message
        if isinstance(message, StartJobRequest):
            self._letters[seat] = aio.Chan[Message]()
            self._jobs[seat] = asyncio.create_task(self._run(seat), name=f"seat {seat}")
        if isinstance(message, Evict):
            if evicted := self._jobs.get(seat):
                evicted.cancel()
        elif seat in self._letters:
            self._letters[seat].send_nowait(message)

    async def _run(self, seat: int) -> None:
        """One job, from its start to the last thing that the SDK does for it."""
        mailbox: Any = _Mailbox(self._client, seat)
        job = self._new_job(initialize_process_fnc=self._furnish)
        try:
            job.initialize(self._request, mailbox)
            await job.entrypoint(self._letters[seat])
        finally:
            self._letters.pop(seat).close()
            try:
                # After an eviction it may still be there.
                if (room := getattr(job, "_room", None)) is not None:
                    await room.disconnect()
            finally:
                del self._jobs[seat]
                with contextlib.suppress(DuplexClosed):
                    await mailbox.send(Left())

    def _furnish(self, process: JobProcess) -> None:
        process.userdata.update(self._process.userdata)

    async def _enter(self, ctx: JobContext) -> None:
        """The job itself; its lines say whose they are, as the worker says it for a process."""
        room, agent_name = ctx.job.room, ctx.job.agent_name
        told = {"job_id": ctx.job.id, "room": room.name, "room_id": room.sid}
        ctx.log_context_fields.update(told | ({"agent_name": agent_name} if agent_name else {}))
        await self._entrypoint(ctx)

    def _pulse(self, late_s: float) -> None:
        sending = asyncio.create_task(self._send_pulse(late_s), name="pulse")
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send_pulse(self, late_s: float) -> None:
        with contextlib.suppress(DuplexClosed):
            await self._client.send(Pulse(late_s))


def _tell_held(hold: Hold) -> None:
    _log.warning("house.held", late_s=round(hold.late_s, 2), place=hold.place)
