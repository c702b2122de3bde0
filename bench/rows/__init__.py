"""What is measured in one go: a module here, with the numbers of its rows and a `measure`.

`NUMBERS` are those of bench/goals.py that `measure(rounds)` gives, plain or awaited, as rows. What
can be measured apart is a module of its own, so that one row does not wait for another. A module
that is here is in the suite.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from bench.goals import GOALS
from bench.results import Row

Measure = Callable[[int], Awaitable[list[Row]] | list[Row]]
_ORDER = [goal.number for goal in GOALS]


@dataclass(frozen=True)
class Piece:
    """A module of rows."""

    name: str
    numbers: Sequence[str]
    measure: Measure

    async def rows(self, rounds: int) -> list[Row]:
        found = self.measure(rounds)
        return await found if inspect.isawaitable(found) else found


def pieces() -> list[Piece]:
    """Every module of this folder, in the order of the table."""
    found = []
    for each in iter_modules(__path__):
        module = import_module(f"{__name__}.{each.name}")
        found.append(Piece(each.name, module.NUMBERS, module.measure))
    return sorted(found, key=lambda piece: _ORDER.index(piece.numbers[0]))
