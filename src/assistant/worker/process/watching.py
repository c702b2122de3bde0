"""Kills a worker that no longer beats: `python -IS watching.py PID SECONDS`, beats on its input.

A program by itself out of few of Python's own modules, since every worker has one beside it.
"""

import contextlib
import os
import select
import signal
import sys

LAST_CHANCE_S = 1.0


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
