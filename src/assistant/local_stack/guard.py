"""The guard: a tiny process that cleans up when the supervisor is killed outright.

A supervisor that is stopped with SIGKILL can stop nothing any more. So it starts this file as a
process of its own, and tells it, over a pipe, the process groups that it starts (`+123`) and the
ones that are gone (`-123`). The pipe closes however the supervisor ends; then the guard ends every
group that is left. This works alike on Linux and macOS, and reaches grandchildren, which
`PR_SET_PDEATHSIG` does not.

Limits: a process that left its group (by `setsid`) escapes, and so does everything if the guard is
killed too. It runs as a plain file in isolated mode, so it imports nothing but the standard
library and starts in about 20 ms.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

TERM_GRACE_S = 3.0  # Valkey writes its file and workers say goodbye within one second.
POLL_S = 0.05
_STAT_STATE, _STAT_PGRP = 0, 2  # fields of /proc/PID/stat after the command; see proc(5)


def group_is_alive(pgid: int) -> bool:
    """Whether a process group still has a member that runs (a zombie does not)."""
    try:
        os.killpg(pgid, 0)
    except (ProcessLookupError, PermissionError):  # macOS: EPERM where only zombies are left
        return False
    if not Path("/proc/self/stat").exists():
        return True
    return any(_is_running_member(stat, pgid) for stat in Path("/proc").glob("[0-9]*/stat"))


def _is_running_member(stat: Path, pgid: int) -> bool:
    try:
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # it ended while we looked
        return False
    return fields[_STAT_PGRP] == str(pgid) and fields[_STAT_STATE] not in "ZX"


def signal_group(pgid: int, sig: signal.Signals) -> None:
    """Signal every member of a group; a group that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, sig)


def groups_left(lines: Iterable[str]) -> list[int]:
    """The groups that the supervisor announced and did not take back, newest first."""
    groups: list[int] = []
    for line in lines:
        pgid = int(line[1:])
        if line.startswith("+"):
            groups.append(pgid)
        elif pgid in groups:
            groups.remove(pgid)
    return groups[::-1]


def end_groups(groups: list[int], *, grace_s: float = TERM_GRACE_S) -> None:
    """SIGTERM to all, then SIGKILL to what is left after `grace_s`."""
    for pgid in groups:
        signal_group(pgid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    alive = groups
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_S)
        alive = [pgid for pgid in alive if group_is_alive(pgid)]
    for pgid in alive:
        signal_group(pgid, signal.SIGKILL)


def main() -> None:
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    end_groups(groups_left(sys.stdin))


if __name__ == "__main__":
    main()
