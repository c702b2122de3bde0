"""The figures that the simulation is fed with, each with its source."""

from dataclasses import dataclass, replace

from bench.scale.hosts import SHARED_MB, Carried
from bench.scale.model import Costs

# Fitted to the bursts in bursts.jsonl: `python -m bench.scale.fit bench/scale/bursts.jsonl`.
START_CPU_S = 0.07
START_WAIT_S = 0.01
SIDE_CPU_S = 0.17
# How much a thread that runs anyway counts beside one that has just woken; fitted too.
BACKGROUND = 0.2
REFILL_CPU_S = 0.09
REFILL_WAIT_S = 0.02
# The simulation's; near what row 3 gives, so that a table of minutes outlives another measurement.
TALK_CORES = 0.07
NEAR = 0.15
ALL_IN_TALK_CORES = 0.3
RECORD_S = 0.01
RESTART_S = 2.0


@dataclass(frozen=True)
class Figure:
    what: str
    value: str
    kind: str
    source: str


COSTS = Costs(
    record_s=RECORD_S,
    start_cpu_s=START_CPU_S,
    start_wait_s=START_WAIT_S,
    side_cpu_s=SIDE_CPU_S,
    refill_cpu_s=REFILL_CPU_S,
    refill_wait_s=REFILL_WAIT_S,
    talk_cores=TALK_CORES,
    restart_s=RESTART_S,
)
# Of a machine that has the callers, LiveKit and the stand-ins beside its worker. Assumed: in bursts
# whose callers leave after the greeting it weighs little.
ONE_HOST_COSTS = replace(COSTS, talk_cores=ALL_IN_TALK_CORES)
_FIT = "fitted to real bursts of 1, 2 and 4 starts, see [below](#the-model-against-reality)"
_ROWS = "[rows 3, 2 and 2b](benchmarks.md#row-2), the whole worker on one core"
FIGURES = (
    Figure("CPU of a start", f"{START_CPU_S:.2f} core-s", "fitted", _FIT),
    Figure("waiting in a start", f"{START_WAIT_S:.2f} s", "fitted", _FIT),
    Figure("CPU of a refill", f"{REFILL_CPU_S:.2f} core-s", "fitted", _FIT),
    Figure("waiting in a refill", f"{REFILL_WAIT_S:.2f} s", "assumed", "the fork, and the sockets"),
    Figure(
        "CPU beside a start: caller, LiveKit, service, the agent's first sentence",
        f"{SIDE_CPU_S:.2f} core-s",
        "fitted",
        "the same; the fleet's hosts are given all of it, which is more than their part",
    ),
    Figure(
        "start request until LiveKit is asked",
        f"{RECORD_S:.2f} s",
        "measured",
        "`assistant_stage_seconds`, in the same bursts",
    ),
    Figure(
        "a worker's restart until its pool is warm",
        f"{RESTART_S:.0f} s",
        "measured",
        "one start after those bursts",
    ),
    Figure("the server's wait for other nodes", "0.2 s", "read", "psrpc 0.7.2, client.go"),
    Figure("life of a job request", "3 s", "read", "psrpc 0.7.2, client.go"),
    Figure(
        "jobs that a node launches at once",
        "25",
        "read",
        "livekit-server 1.13.5, pkg/agent/client.go: 50 goroutines, two a launch",
    ),
    Figure(
        "a worker's report of its load", "every 2.5 s", "read", "livekit-agents 1.8.9, worker.py"
    ),
    Figure("a worker's beat", "every 1 s", "read", "src/assistant/sessions/store/workers.py"),
    Figure(
        "requests for jobs that are to stand by",
        "100 within 0.3 s, every 1.5 s at most",
        "read",
        "src/token_service/standby_keeper.py",
    ),
    Figure("length of a conversation", "5 min, exponential", "assumed", ""),
    Figure("arrivals", "Poisson", "assumed", ""),
    Figure(
        "one way over a worker's socket, and its answer", "0.005 s", "assumed", "one data centre"
    ),
)


def table(carried: Carried) -> str:
    """`carried`: what the rows measured of a conversation."""
    lines = ["| figure | value | | source |", "|---|---|---|---|"]
    measured = [
        Figure("a conversation", f"{carried.cores:.3f} cores", "measured", _ROWS),
        Figure("the same in the simulation", f"{TALK_CORES} cores", "measured", "rounded"),
        Figure("memory of a conversation", f"{carried.each_mb:.3g} MB", "measured", _ROWS),
        Figure(
            "memory of a worker and 3 idle processes",
            f"{carried.idle_mb:.0f} MB",
            "measured",
            _ROWS,
        ),
        Figure(
            "memory that the first conversation adds for all, the turn model above all",
            f"{SHARED_MB} MB",
            "measured",
            "row 2's note, less its own",
        ),
    ]
    lines += [f"| {f.what} | {f.value} | {f.kind} | {f.source} |" for f in (*measured, *FIGURES)]
    return "\n".join(lines)


def far_off(carried: Carried) -> str | None:
    """Why the simulation should get another figure; None: it is near enough to the measured one."""
    if abs(carried.cores / TALK_CORES - 1) <= NEAR:
        return None
    return (
        f"figures.py has TALK_CORES = {TALK_CORES:g}, row 3 gives {carried.cores:.3f}: set it, "
        "with scenarios.py's hosts, and run --write"
    )
