"""Beats while the worker's loop does, to a small process that kills the worker when it does not.

A frozen worker stays registered with LiveKit, which keeps choosing it, and loses every job sent
its way; killing it closes its socket. Source: measured on livekit-server 1.13.5, 11 of 20
dispatches lost beside a stopped worker.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys

from assistant.worker.process import watching

BEAT_INTERVAL_S = 0.5
EXIT_WAIT_S = 2.0

_log = logging.getLogger(__name__)


class Watchdog:
    """The worker's side: starts the watching process, and beats while the loop is alive."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    async def run(self) -> None:
        """Beat until cancelled; a watching process that is gone is replaced."""
        while True:
            process = subprocess.Popen(  # noqa: ASYNC220 - a fork, once, before any job
                [sys.executable, "-IS", watching.__file__, str(os.getpid()), str(self._timeout_s)],
                stdin=subprocess.PIPE,
                start_new_session=True,  # it must survive the group that it may have to kill
            )
            try:
                await _beat(process)
            finally:
                await _end(process)
            _log.warning("watchdog.gone", extra={"status": process.returncode})


async def _beat(process: subprocess.Popen[bytes]) -> None:
    """Beat until the process is gone."""
    pipe = process.stdin
    if pipe is None:
        raise AssertionError("Popen was asked for a pipe")
    os.set_blocking(pipe.fileno(), False)
    while True:
        try:
            os.write(pipe.fileno(), b".")
        except BlockingIOError:
            pass  # A full pipe means that the watchdog is behind, not we.
        except BrokenPipeError:
            return
        await asyncio.sleep(BEAT_INTERVAL_S)


async def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, EXIT_WAIT_S)
