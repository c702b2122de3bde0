"""What a load run does: who calls when, and how often everybody speaks. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

# One process measures the sound of all callers; beyond this even a large machine's core is full.
MAX_CALLERS = 500
MAX_TURNS = 100
MAX_CALLS = 100
MAX_THINK_S = 600.0
MAX_LIMIT_S = 86_400.0
# People do not think in step; callers that did would speak all at once.
THINK_SPREAD = (0.5, 1.5)


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """`callers` people call, the first at once and the last `ramp_s` later.

    Each makes `calls` calls one after another, takes `turns` turns in each, and thinks for about
    `think_s` before a turn. After `limit_s` whoever is still in a call is taken out of it.
    With `together` each keeps taking turns until all have taken `turns` while all were there.
    """

    callers: int
    ramp_s: float = 0.0
    turns: int = 3
    calls: int = 1
    think_s: float = 1.0
    limit_s: float = 600.0
    together: bool = False
    seed: int = 1

    def offsets_s(self) -> tuple[float, ...]:
        """When each caller begins, from the run's beginning."""
        if self.callers == 1:
            return (0.0,)
        step_s = self.ramp_s / (self.callers - 1)
        return tuple(caller * step_s for caller in range(self.callers))

    def thinks_s(self, caller: int) -> Iterator[float]:
        """How long this caller thinks before each turn, the same in every run of a seed."""
        rng = random.Random(f"{self.seed}/{caller}")  # noqa: S311 - it places turns in time
        while True:
            yield self.think_s * rng.uniform(*THINK_SPREAD)

    @property
    def starts_per_s(self) -> float | None:
        """How often somebody calls during the ramp; None: all at once."""
        return (self.callers - 1) / self.ramp_s if self.callers > 1 and self.ramp_s > 0 else None

    def problems(self) -> list[str]:
        """What is out of range, with the option's name; empty: the plan can be run."""
        ranges = (
            ("--callers", self.callers, 1, MAX_CALLERS),
            ("--turns", self.turns, 0, MAX_TURNS),
            ("--calls", self.calls, 1, MAX_CALLS),
            ("--think", self.think_s, 0.0, MAX_THINK_S),
            ("--ramp", self.ramp_s, 0.0, MAX_LIMIT_S),
            ("--limit", self.limit_s, 1.0, MAX_LIMIT_S),
        )
        return [
            f"{name} is {value:g}; give between {least:g} and {most:g}"
            for name, value, least, most in ranges
            if not least <= value <= most
        ]
