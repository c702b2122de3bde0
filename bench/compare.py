"""Rows against their peers and goals: ratios, their spread, and what may be claimed. Pure.

Ratios are taken within a round, whose runs met the same machine. The spread of the rounds is half
of their interquartile range, and with fewer than five rounds half of their whole range. A gap is
claimed when it is over twice the spread, and never from fewer than three rounds.

What was waited for and never came counts as the wait, so that nobody's figure is that of those who
got something. Beside it stands the same by those rounds alone in which all came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles

from bench.errors import BadRowError
from bench.goals import Bar, Goal
from bench.results import Row

ROUNDS_FOR_QUARTILES = 5
FEWEST_ROUNDS = 3
CLAIMED_OVER = 2.0


@dataclass(frozen=True)
class Estimate:
    """A median over rounds; `spread` is None for a single round, which says nothing of it."""

    value: float
    spread: float | None
    rounds: int

    def apart_from(self, limit: float) -> bool:
        """Whether a gap to `limit` may be claimed."""
        if self.spread is None or self.rounds < FEWEST_ROUNDS:
            return False
        return abs(self.value - limit) > CLAIMED_OVER * self.spread


@dataclass(frozen=True)
class Finding:
    """What became of a bar. `estimate` None: one of both sides was not measured.

    `cut`: rounds in which something was waited for in vain, on either side. `uncut`: the estimate
    by the other rounds; None: there are none, or there is nothing else.
    """

    bar: Bar
    estimate: Estimate | None
    met: bool | None
    clear: bool | None
    cut: int = 0
    uncut: Estimate | None = None

    @property
    def words(self) -> str:
        if self.met is None or self.estimate is None:
            return "not measured"
        said = "met" if self.met else "missed"
        if self.clear:
            return said
        few = self.estimate.rounds < FEWEST_ROUNDS
        return f"{said}, {'from too few rounds' if few else 'within the noise'}"


@dataclass(frozen=True)
class Verdict:
    """A row against its goal and its moonshot; either may have no bars."""

    goal: tuple[Finding, ...]
    moonshot: tuple[Finding, ...]


def estimate(values: Sequence[float]) -> Estimate:
    """Median and spread of one value a round; `values` is not empty."""
    if len(values) == 1:
        return Estimate(values[0], None, 1)
    if len(values) < ROUNDS_FOR_QUARTILES:
        spread = (max(values) - min(values)) / 2
    else:
        low, _, high = quantiles(values, n=4, method="inclusive")
        spread = (high - low) / 2
    return Estimate(median(values), spread, len(values))


def ratio(row: Row, peer: str, ours: str = "ours") -> Estimate:
    """Ours / peer, round by round.

    Raises:
        ContenderMissingError: one of them was not measured.
        BadRowError: the peer has a round of 0.
    """
    pairs = _pairs(row, peer, ours)
    if any(theirs == 0 for _, theirs in pairs):
        raise BadRowError(row.number, f"rounds[{peer!r}]", 0, "no ratio is taken of 0")
    return estimate([mine / theirs for mine, theirs in pairs])


def difference(row: Row, peer: str, ours: str = "ours") -> Estimate:
    """Ours - peer in the row's unit, round by round.

    Raises:
        ContenderMissingError: one of them was not measured.
    """
    return estimate([mine - theirs for mine, theirs in _pairs(row, peer, ours)])


def _pairs(row: Row, peer: str, ours: str) -> list[tuple[float, float]]:
    # A round that one of them did not take part in compares nothing.
    return list(zip(row.by_round(ours), row.by_round(peer), strict=False))


def finding(row: Row, bar: Bar) -> Finding:
    """Whether ours is on the right side of the bar, and whether that may be claimed."""
    sides = [bar.ours] if bar.how == "own" else [bar.ours, bar.peer]
    if not set(sides) <= row.rounds.keys():
        return Finding(bar, None, None, None)
    found = _estimate(row, bar)
    in_vain = list(zip(*(row.in_vain(side) for side in sides), strict=False))
    whole = [number for number, counts in enumerate(in_vain) if not any(counts)]
    uncut = None
    if 0 < len(whole) < len(in_vain):
        rounds = {side: [row.rounds[side][number] for number in whole] for side in sides}
        uncut = _estimate(replace(row, rounds=rounds), bar)
    met = found.value >= bar.limit if row.better == "higher" else found.value <= bar.limit
    # A count that is the same in every round is no matter of noise.
    clear = found.apart_from(bar.limit) or (found.spread == 0 and found.value == bar.limit)
    return Finding(bar, found, met, clear, cut=len(in_vain) - len(whole), uncut=uncut)


def _estimate(row: Row, bar: Bar) -> Estimate:
    if bar.how == "own":
        return estimate(row.by_round(bar.ours))
    if bar.how == "difference":
        return difference(row, bar.peer, bar.ours)
    return ratio(row, bar.peer, bar.ours)


def verdict(row: Row, goal: Goal) -> Verdict:
    """The row against each bar of its goal."""
    return Verdict(
        goal=tuple(finding(row, bar) for bar in goal.goal),
        moonshot=tuple(finding(row, bar) for bar in goal.moonshot),
    )
