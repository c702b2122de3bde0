"""Hosts for so many sessions: arithmetic, out of what rows 2, 2b and 3 measured (bench/results)."""

from dataclasses import dataclass

from bench.results import RESULTS, Row

# Of a host's cores, what conversations may take: the rest is for starts, refills and peaks.
TARGET_SHARE = 0.7
# Of the slots, what stays free.
SPARE = 1 / 6
# What the first conversation of a worker brings into memory for all: row 2's note, less its own.
SHARED_MB = 270
# What the first of a process that is shared takes: docs/decisions/0018.
FIRST_IN_PROCESS_MB = 60
SEATS = 8
SIZES, COUNTS = (2, 4, 6, 8, 12, 16), (10, 100, 1_000, 10_000)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What conversations cost a worker. `idle_mb`: the worker and its warm pool, before any.

    `each_mb`: one more; `first_mb`: the first of a process, which has `seats`.
    """

    cores: float
    idle_mb: float
    each_mb: float
    first_mb: float
    seats: int = 1

    def max_jobs(self, cores: int) -> int:
        """ASSISTANT_MAX_JOBS of a host whose conversations may take `TARGET_SHARE` of its cores."""
        return int(TARGET_SHARE * cores / self.cores + 1e-9)

    def memory_mb(self, jobs: int) -> float:
        """Of a worker with so many conversations."""
        processes = -(-jobs // self.seats)
        conversations = processes * self.first_mb + (jobs - processes) * self.each_mb
        return self.idle_mb + SHARED_MB + conversations


def measured(contender: str = "ours") -> Carried:
    """What the rows have of ours, or of `ours dense`.

    Raises:
        ContenderMissingError: a row does not have it.
    """
    each_mb, idle_mb, cpu_s = (
        Row.read(RESULTS / f"{number}.json").overall(contender) for number in ("2", "2b", "3")
    )
    dense = contender == "ours dense"
    return Carried(
        cores=cpu_s / 60,
        idle_mb=idle_mb,
        each_mb=each_mb,
        first_mb=FIRST_IN_PROCESS_MB if dense else each_mb,
        seats=SEATS if dense else 1,
    )


def hosts_for(sessions: int, jobs: int, *, spare: float = SPARE) -> int:
    """Hosts of so many slots for so many sessions at once, a share of the slots kept free.

    One more than full hosts, at least.
    """
    full = -(-sessions // jobs)
    return max(full + 1, -int(-sessions / (jobs * (1 - spare)) // 1))


def shared(ours: Carried, dense: Carried) -> str:
    """What sharing processes saves, and the table of hosts that share them."""
    return (
        f"Measured on one core, each with a talking caller: **{dense.each_mb:.2g} MB** a further "
        f"conversation instead of {ours.each_mb:.3g}, after some {dense.first_mb:.0f} MB for the "
        f"first of a process, and {60 * dense.cores:.2g} CPU seconds a session-minute with four "
        f"callers instead of {60 * ours.cores:.2g}. So the same hosts carry:\n\n{table(dense)}"
    )


def table(carried: Carried) -> str:
    """Per size of a host: its jobs, their memory, and how many such hosts are needed."""
    heads = " | ".join(f"hosts for {count:,}" for count in COUNTS)
    lines = [
        f"| cores | `ASSISTANT_MAX_JOBS` | memory | {heads} |",
        f"|{'---|' * (3 + len(COUNTS))}",
    ]
    for cores in SIZES:
        jobs = carried.max_jobs(cores)
        gb = carried.memory_mb(jobs) / 1000
        hosts = " | ".join(f"{hosts_for(count, jobs):,}" for count in COUNTS)
        lines.append(f"| {cores} | {jobs} | {gb:.1f} GB | {hosts} |")
    return "\n".join(lines)
