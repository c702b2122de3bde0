"""Load over HTTP, by wrk: one core of it outruns any Python server, so it is not what is measured.

Debian: `apt-get install wrk`.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

CONNECTIONS = 64
ENDED_WITHIN_S = 20
# A service polls Redis, and looks after what it holds: less than so much of a core is idle.
IDLE_SHARE = 0.15
IDLE_LOOK_S = 0.4
IDLE_WITHIN_S = 60
#: Of two cores: the server that is measured has the first, all others share the second.
SERVER_CORE, OTHER_CORE = 0, 1

# Each request's body is the next one of the list, and round again.
_SCRIPT = """
wrk.method = "POST"
{headers}
local bodies = {{}}
for line in io.lines({bodies}) do bodies[#bodies + 1] = line end
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
{answered}
done = function(summary, latency, _requests)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout, latency:percentile(99)))
end
"""


_KEEPING = """
local answers = io.open({answers}, "w")
response = function(_status, _headers, body) answers:write(body, "\\n") end
"""


class LoadError(BenchError):
    """The load could not be made, or was not answered as it should be."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a server did: answers in a second, and the 99th percentile of their latencies."""

    requests: int
    per_s: float
    p99_s: float


def wrk_program() -> str:
    """Where wrk is.

    Raises:
        LoadError: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise LoadError("this needs the load generator wrk: apt-get install wrk")
    return found


def load(
    url: str,
    bodies: Sequence[Mapping[str, object]],
    *,
    duration_s: int,
    key: str | None = None,
    connections: int = CONNECTIONS,
    answers: Path | None = None,
) -> Loaded:
    """POST `bodies` to `url`, round and round, for `duration_s`.

    `answers`: a file for what the answers say, a line each.

    Raises:
        LoadError: wrk is missing, or an answer was no 2xx, or a connection broke.
    """
    program = wrk_program()
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "bodies"
        lines.write_text("\n".join(json.dumps(body) for body in bodies), encoding="utf-8")
        script = Path(folder) / "load.lua"
        told = "\n".join(
            f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items()
        )
        answered = "" if answers is None else _KEEPING.format(answers=json.dumps(str(answers)))
        script.write_text(
            _SCRIPT.format(headers=told, bodies=json.dumps(str(lines)), answered=answered),
            encoding="utf-8",
        )
        argv = (program, "-t1", f"-c{connections}", f"-d{duration_s}s", "-s", str(script), url)
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            pin(process.pid, OTHER_CORE)
            output = process.communicate(timeout=duration_s + ENDED_WITHIN_S)[0]
    result = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    if result is None:
        raise LoadError(f"wrk said: {output[-500:]}")
    requests, took_us, refused, broken, p99_us = map(int, result.groups())
    if refused or broken or not requests:
        raise LoadError(f"{refused} of {requests} answers were no success, {broken} broke: {url}")
    return Loaded(requests, requests / (took_us / 1e6), p99_us / 1e6)


def pin(pid: int, core: int) -> None:
    """Keep a process, all its threads, on one core; does nothing on a machine that has but one."""
    if (os.cpu_count() or 1) <= core:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def until_idle(pid: int) -> None:
    """Return once the process has nothing to do any more that was asked of it before.

    Raises:
        LoadError: it has not come to that in IDLE_WITHIN_S.
    """
    deadline = time.monotonic() + IDLE_WITHIN_S
    while time.monotonic() < deadline:
        before = _cpu_s(pid)
        time.sleep(IDLE_LOOK_S)
        if _cpu_s(pid) - before < IDLE_SHARE * IDLE_LOOK_S:
            return
    raise LoadError(f"process {pid} was still busy after {IDLE_WITHIN_S} s")


def _cpu_s(pid: int) -> float:
    """The CPU seconds that a process has used. Source: proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
