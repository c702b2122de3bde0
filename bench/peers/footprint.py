"""What a contender's worker takes of the machine: memory as PSS, and CPU time.

The whole tree counts: whoever is a descendant of its program, or in its session. Shared pages are
split among those who share them, so the sum over a tree counts each page once, as long as nobody
else on the machine maps the same files: one contender runs at a time.
"""

import contextlib
import os
from pathlib import Path

import psutil
from bench.peers.peer import Peer

KB_IN_MB = 1024
TICKS = os.sysconf("SC_CLK_TCK")
# Of the fields behind the program's name in /proc/PID/stat: utime, stime, cutime, cstime.
_TIMES = slice(11, 15)


def processes(peer: Peer) -> set[int]:
    """Everything that runs for the contender now."""
    found = set(peer.pids())
    for part in peer.parts:
        with contextlib.suppress(psutil.NoSuchProcess):
            program = psutil.Process(peer.stage.supervisor[part].pid)
            found |= {program.pid, *(child.pid for child in program.children(recursive=True))}
    return found


def memory_mb(peer: Peer) -> float:
    """The worker's memory: PSS over its whole tree."""
    return sum(memory_kb(pid) for pid in processes(peer)) / KB_IN_MB


def cpu_s(peer: Peer) -> float:
    """CPU seconds so far of the whole tree and of those of it that have ended."""
    return sum(ticks(pid) for pid in processes(peer)) / TICKS


def memory_kb(pid: int) -> int:
    """PSS of one process; 0: it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def ticks(pid: int) -> int:
    """CPU time of one process and of its children that have ended; 0: it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return sum(int(ticks) for ticks in text.rpartition(")")[2].split()[_TIMES])
    return 0
