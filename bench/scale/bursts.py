"""Real bursts of starts on one machine: `python -m bench.scale.bursts --runs 5 > bursts.jsonl`.

What the simulation of one host is fitted to, and compared with; `--standby 2` has jobs stand by. A
burst's callers join, hear the greeting and leave. Each line has the burst's size, how long each
start took until its agent was in the room, and until the caller saw it, how long each job process
was missing from the pool, and how many threads wanted a core in the seconds before, when this
system was idle. The last lines have what the service saw of each stage on average, and how long a
new worker took until its pool was warm.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.acceptance.system import POOL_SIZE, PROJECT, System, running_system

from assistant.local_stack.parts import worker_part
from assistant.local_stack.ports import HOST, free_port
from assistant.rehearsal.load.cpu import PROC_STAT, CpuMeter
from assistant.rehearsal.load.crowd import Crowd
from assistant.rehearsal.load.plan import LoadPlan

SIZES = (1, 2, 4, 8)
BACKGROUND_S = 3.0
LOOK_S = 0.05
POOL_LOOK_S = 0.02
POOL_TIMEOUT_S = 60.0


async def wanted_cores() -> float:
    """How many threads wanted a core, on average over `BACKGROUND_S`; this one left out."""
    seen = []
    for _ in range(round(BACKGROUND_S / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        running = re.search(r"procs_running (\d+)", PROC_STAT.read_text(encoding="ascii"))
        seen.append(int(running[1]) - 1 if running else 0)
    return sum(seen) / len(seen)


@dataclass
class PoolClock:
    """How long the pool's processes were missing, added up."""

    url: str
    missing_s: float = 0.0
    _at: float = field(default_factory=time.monotonic)
    _missing: int = 0

    async def look(self, http: httpx.AsyncClient) -> int:
        warm = int((await http.get(self.url)).json()["warm"])
        now = time.monotonic()
        self.missing_s += (now - self._at) * self._missing
        self._at, self._missing = now, max(POOL_SIZE - warm, 0)
        return warm

    async def until_full(self, http: httpx.AsyncClient) -> None:
        async with asyncio.timeout(POOL_TIMEOUT_S):
            while await self.look(http) < POOL_SIZE:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(POOL_LOOK_S)


async def joined_s(system: System, session_id: str) -> float | None:
    """From the start until the agent's own report that it is in the room; None: it was lost again.

    What a caller sees of it may be later: LiveKit tells of somebody who publishes nothing yet only
    every 3 s.
    """
    async with system.http() as http:
        times = (await http.get(f"/api/sessions/{session_id}")).json()["times"]
    if times["active"] is None:
        return None
    return round(float(times["active"]) - float(times["queued"]), 3)


async def burst(system: System, http: httpx.AsyncClient, size: int, standby: int) -> dict[str, Any]:
    url = f"http://{HOST}:{system.ports['worker']}/worker"
    await PoolClock(url).until_full(http)
    background = await wanted_cores()
    meter = CpuMeter()
    clock = PoolClock(url)
    async with system.service() as service:
        crowd = Crowd(service, [], LoadPlan(callers=size, turns=0, limit_s=120))
        running = asyncio.create_task(crowd.run(asyncio.Event()), name="burst")
        while not running.done():
            await clock.look(http)
            await asyncio.sleep(POOL_LOOK_S)
        calls = await running
        used = meter.read()
    await clock.until_full(http)
    seen = sorted(round(call.agent_s, 3) for call in calls if call.agent_s is not None)
    joins = [await joined_s(system, call.session_id) for call in calls if not call.failure]
    heard = sorted(round(call.greeting_s, 3) for call in calls if call.greeting_s is not None)
    return {
        "size": size,
        "standby": standby,
        "joins_s": sorted(joined for joined in joins if joined is not None),
        "seen_s": seen,
        "greetings_s": heard,
        "failed": [call.failure for call in calls if call.failure],
        "refill_s": round(clock.missing_s / size, 3),
        "background_cores": round(background, 2),
        "burst_cores": round(used.machine or 0.0, 2),
        "cores": used.cores,
        "load_average": round(os.getloadavg()[0], 2),
    }


async def stages(system: System) -> dict[str, Any]:
    """The mean of each stage of a start, over all of them."""
    async with system.http() as http:
        text = (await http.get("/metrics")).text
    found = re.findall(r'assistant_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)', text)
    read = {(stage, what): float(value) for what, stage, value in found}
    names = sorted({stage for stage, _ in read})
    return {"stages_s": {n: round(read[n, "sum"] / (read[n, "count"] or 1), 4) for n in names}}


async def restart(system: System, http: httpx.AsyncClient) -> dict[str, Any]:
    """From a worker's start until it has a warm pool."""
    port = free_port()
    clock = PoolClock(f"http://{HOST}:{port}/worker")
    part = worker_part(
        http_port=port, env=dict(system.environ), needs=frozenset(), cwd=PROJECT, name="another"
    )
    began = time.monotonic()
    await system.supervisor.start(part)
    await clock.until_full(http)
    return {"restart_s": round(time.monotonic() - began, 2), "load_average": os.getloadavg()[0]}


async def bench(options: argparse.Namespace) -> int:
    standby: int = options.standby
    environ = {"ASSISTANT_MAX_JOBS": "20", "ASSISTANT_STANDBY_JOBS": f"{standby}"}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_system(Path(folder), environ=environ) as system,
            httpx.AsyncClient(timeout=30) as http,
        ):
            # The first greeting is made, and kept, before anything is measured.
            await burst(system, http, 1, standby)
            for _ in range(options.runs):
                for size in SIZES:
                    print(json.dumps(await burst(system, http, size, standby)), flush=True)
            print(json.dumps(await stages(system)), flush=True)
            print(json.dumps(await restart(system, http)), flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--standby", type=int, default=0)
    return asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
