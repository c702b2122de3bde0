"""Real processes with several jobs each, without LiveKit: how jobs begin and end in them."""

import asyncio
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
from livekit.agents import JobContext, JobProcess
from livekit.agents.ipc.job_executor import JobStatus
from livekit.agents.job import JobAcceptArguments, RunningJobInfo
from livekit.protocol.agent import Job

from assistant.worker.errors import HouseHeldError
from assistant.worker.process.houses import Houses
from assistant.worker.process.loop_watch import HELD_S
from assistant.worker.process.seats import Seat
from tests.timing import scaled

SEATS = 2
CLOSE_S = 1.0
HOLD_S = 4.0  # Shorter than FROZEN_S, after which it would be killed for it.
SOON_S = scaled(15)
_log = logging.getLogger(__name__)


def begin(process: JobProcess) -> None:
    """What a house begins with; it counts how often it was called in its process."""
    process.userdata["begun"] = process.userdata.get("begun", 0) + 1


async def job(ctx: JobContext) -> None:
    """Does as its metadata says; the conversation that a real one begins outlives it."""
    _log.info("job.says", extra={"begun": ctx.proc.userdata["begun"]})
    if ctx.job.metadata == "ends":
        ctx.shutdown("done")
    elif ctx.job.metadata == "fails":
        raise RuntimeError("on purpose")
    elif ctx.job.metadata == "stays":
        ctx.add_shutdown_callback(_wait_forever)
    elif ctx.job.metadata == "holds":
        time.sleep(HOLD_S)  # noqa: ASYNC251 - that is what it is for


async def _wait_forever(_reason: str) -> None:
    await asyncio.Event().wait()


def info(metadata: str) -> RunningJobInfo:
    return RunningJobInfo(
        accept_arguments=JobAcceptArguments(name="", identity="", metadata=""),
        job=Job(id=f"job-{metadata}", metadata=metadata),
        url="ws://127.0.0.1:1",
        token="",
        worker_id="worker",
        fake_job=False,
    )


@asynccontextmanager
async def houses() -> AsyncIterator[Houses]:
    running = Houses(SEATS, jobs=2 * SEATS)
    try:
        yield running
    finally:
        await running.aclose()


async def seat(running: Houses) -> Seat:
    """A seat as the SDK's pool gets one ready."""
    options: dict[str, Any] = {
        "initialize_process_fnc": begin,
        "job_entrypoint_fnc": job,
        "session_end_fnc": None,
        "simulation_end_fnc": None,
        "inference_executor": None,
        "initialize_timeout": scaled(30),
        "close_timeout": CLOSE_S,
        "session_end_timeout": CLOSE_S,
        "ping_interval": 2.5,
        "ping_timeout": 60,
        "high_ping_threshold": 0.5,
        "memory_warn_mb": 0,
        "memory_limit_mb": 0,
        "http_proxy": None,
        "mp_ctx": multiprocessing.get_context("spawn"),
        "loop": asyncio.get_running_loop(),
    }
    made = running.seat(**options)
    await made.start()
    await made.initialize()
    return made


async def over(*seats: Seat) -> None:
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*(one.join() for one in seats))


async def gone(pid: int | None) -> None:
    assert pid is not None
    async with asyncio.timeout(SOON_S):
        while psutil.pid_exists(pid):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def fails_to_answer(one: Seat) -> None:
    """Ask until its house does not answer."""
    async with asyncio.timeout(SOON_S):
        while True:
            await one.house.answers()
            await asyncio.sleep(0.05)


async def logged(event: str, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The first line of that event, once it has come."""
    async with asyncio.timeout(SOON_S):
        while not (lines := [r for r in caplog.records if r.getMessage() == event]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return vars(lines[0])


async def test_jobs_of_one_house_end_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    """Two seats are in one process, a third one is not. A job that ends, fails or has to be turned
    out leaves its neighbour's alone; a house out of which one was turned takes no further job,
    and leaves with its last one. What a house begins with is loaded once.
    """
    caplog.set_level(logging.INFO)
    async with houses() as running:
        ends, stays = await seat(running), await seat(running)
        other = await seat(running)
        assert ends.pid == stays.pid != other.pid
        await stays.launch_job(info("stays"))
        await ends.launch_job(info("ends"))
        await over(ends)
        assert (ends.exitcode, ends.status, stays.status) == (
            0,
            JobStatus.SUCCESS,
            JobStatus.RUNNING,
        )
        fails = await seat(running)
        assert fails.pid == stays.pid
        await fails.launch_job(info("fails"))
        await over(fails)
        assert fails.exitcode == 0  # As the SDK reports it; the job tells its session.

        lasts = await seat(running)
        assert lasts.pid == stays.pid
        await lasts.launch_job(info("lasts"))
        await stays.aclose()
        assert (stays.exitcode, stays.status) == (1, JobStatus.FAILED)
        assert lasts.running_job is not None
        assert lasts.status is JobStatus.RUNNING
        assert (await seat(running)).pid == other.pid
        house = lasts.pid
        await lasts.aclose()
        assert lasts.exitcode == 0
        await gone(house)
    await gone(other.pid)
    said = [record for record in caplog.records if record.getMessage() == "job.says"]
    told = {(vars(record)["job_id"], vars(record)["begun"]) for record in said}
    assert told == {(f"job-{name}", 1) for name in ("stays", "ends", "fails", "lasts")}


async def test_a_house_that_dies_ends_all_its_jobs() -> None:
    """Each seat tells how the process ended."""
    async with houses() as running:
        seats = [await seat(running), await seat(running)]
        await seats[0].launch_job(info("lasts"))
        pid = seats[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await over(*seats)
        assert [one.exitcode for one in seats] == [-signal.SIGKILL, -signal.SIGKILL]
        assert seats[0].status is JobStatus.FAILED


async def test_a_held_house_gets_no_job(caplog: pytest.LogCaptureFixture) -> None:
    """Its free seat is given up, the next one is elsewhere, and the log names what held it."""
    async with houses() as running:
        holds, free = await seat(running), await seat(running)
        await holds.launch_job(info("holds"))
        with pytest.raises(HouseHeldError) as refused:
            await fails_to_answer(free)
        assert refused.value.pid == free.pid
        assert free.exitcode == 0
        with pytest.raises(RuntimeError, match="taken, or gone"):
            await free.launch_job(info("lasts"))
        elsewhere = await seat(running)
        assert elsewhere.pid != holds.pid
        held = await logged("house.held", caplog)
        assert held["place"] == f"{__name__}:job"
        assert held["late_s"] >= HELD_S
        await holds.aclose()
