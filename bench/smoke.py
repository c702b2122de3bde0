"""A quick look that every change gets: ratios that are far from any noise, in under a minute.

Each ratio is of two things of one moment on one machine, and its bar leaves a factor of about two
to what is usual. A ratio beyond its bar is measured again, so often and no more.
"""

import asyncio
import re
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from bench.pool import pool_is_warm
from tests.acceptance.system import PROJECT, System, running_system

from assistant.local_stack.ports import HOST

TRIES = 3
STARTS = 3
CONNECTIONS = 32
ROUNDS = 15
REQUEST_WITHIN_S = 10.0
JOINED_WITHIN_S = 20.0
LOOK_S = 0.1
# What a process has to import before it can hold a conversation, were it begun for one.
JOB_IMPORTS = "import assistant.worker.job, livekit.agents"
OVER = frozenset({"ended", "failed"})


@dataclass(frozen=True)
class Check:
    """A ratio that must be at least `bar`; `usual` is what two cores gave when it was written."""

    name: str
    bar: float
    usual: float
    measure: Callable[[System], Awaitable[float]]


async def warm_against_cold(system: System) -> float:
    """A process's imports alone, over a warm start from its request to the agent in the room."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", JOB_IMPORTS, env={**system.environ, "PYTHONPATH": "src"}, cwd=PROJECT
    )
    if await process.wait() != 0:
        raise RuntimeError(f"{JOB_IMPORTS}: exit code {process.returncode}")
    cold_s = time.monotonic() - began
    return cold_s / median([await _start_s(system) for _ in range(STARTS)])


async def _start_s(system: System) -> float:
    """From the start request until LiveKit says that the agent joined."""
    await pool_is_warm(system)
    session_id = f"smoke-{uuid.uuid4().hex[:8]}"
    async with system.http() as http, asyncio.timeout(JOINED_WITHIN_S):
        asked = time.time()
        body = {"sessionId": session_id, "userId": "smoke"}
        (await http.post("/api/session/start", json=body)).raise_for_status()
        while True:
            shown = (await http.get(f"/api/sessions/{session_id}")).json()
            if shown["status"] in OVER:
                raise RuntimeError(f"{session_id} {shown['status']}: {shown['reason']}")
            joined = [each["at"] for each in shown["timeline"] if each["name"] == "agent.joined"]
            if joined:
                (await http.delete(f"/api/sessions/{session_id}")).raise_for_status()
                return float(joined[0]) - asked
            await asyncio.sleep(LOOK_S)


async def tokens_against_bare(system: System) -> float:
    """The service's CPU time for bare requests over that for tokens, which load cannot change."""
    pid = next(each.pid for each in system.supervisor.running if each.part.name == "service")
    return await asyncio.to_thread(_cpu_ratio, pid, system.ports["service"])


def _cpu_ratio(pid: int, port: int) -> float:
    body = b'{"sessionId": "smoke", "userId": "smoke"}'
    head = b"POST /api/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    token = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    bare = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((HOST, port), timeout=REQUEST_WITHIN_S))
            for _ in range(CONNECTIONS)
        ]
        for request in (token, bare):  # what only the first ones pay for
            _cpu_ns(pid, connections, request)
        return _cpu_ns(pid, connections, bare) / _cpu_ns(pid, connections, token)


def _cpu_ns(pid: int, connections: Sequence[socket.socket], request: bytes) -> int:
    """What the service's one thread computes while all connections ask ROUNDS times."""
    clock = Path(f"/proc/{pid}/schedstat")
    before = int(clock.read_text(encoding="ascii").split()[0])
    for _ in range(ROUNDS):
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            _read_answer(connection)
    return int(clock.read_text(encoding="ascii").split()[0]) - before


def _read_answer(connection: socket.socket) -> None:
    """One whole answer.

    Raises:
        RuntimeError: it is no success.
    """
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += _more(connection)
    head = answer[:end].decode("latin-1")
    if not head.startswith("HTTP/1.1 2"):
        raise RuntimeError(head)
    length = re.search(r"(?im)^content-length: (\d+)", head)
    left = (int(length[1]) if length else 0) - (len(answer) - end - 4)
    while left > 0:
        left -= len(_more(connection))


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise RuntimeError("the service closed the connection")
    return received


async def memory_against_unshared(system: System) -> float:
    """What an idle worker's processes hold of private pages had each its own, over what they do.

    Pages of files are left out: the kernel shares those between any two processes.
    """
    await pool_is_warm(system)
    pid = next(each.pid for each in system.supervisor.running if each.part.name == "worker")
    return await asyncio.to_thread(_sharing, pid)


def _sharing(pid: int) -> float:
    tree = [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]
    rollups = [Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii") for each in tree]
    own, shared = (
        sum(int(re.findall(rf"(?m)^{field}: +(\d+) kB", rollup)[0]) for rollup in rollups)
        for field in ("Anonymous", "Pss_Anon")
    )
    return own / shared


CHECKS = (
    Check("a cold process's imports / a warm start", 2.0, 5.5, warm_against_cold),
    Check("CPU of a request: bare route / token route", 0.12, 0.23, tokens_against_bare),
    Check("idle worker: memory if unshared / as it is", 1.5, 3.0, memory_against_unshared),
)


async def holds(check: Check, system: System) -> bool:
    """Measured until it is within its bar, at most `TRIES` times; tells each ratio."""
    for number in range(1, TRIES + 1):
        began = time.monotonic()
        ratio = await check.measure(system)
        kept = ratio >= check.bar
        print(
            f"{check.name}: {ratio:.2f}, at least {check.bar:g} wanted, {check.usual:g} usual"
            f" ({'kept' if kept else f'missed, try {number} of {TRIES}'}, "
            f"{time.monotonic() - began:.1f} s)",
            flush=True,
        )
        if kept:
            return True
    return False


async def smoke() -> int:
    """Run every check; 0 if all ratios are within their bars."""
    with tempfile.TemporaryDirectory() as name:
        environ = {"ASSISTANT_RATE_LIMIT": "100000"}
        async with running_system(Path(name), environ=environ) as system:
            kept = [await holds(check, system) for check in CHECKS]
    return 0 if all(kept) else 1
