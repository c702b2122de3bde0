"""How much memory a job process has, as the worker asks every 5 s of each.

The SDK has the kernel walk through all pages of the process and divide those that are shared among
their sharers: 2 to 5 ms. What is resident, which the kernel counts all the time, is never less; as
long as even that is below what the worker warns or kills at, there is nothing to divide.

Source: livekit-agents 1.8.9, `ipc/supervised_proc.py`, `_memory_monitor_task`.
"""

from livekit.agents.ipc.supervised_proc import SupervisedProc

_BYTES_IN_MB = 1024 * 1024

_sample = SupervisedProc._sample_memory_mb  # noqa: SLF001


def sample(process: SupervisedProc) -> tuple[float, str]:
    """Megabytes and what they count, `rss` or, the first time and where it matters, `pss`."""
    seen, options = process._psutil_process, process._opts  # noqa: SLF001
    if seen is not None:
        resident_mb = seen.memory_info().rss / _BYTES_IN_MB
        bounds = (options.memory_warn_mb, options.memory_limit_mb)
        if resident_mb <= min((bound for bound in bounds if bound > 0), default=0.0):
            return resident_mb, "rss"
    return _sample(process)


def install() -> None:
    """In this process, which is the worker's."""
    SupervisedProc._sample_memory_mb = sample  # type: ignore[method-assign, assignment]  # noqa: SLF001
