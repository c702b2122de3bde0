"""What came of a load run, in figures. Pure.

Times named `at` or ending in `_s` of a call are seconds from the run's beginning; latencies are
those that `python -m assistant call` shows.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

# Within less, calls begin together, and not at a rate.
SHORTEST_WINDOW_S = 1.0


@dataclass(frozen=True, kw_only=True)
class TurnFigures:
    """One answered turn: end of speech at `at`, the reply audible `reply_s` later.

    `lag_s`: how late the caller's own microphone was at worst. `together`: all callers of the
    plan were in their calls.
    """

    at: float
    reply_s: float
    lag_s: float
    together: bool


@dataclass(frozen=True, kw_only=True)
class CallFigures:
    """One call; None: it did not come so far.

    `due`: the turns that should have been answered, of which `turns` were. `failure`: why it
    ended before its end. `cut`: we ended it, for the time limit or somebody's Ctrl-C.
    `agent_was_there`: the agent came before the caller, so `agent_s` is at most that.
    """

    caller: int
    session_id: str
    began_s: float
    ended_s: float
    agent_s: float | None
    agent_was_there: bool
    greeting_s: float | None
    turns: tuple[TurnFigures, ...]
    due: int
    failure: str | None
    cut: bool


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A sample of `count` values; percentiles are by nearest rank, so each is a value seen."""

    count: int
    p50: float
    p95: float
    max: float


@dataclass(frozen=True, kw_only=True)
class CpuUse:
    """What computing there was meanwhile, in cores; None: this system does not tell.

    `callers`: this process. `machine`: everything on this machine, of `cores` that it has.
    """

    callers: float
    machine: float | None
    cores: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run; a spread is None where there is nothing to measure.

    `answered`: the share of the turns that were due; None: no turn was. `most_at_once`: callers
    in a call at the same time. `starts_per_s`: from the first call to the last one; None: they
    began together.
    """

    took_s: float
    calls: int
    joined: int
    cut: int
    failures: dict[str, int]
    due: int
    answered_turns: int
    agent: Spread | None
    greeting: Spread | None
    reply: Spread | None
    most_at_once: int
    starts_per_s: float | None
    mean_call_s: float | None
    worst_lag_s: float | None
    cpu: CpuUse

    @property
    def answered(self) -> float | None:
        return self.answered_turns / self.due if self.due else None

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the (sorted) values does not exceed."""
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def spread(values: Iterable[float]) -> Spread | None:
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(
        count=len(ordered),
        p50=percentile(ordered, 0.5),
        p95=percentile(ordered, 0.95),
        max=ordered[-1],
    )


def concurrency(calls: Iterable[CallFigures]) -> list[tuple[float, int]]:
    """How many callers were in a call, from each moment at which that changed."""
    changes: Counter[float] = Counter()
    for call in calls:
        changes[call.began_s] += 1
        changes[call.ended_s] -= 1
    moments = sorted(changes)
    return list(zip(moments, accumulate(changes[at] for at in moments), strict=True))


def summarise(
    calls: Sequence[CallFigures], *, took_s: float, cpu: CpuUse, together_only: bool = False
) -> Summary:
    """`together_only`: replies count only where all callers of the plan were in their calls."""
    turns = [turn for call in calls for turn in call.turns]
    measured = [turn for turn in turns if turn.together or not together_only]
    begins = sorted(call.began_s for call in calls)
    window_s = begins[-1] - begins[0] if begins else 0.0
    whole = [call.ended_s - call.began_s for call in calls if not call.cut and not call.failure]
    return Summary(
        took_s=took_s,
        calls=len(calls),
        joined=sum(call.agent_s is not None for call in calls),
        cut=sum(call.cut for call in calls),
        failures=dict(Counter(call.failure for call in calls if call.failure).most_common()),
        due=sum(call.due for call in calls),
        answered_turns=len(turns),
        agent=spread(call.agent_s for call in calls if call.agent_s is not None),
        greeting=spread(call.greeting_s for call in calls if call.greeting_s is not None),
        reply=spread(turn.reply_s for turn in measured),
        most_at_once=max((count for _, count in concurrency(calls)), default=0),
        starts_per_s=(len(begins) - 1) / window_s if window_s >= SHORTEST_WINDOW_S else None,
        mean_call_s=sum(whole) / len(whole) if whole else None,
        worst_lag_s=max((turn.lag_s for turn in turns), default=None),
        cpu=cpu,
    )
