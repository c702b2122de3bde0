"""How much computing this process, and this machine, does meanwhile."""

import os
import resource
import time
from pathlib import Path

from assistant.rehearsal.load.figures import CpuUse

PROC_STAT = Path("/proc/stat")


def _own_s() -> float:
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


def _machine_busy_s() -> float | None:
    """Seconds of all cores that were not idle; None: not on Linux."""
    try:
        fields = PROC_STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, _steal = (int(field) for field in fields)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class CpuMeter:
    """Counts from its making, or from the last `restart`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._at = time.monotonic()
        self._own = _own_s()
        self._machine = _machine_busy_s()

    def read(self) -> CpuUse:
        took_s = max(time.monotonic() - self._at, 1e-6)
        busy = _machine_busy_s()
        both = None if busy is None or self._machine is None else busy - self._machine
        return CpuUse(
            callers=(_own_s() - self._own) / took_s,
            machine=None if both is None else both / took_s,
            cores=os.cpu_count() or 1,
        )
