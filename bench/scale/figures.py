"""The figures that the simulation is fed with, each with its source."""

from dataclasses import dataclass, replace

from bench.scale.model import Costs

# Fitted to the bursts in bursts.jsonl: `python -m bench.scale.fit bench/scale/bursts.jsonl`.
START_CPU_S = 0.12
START_WAIT_S = 0.01
SIDE_CPU_S = 1.1
# How much a thread that runs anyway counts beside one that has just woken; fitted too.
BACKGROUND = 0.1
REFILL_CPU_S = 0.05
REFILL_WAIT_S = 0.05
TALK_CORES = 0.14
ALL_IN_TALK_CORES = 0.3
RECORD_S = 0.05
RESTART_S = 7.0
MEMORY_MB = 56
WORKER_MB = 532
# Of a host's cores, what conversations may take: the rest is for starts, refills and peaks.
TARGET_SHARE = 0.7


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
# Of a machine that has the callers, LiveKit and the stand-ins beside its worker.
ONE_HOST_COSTS = replace(COSTS, talk_cores=ALL_IN_TALK_CORES)
_FIT = "fitted to real bursts of 1, 2 and 4 starts, see [below](#the-model-against-reality)"
_REFERENCE = "six sessions with talking callers on 2 cores, job processes alone"
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
    Figure("a conversation", f"{TALK_CORES} cores", "measured", _REFERENCE),
    Figure("memory of a conversation", f"{MEMORY_MB} MB", "measured", _REFERENCE + ", PSS"),
    Figure("memory of a worker and 3 idle processes", f"{WORKER_MB} MB", "measured", "PSS"),
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
        "one start beside those bursts, on a busy machine",
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
    Figure("length of a conversation", "5 min, exponential", "assumed", ""),
    Figure("arrivals", "Poisson", "assumed", ""),
    Figure(
        "one way over a worker's socket, and its answer", "0.005 s", "assumed", "one data centre"
    ),
)


def table() -> str:
    lines = ["| figure | value | | source |", "|---|---|---|---|"]
    lines += [f"| {f.what} | {f.value} | {f.kind} | {f.source} |" for f in FIGURES]
    return "\n".join(lines)


def jobs_of(cores: int) -> int:
    """ASSISTANT_MAX_JOBS of a host whose conversations may take `TARGET_SHARE` of its cores."""
    return int(TARGET_SHARE * cores / TALK_CORES + 1e-9)


def hosts_for(sessions: int, cores: int, *, spare: float) -> int:
    """Hosts for so many sessions at once, a share of the slots kept free; one more at least."""
    jobs = jobs_of(cores)
    full = -(-sessions // jobs)
    return max(full + 1, -int(-sessions / (jobs * (1 - spare)) // 1))


SPARE = 1 / 6


def hosts_table() -> str:
    sizes, counts = (2, 4, 8, 12, 16), (10, 100, 1_000, 10_000)
    heads = " | ".join(f"hosts for {count:,}" for count in counts)
    lines = [
        f"| cores | `ASSISTANT_MAX_JOBS` | memory | {heads} |",
        f"|{'---|' * (3 + len(counts))}",
    ]
    for cores in sizes:
        jobs = jobs_of(cores)
        gb = (WORKER_MB + jobs * MEMORY_MB) / 1000
        hosts = [f"{hosts_for(count, cores, spare=SPARE):,}" for count in counts]
        lines.append(f"| {cores} | {jobs} | {gb:.1f} GB | {' | '.join(hosts)} |")
    return "\n".join(lines)
