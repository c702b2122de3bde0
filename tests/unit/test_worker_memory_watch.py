"""A job process's memory is divided among its sharers only where that decides something."""

import asyncio
import multiprocessing
import os

import psutil
import pytest
from livekit.agents.ipc.job_proc_executor import ProcJobExecutor

from assistant.worker.process import memory_watch

MB = 1024 * 1024
MUCH_MB = 10 * psutil.Process().memory_info().rss / MB


@pytest.mark.parametrize(
    ("warn_mb", "limit_mb", "metrics"),
    [
        pytest.param(MUCH_MB, 0, ["pss", "rss"], id="below the warning, without a limit"),
        pytest.param(0, MUCH_MB, ["pss", "rss"], id="below the limit, without a warning"),
        pytest.param(MUCH_MB, 1, ["pss", "pss"], id="may be above the limit"),
        pytest.param(1, MUCH_MB, ["pss", "pss"], id="may be above the warning"),
    ],
)
@pytest.mark.skipif(not hasattr(psutil.Process().memory_full_info(), "pss"), reason="Linux counts")
async def test_shares_are_counted_where_they_decide(
    warn_mb: float, limit_mb: float, metrics: list[str]
) -> None:
    """First, for what it began with, and wherever what is resident would exceed a bound."""
    process = ProcJobExecutor(
        initialize_process_fnc=lambda _: None,
        job_entrypoint_fnc=_no_job,
        session_end_fnc=None,
        simulation_end_fnc=None,
        inference_executor=None,
        initialize_timeout=1.0,
        close_timeout=1.0,
        session_end_timeout=1.0,
        memory_warn_mb=warn_mb,
        memory_limit_mb=limit_mb,
        ping_interval=1.0,
        ping_timeout=1.0,
        high_ping_threshold=1.0,
        http_proxy=None,
        mp_ctx=multiprocessing.get_context("spawn"),
        loop=asyncio.get_running_loop(),
    )
    process._pid = os.getpid()
    sampled = [memory_watch.sample(process) for _ in metrics]
    assert [metric for _, metric in sampled] == metrics
    # What is divided is never more than what is resident.
    resident_mb = psutil.Process().memory_info().rss / MB
    assert all(0 < megabytes <= 1.1 * resident_mb for megabytes, _ in sampled)


async def _no_job(_: object) -> None:
    raise AssertionError("there is no job")
