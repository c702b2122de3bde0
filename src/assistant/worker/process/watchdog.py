"""Kills a worker whose loop no longer beats. Runs as a small process of its own.

A frozen worker stays registered with LiveKit, which keeps choosing it, and loses every job sent
its way; killing it closes its socket. Source: measured on livekit-server 1.13.5, 11 of 20
dispatches lost beside a stopped worker.

Uses the standard library alone, so that it stays small.
"""

import asyncio
import contextlib
import logging
import os
import select
import signal
import subprocess
import sys

BEAT_INTERVAL_S = 0.5
EXIT_WAIT_S = 2.0
LAST_CHANCE_S = 1.0

_log = logging.getLogger(__name__)


class Watchdog:
    """The worker's side: starts the watching process, and beats while the loop is alive."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    async def run(self) -> None:
        """Beat until cancelled; a watching process that is gone is replaced."""
        while True:
            process = subprocess.Popen(  # noqa: ASYNC220 - a fork, once, before any job
                [sys.executable, "-m", __name__, str(os.getpid()), str(self._timeout_s)],
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


def watch(pid: int, timeout_s: float) -> int:
    """Read beats from standard input; kill `pid` and its group once they stop for `timeout_s`.

    Returns 0 when the worker closed the pipe or exited, 1 after a kill.
    """
    beats = sys.stdin.fileno()
    last_chance_s = min(LAST_CHANCE_S, timeout_s / 2)
    while True:
        ready, _, _ = select.select([beats], [], [], timeout_s - last_chance_s)
        if not ready:
            # The whole machine may have slept: then the worker beats as soon as we wake up.
            ready, _, _ = select.select([beats], [], [], last_chance_s)
        if not ready:
            sys.stderr.write(f"worker {pid} has not beaten for {timeout_s:g} s: killing it\n")
            with contextlib.suppress(ProcessLookupError):
                _kill(pid)
            return 1
        if not os.read(beats, 4096):
            return 0


def _kill(pid: int) -> None:
    # Its job processes see the death of their parent by themselves, unless they are stopped too;
    # the group reaches those as well, where the worker leads one.
    if os.getpgid(pid) == pid:
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    # The terminal's Ctrl-C, and the SIGTERM of a process manager that signals everybody, are for
    # the worker; it closes the pipe when it has finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(watch(int(sys.argv[1]), float(sys.argv[2])))
