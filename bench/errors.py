"""What can be wrong with a row or with what is asked of the suite."""

from dataclasses import dataclass


class BenchError(Exception):
    """Base of the suite's errors."""


@dataclass
class BadRowError(BenchError):
    """A row that says nothing: `field` holds `value`."""

    number: str
    field: str
    value: object
    remedy: str

    def __str__(self) -> str:
        return f"row {self.number}: {self.field} is {self.value!r}; {self.remedy}"


@dataclass
class ContenderMissingError(BenchError):
    """A comparison with somebody who was not measured."""

    number: str
    contender: str
    measured: tuple[str, ...]

    def __str__(self) -> str:
        measured = ", ".join(self.measured)
        return f"row {self.number} has no contender {self.contender!r}; it has {measured}"


@dataclass
class UnknownRowError(BenchError):
    """A row that no module measures."""

    number: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"there is no row {self.number!r}; there are {', '.join(self.known)}"


@dataclass
class NothingCameError(BenchError):
    """A contender none of whose starts brought an agent, so that nothing was measured of it."""

    contender: str
    starts: int
    waited_s: float

    def __str__(self) -> str:
        return (
            f"{self.contender} brought an agent to none of {self.starts} callers, who waited "
            f"{self.waited_s:g} s each"
        )


@dataclass
class UnansweredError(BenchError):
    """A contender that left questions without an answer, whose figures are no conversations'."""

    contender: str
    unanswered: int
    asked: int

    def __str__(self) -> str:
        return f"{self.contender} left {self.unanswered} of {self.asked} questions unanswered"
