"""What the product wants to reach against its peers, as data. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A limit for ours, or for a variant of it.

    `how` "ratio": ours / peer; "difference": ours - peer, in the row's unit; "own": ours alone.
    Whether the limit is the most or the least follows from what is `better` in the row.
    """

    limit: float
    peer: str = ""
    how: Literal["ratio", "difference", "own"] = "ratio"
    ours: str = "ours"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A row of the table: all bars of `goal` are wanted, all of `moonshot` hoped for."""

    number: str
    what: str
    unit: str
    goal: tuple[Bar, ...]
    moonshot: tuple[Bar, ...] = ()
    better: Literal["lower", "higher"] = "lower"


def _against(limit: float, *peers: str) -> tuple[Bar, ...]:
    return tuple(Bar(limit=limit, peer=peer) for peer in peers)


def _own(limit: float) -> tuple[Bar, ...]:
    return (Bar(limit=limit, how="own"),)


def _growth(limit: float, many: str, few: str) -> tuple[Bar, ...]:
    return (Bar(limit=limit, ours=f"ours at {many}", peer=f"ours at {few}"),)


GOALS = (
    Goal(
        number="1",
        what="dispatch call (ours, S: start request) → agent seen by the caller, p50",
        unit="s",
        goal=(*_against(1.2, "F"), *_against(0.18, "S cold")),
        moonshot=(*_against(1.05, "F"), *_against(1.0, "O")),
    ),
    Goal(
        number="1b",
        what="start request over HTTP → first greeting audio heard, p50",
        unit="s",
        goal=_against(0.7, "D"),
        moonshot=(Bar(limit=0.1, peer="F", how="difference"),),
    ),
    Goal(
        number="1c",
        what="burst of 8 starts → agent seen by its caller, p95",
        unit="s",
        goal=_against(0.75, "D"),
        moonshot=_against(1.1, "F"),
    ),
    Goal(
        number="1d",
        what="click on the page → greeting audible, p50",
        unit="s",
        goal=_against(0.6, "one after the other"),
    ),
    Goal(
        number="1d-wait",
        what="caller connected → agent there, p50; below 0 the agent was there first",
        unit="s",
        goal=(),
        moonshot=_own(0.0),
    ),
    Goal(
        number="2",
        what="memory (PSS) per added session with a talking caller",
        unit="MB",
        goal=(*_against(0.7, "D"), *_against(0.3, "S pool")),
        moonshot=_against(0.4, "D"),
    ),
    Goal(
        number="2b",
        what="memory (PSS) of an idle worker with its warm pool",
        unit="MB",
        goal=_against(0.7, "D"),
        moonshot=_against(0.5, "D"),
    ),
    Goal(
        number="3",
        what="CPU-seconds per session-minute",
        unit="CPU-s",
        goal=_against(0.85, "D"),
        moonshot=(*_against(0.7, "D"), *_against(0.9, "O")),
    ),
    Goal(
        number="3b",
        what="sessions per core: all answered, turn p95 ≤ 1.25 of alone",
        unit="sessions",
        better="higher",
        goal=_against(1.2, "D"),
        moonshot=_against(1.5, "D"),
    ),
    Goal(
        number="4",
        what="`POST /api/token`, requests per second",
        unit="requests/s",
        better="higher",
        goal=_against(0.6, "bare"),
        moonshot=(*_against(0.75, "bare"), *_against(2.0, "fastapi")),
    ),
    Goal(
        number="4b",
        what="`POST /api/session/start`, durable, requests per second in one process",
        unit="requests/s",
        better="higher",
        goal=_own(300),
        moonshot=_own(1000),
    ),
    Goal(
        number="5",
        what="end of speech → reply heard, less the providers' delays, p50",
        unit="s",
        goal=_against(0.6, "D"),
        moonshot=_against(1.3, "E"),
    ),
    Goal(
        number="5b",
        what="interruption → silence at the caller's ear, p50",
        unit="s",
        goal=_against(0.8, "D"),
        moonshot=_against(0.5, "D"),
    ),
    Goal(
        number="6-cpu",
        what="growth: CPU per session at 8 sessions against 1",
        unit="CPU-s",
        goal=_growth(1.15, "8", "1"),
        moonshot=_growth(1.05, "8", "1"),
    ),
    Goal(
        number="6-memory",
        what="growth: memory per session at 8 sessions against 1",
        unit="MB",
        goal=_growth(1.15, "8", "1"),
        moonshot=_growth(1.05, "8", "1"),
    ),
    Goal(
        number="6-api",
        what="growth: the API's p99 with 10,000 stored sessions against 10",
        unit="s",
        goal=_growth(1.15, "10000", "10"),
        moonshot=_growth(1.05, "10000", "10"),
    ),
    Goal(
        number="7",
        what="500 sessions one after another: the worker's memory after against before",
        unit="MB",
        goal=_growth(1.03, "end", "start"),
        moonshot=_growth(1.01, "end", "start"),
    ),
    Goal(
        number="7-left",
        what="500 sessions one after another: processes and keys left over",
        unit="",
        goal=_own(0),
        moonshot=_own(0),
    ),
)
BY_NUMBER = {goal.number: goal for goal in GOALS}
