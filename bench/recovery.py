"""How fast a lost agent is replaced: `python -m bench.recovery --runs 20`.

Every run is one conversation whose agent is lost on purpose; one JSON line a run, then a summary.
Bounds: job killed p50 < 0.8 s and p95 < 2 s; worker killed p95 < 6 s; worker stopped < 10 s. The
time is from the fault until LiveKit lists the next attempt's agent as active, and `agents_at_once`
the largest number of agents that LiveKit listed in one look at the room.

`--without-service` kills the service before each fault: nobody is replaced, which shows that the
rows above measure the reconciler and nothing else.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from tests.acceptance.recovery import (
    another_worker,
    identity,
    kill_job,
    replace_worker,
    watched,
    whereabouts,
)
from tests.acceptance.system import System, running_system
from tests.timing import scaled

from assistant.rehearsal.scenario import Call

FAULTS = ("job_kill", "worker_kill", "worker_stop")
BOUNDS_S = {
    "job_kill": {"p50": 0.8, "p95": 2.0},
    "worker_kill": {"p95": 6.0},
    "worker_stop": {"max": 10.0},
}
LIMIT_S = 25.0
SECOND_WORKER = "worker-2"
# Random, so that a fault meets every phase of the beat and of the polls.
SETTLE_S = (0.2, 1.4)
STAGES_SETTLE_S = 0.2  # The last report is on its way when LiveKit already lists the agent.


async def one_run(
    system: System, fault: str, seed: int, *, without_service: bool
) -> dict[str, object]:
    """One conversation that loses its agent; `recovered_s` None: nobody came in time."""
    rng = random.Random(seed)  # noqa: S311 - it places faults in time
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        await asyncio.sleep(rng.uniform(*SETTLE_S))
        before = await whereabouts(system, call.session_id)
        async with watched(system, call.caller.room_name) as watch:
            await watch.joined(identity(call.session_id, before.attempt), scaled(LIMIT_S))
            if without_service:
                await kill_service(system)
            lost_at, lost_wall = time.monotonic(), time.time()
            if fault == "job_kill":
                kill_job(before.job_pid)
            else:
                sig = signal.SIGKILL if fault == "worker_kill" else signal.SIGSTOP
                system.supervisor.kill(before.part, sig)
            recovered_s, attempt = None, before.attempt + 1
            try:
                async with asyncio.timeout(scaled(LIMIT_S)):
                    while not (here := watch.here - {identity(call.session_id, before.attempt)}):
                        watch.changed.clear()
                        await watch.changed.wait()
                recovered_s = round(time.monotonic() - lost_at, 3)
                attempt = int(max(here).rpartition("-")[2])
            except TimeoutError:
                pass
            most = watch.most
            await asyncio.sleep(STAGES_SETTLE_S)
        if without_service:
            await system.supervisor.start(system.supervisor["service"].part)
        if fault != "job_kill":
            await replace_worker(system, before.part)
        stages = await stages_after(system, call.session_id, attempt, lost_wall)
        await call.end()
    return {
        "fault": fault,
        "seed": seed,
        "recovered_s": recovered_s,
        "attempt": attempt,
        "agents_at_once": most,
        "stages_s": stages,
        "without_service": without_service,
    }


async def stages_after(
    system: System, session_id: str, attempt: int, since: float
) -> dict[str, float]:
    """When each stage of the new attempt came, in seconds after the fault."""
    async with system.http() as client:
        shown = (await client.get(f"/api/sessions/{session_id}")).json()
    stages = {}
    for entry in shown.get("timeline") or ():
        data = entry.get("data") or {}
        if data.get("attempt") == (attempt - 1 if entry["name"] == "agent.lost" else attempt):
            stages[entry["name"]] = round(entry["at"] - since, 3)
    return stages


async def kill_service(system: System) -> None:
    running = system.supervisor["service"]
    running.stopping = True
    system.supervisor.kill("service", signal.SIGKILL)
    await running.exited.wait()


def summary(fault: str, runs: Sequence[dict[str, object]]) -> dict[str, object]:
    """The figures of all runs of one fault, and whether they keep the bounds."""
    times = [float(str(run["recovered_s"])) for run in runs if run["recovered_s"] is not None]
    figures: dict[str, float] = {}
    if len(times) > 1:
        cuts = quantiles(times, n=20, method="inclusive")
        figures = {"p50": cuts[9], "p95": cuts[18], "max": max(times)}
    kept = len(times) == len(runs) and all(
        figures.get(name, LIMIT_S) < bound for name, bound in BOUNDS_S[fault].items()
    )
    return {
        "fault": fault,
        "runs": len(runs),
        "recovered": len(times),
        **{name: round(value, 3) for name, value in figures.items()},
        "most_agents_at_once": max((int(str(run["agents_at_once"])) for run in runs), default=0),
        "bounds": BOUNDS_S[fault],
        "kept": kept,
    }


async def bench(options: argparse.Namespace) -> int:
    """Run everything; 0 if every bound was kept (or, without the service, if nobody recovered)."""
    as_wanted = True
    with tempfile.TemporaryDirectory() as folder:
        environ = {"PREWARM_POOL_SIZE": "2", "ASSISTANT_RATE_LIMIT": "1000"}
        async with running_system(Path(folder), environ=environ) as system:
            await system.supervisor.start(another_worker(system, SECOND_WORKER))
            for fault in options.fault or FAULTS:
                runs = []
                for number in range(options.runs):
                    run = await one_run(
                        system,
                        fault,
                        options.seed + number,
                        without_service=options.without_service,
                    )
                    runs.append(run)
                    print(json.dumps(run), flush=True)
                figures = summary(fault, runs)
                print(json.dumps({"summary": figures}), flush=True)
                failed = figures["recovered"] == 0
                as_wanted &= failed if options.without_service else bool(figures["kept"])
    return 0 if as_wanted else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, action="append")
    parser.add_argument("--without-service", action="store_true")
    return asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
