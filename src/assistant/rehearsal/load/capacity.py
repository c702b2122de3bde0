"""How many callers a deployment carries: which number to try next. Pure.

One caller alone sets the bar; then the number doubles until the bar is missed twice, and what lies
between is halved until the two numbers are neighbours.
"""

from dataclasses import dataclass, field

from assistant.rehearsal.load.plan import MAX_TURNS

# Turn p95 at most this many times that of one caller alone.
TURN_RATIO = 1.25
# A p95 of fewer turns is a matter of luck.
MIN_TURNS_A_STEP = 20
# 1, then doublings to 500 and halvings back, each tried twice at most.
MAX_STEPS = 40


def turns_for(callers: int, least: int) -> int:
    """Turns for each caller, so that the step has enough of them."""
    return min(max(least, -(-MIN_TURNS_A_STEP // callers)), MAX_TURNS)


@dataclass
class Search:
    """`most`: the largest number to try. `kept` and `missed` are the nearest known; 0 and None:
    not yet known.
    """

    most: int
    kept: int = 0
    missed: int | None = None
    steps: int = 0
    _misses: dict[int, int] = field(default_factory=dict)

    @property
    def next(self) -> int | None:
        """The number of callers to try now; None: the search is over."""
        if self.steps >= MAX_STEPS or self.kept >= self.most or self.missed == 1:
            return None
        if self.missed is None:
            return min(max(2 * self.kept, 1), self.most)
        return (self.kept + self.missed) // 2 if self.missed - self.kept > 1 else None

    def tried(self, callers: int, *, kept: bool) -> None:
        self.steps += 1
        if kept:
            self.kept = max(self.kept, callers)
            return
        self._misses[callers] = self._misses.get(callers, 0) + 1
        # One late reply is no limit: a number is missed when it was missed twice.
        if self._misses[callers] > 1 or callers == 1:
            self.missed = callers if self.missed is None else min(self.missed, callers)
