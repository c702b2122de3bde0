"""Whether a run kept its bars. Pure."""

from dataclasses import dataclass

from assistant.rehearsal.load.figures import Summary

# Beyond it the callers' own microphones were late, and latencies say more about this machine.
LAG_LIMIT_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Bars:
    """What a run must keep; None: nothing is asked. `answered` is a share of the turns due."""

    turn_p95_s: float | None = None
    join_p95_s: float | None = None
    answered: float = 1.0


@dataclass(frozen=True)
class Miss:
    """One bar that was missed; `got` None: there was nothing to measure it by."""

    bar: str
    wanted: str
    got: str | None

    def __str__(self) -> str:
        return f"{self.bar}: wanted {self.wanted}, got {self.got or 'nothing to measure'}"


def misses(summary: Summary, bars: Bars) -> tuple[Miss, ...]:
    """The bars that were missed; empty: all kept.

    A call that failed is a miss however few turns it had, unless the answered share may be lower.
    """
    found = []
    answered = summary.answered
    if summary.failures and bars.answered >= 1:
        reasons = ", ".join(f"{reason} {count}" for reason, count in summary.failures.items())
        found.append(Miss("calls", "none to fail", f"{summary.failed} failed ({reasons})"))
    if answered is not None and answered < bars.answered:
        found.append(Miss("answered", f"{bars.answered:.1%}", f"{answered:.1%}"))
    if summary.calls == summary.cut:
        found.append(Miss("calls", "one at least to come to its end", None))
    limits = (
        ("turn p95", bars.turn_p95_s, summary.reply.p95 if summary.reply else None),
        ("join p95", bars.join_p95_s, summary.agent.p95 if summary.agent else None),
    )
    for name, limit, value in limits:
        if limit is not None and (value is None or value > limit):
            got = None if value is None else f"{value:.2f} s"
            found.append(Miss(name, f"at most {limit:.2f} s", got))
    return tuple(found)


def doubts(summary: Summary, *, same_machine: bool) -> tuple[str, ...]:
    """What makes the figures worse than the deployment is."""
    found = []
    cpu = summary.cpu
    if same_machine and cpu.machine is not None:
        found.append(
            f"callers and workers share this machine: of {cpu.cores} cores {cpu.machine:.1f} were "
            f"busy, {cpu.callers:.1f} of them with the callers, so the deployment alone carries "
            "more than this run shows"
        )
    if summary.worst_lag_s is not None and summary.worst_lag_s > LAG_LIMIT_S:
        found.append(
            f"a caller's own microphone was {summary.worst_lag_s:.2f} s late: this machine is too "
            "slow for so many callers, and latencies are partly its own"
        )
    if cpu.callers > 0.8:
        found.append(
            f"the callers took {cpu.callers:.2f} cores, and one process has little more than one: "
            "share them among several machines"
        )
    return tuple(found)
