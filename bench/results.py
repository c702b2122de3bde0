"""One row of the comparison: what was measured of each contender, round by round.

Contenders: `ours`; the peers `S cold`, `S pool`, `D`, `O`, `F`, `E`; `bare` and `fastapi`; or a
variant such as `ours at 8`. docs/benchmarks.md says what each is.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import inf, isfinite
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal, get_args

from bench import machine
from bench.errors import BadRowError, ContenderMissingError

from assistant.rehearsal.load.figures import percentile

RESULTS = Path(__file__).parent / "results"
Better = Literal["lower", "higher"]
Statistic = Literal["p50", "p95", "p99", "mean"]
# Enough for any figure of the table, and short to read.
DIGITS = 6
_VALUES = re.compile(r"\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]")
_NUMBER = re.compile(r"[0-9]+[a-z]?(-[a-z]+)?")


@dataclass(frozen=True)
class Run:
    """Where and when a row was measured, with what, and how many seconds it took."""

    machine: Mapping[str, str | int | float]
    versions: Mapping[str, Mapping[str, str]]
    commit: str
    date: str
    took_s: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """`number`: as in bench/goals.py, such as `1b` or `6-cpu`, which names the file too.

    `rounds`: per contender one list a round, and in it the values of that round, in `unit`.
    Contenders alternate within a round, so round n of one belongs to round n of the others.
    `statistic`: what stands for a round's values; percentiles but p50 are by nearest rank.
    `waited`: how long each value was waited for. What had not come by then has this value, which
    is the least that it took. None: nothing was waited for so.
    `versions`: packages of contenders with an environment of their own, by contender.
    `run`: None until the row is written.

    Raises:
        BadRowError: there is nothing to compare, or a value is no number.
    """

    number: str
    title: str
    unit: str
    better: Better
    statistic: Statistic
    rounds: Mapping[str, list[list[float]]]
    waited: float | None = None
    note: str = ""
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    run: Run | None = None

    def __post_init__(self) -> None:
        if not _NUMBER.fullmatch(self.number):
            raise self._bad("number", self.number, "write it as 1b or 6-cpu")
        for name, allowed in (("better", Better), ("statistic", Statistic)):
            if getattr(self, name) not in get_args(allowed):
                options = ", ".join(get_args(allowed))
                raise self._bad(name, getattr(self, name), f"it is one of {options}")
        if "ours" not in {name.split(" at ")[0] for name in self.rounds}:
            raise self._bad("rounds", sorted(self.rounds), "measure ours too")
        for contender, rounds in self.rounds.items():
            if not rounds or not all(rounds):
                raise self._bad(f"rounds[{contender!r}]", rounds, "measure a value in each round")
            if not all(isfinite(value) for values in rounds for value in values):
                raise self._bad(f"rounds[{contender!r}]", rounds, "leave out what was not measured")
            if any(value > self._most for values in rounds for value in values):
                raise self._bad("waited", self.waited, "no value is more than what was waited")

    def _bad(self, name: str, value: object, remedy: str) -> BadRowError:
        return BadRowError(self.number, name, value, remedy)

    @property
    def _most(self) -> float:
        return inf if self.waited is None else self.waited

    def in_vain(self, contender: str) -> list[int]:
        """How many values of each round are those of what was waited for, and did not come."""
        rounds = self.rounds.get(contender, [])
        return [sum(value >= self._most for value in values) for values in rounds]

    def is_least(self, value: float) -> bool:
        """Whether a figure is only the least that it was, since it stands for what never came."""
        return value >= self._most

    def by_round(self, contender: str) -> list[float]:
        """The statistic of each round.

        Raises:
            ContenderMissingError: it was not measured.
        """
        if contender not in self.rounds:
            raise ContenderMissingError(self.number, contender, tuple(self.rounds))
        return [_of(self.statistic, values) for values in self.rounds[contender]]

    def overall(self, contender: str) -> float:
        """The median over the rounds of each round's statistic."""
        return median(self.by_round(contender))

    def write(self, *, took_s: float, folder: Path = RESULTS) -> Path:
        """Into `folder`/<number>.json, with the machine, the versions and the commit of now."""
        run = Run(
            machine=machine.machine(),
            versions={"ours": machine.versions(), **self.versions},
            commit=machine.commit(),
            date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            took_s=round(took_s, 1),
        )
        content = asdict(self) | {"run": asdict(run)}
        del content["versions"]
        content["rounds"] = {
            name: [[round(value, DIGITS) for value in values] for values in rounds]
            for name, rounds in self.rounds.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.number}.json"
        path.write_text(_text(content), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "Row":
        """A row that was written.

        Raises:
            BadRowError: it was changed since so that it says nothing.
        """
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        run = Run(**content.pop("run"))
        return cls(**content, run=run)


def read_all(folder: Path = RESULTS) -> dict[str, Row]:
    """Every row that was measured, by number."""
    rows = [Row.read(path) for path in sorted(folder.glob("*.json"))]
    return {row.number: row for row in rows}


def _of(statistic: Statistic, values: list[float]) -> float:
    if statistic == "mean":
        return fmean(values)
    if statistic == "p50":
        return median(values)
    return percentile(sorted(values), int(statistic[1:]) / 100)


def _text(content: Mapping[str, Any]) -> str:
    """JSON for people: a round's values on one line."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return _VALUES.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n"
