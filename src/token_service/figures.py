"""`GET /api/figures`: what happened lately, in steps of time."""

import asyncio
import re
import time
from collections.abc import Callable

from pydantic import Field
from starlette.requests import Request

from assistant.sessions.minutes import Point, Spread, points
from assistant.sessions.store.figures import MINUTE_S, SessionFigures
from token_service.answers import Answer
from token_service.errors import QueryInvalidError
from token_service.routes.query import check_names

PARAMETERS = ("window", "step")
DEFAULT_WINDOW_S, DEFAULT_STEP_S = 3600, 60
MAX_WINDOW_S = 86_400
_SECONDS = re.compile(r"[0-9]{1,6}")


class SpreadAnswer(Answer):
    """Percentiles in seconds, estimated within the buckets of a histogram; null: there was none."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None


class FiguresPoint(Answer):
    """One step of time."""

    at: float
    """When it begins; the last step is still under way."""
    started: int
    """Sessions that asked for an agent."""
    active: int
    """Sessions that got their first agent."""
    ended: int
    """Sessions that ended; those that failed are not among them."""
    over: dict[str, int]
    """The ended ones by reason."""
    failed: dict[str, int]
    """The failed ones by reason."""
    turns: int
    interrupted: int
    """Turns that the user interrupted."""
    slots: int
    """Slots in use at the step's end."""
    waiting: int
    """Sessions in the queue at the step's end."""
    joining: SpreadAnswer
    """From the start until an agent was first in the room."""
    latencies: dict[str, SpreadAnswer]
    """Of turns: `e2e_latency`, `end_of_turn_delay`, `transcription_delay`, `llm_ttft`, `tts_ttfb`;
    those that were measured."""
    cost: float | None
    """What was used in this step cost, as far as it has a price, in `currency`."""


class FiguresAnswer(Answer):
    begin: float = Field(alias="from")
    """When the first step begins."""
    to: float
    """Now."""
    step: int
    """Seconds of each step."""
    currency: str | None
    """Of the costs; null: nothing had a price, or there were several currencies."""
    points: list[FiguresPoint]
    """Oldest first."""


class Figures:
    """Methods raise StoreUnavailableError."""

    def __init__(self, figures: SessionFigures, *, clock: Callable[[], float] = time.time) -> None:
        self._figures = figures
        self._clock = clock

    async def lately(self, window_s: int, step_s: int) -> FiguresAnswer:
        """The last `window_s` in steps that begin at multiples of `step_s`."""
        now = self._clock()
        first_at = int(now // step_s + 1) * step_s - window_s
        minutes = await self._figures.minutes(
            first_at // MINUTE_S, int(now // MINUTE_S) - first_at // MINUTE_S + 1
        )
        counts = await self._figures.counts()
        # A day's takes a tenth of a second, in which requests go on.
        found = await asyncio.to_thread(
            points,
            minutes,
            first_at=first_at,
            step=step_s // MINUTE_S,
            slots=counts.slots,
            waiting=counts.waiting,
        )
        currencies = {currency for point in found for currency in point.cost}
        currency = currencies.pop() if len(currencies) == 1 else None
        return FiguresAnswer(
            begin=first_at,
            to=now,
            step=step_s,
            currency=currency,
            points=[_point(point, currency) for point in found],
        )


def _point(point: Point, currency: str | None) -> FiguresPoint:
    return FiguresPoint(
        at=point.at,
        started=point.started,
        active=point.active,
        ended=sum(point.ended.values()),
        over=point.ended,
        failed=point.failed,
        turns=point.turns,
        interrupted=point.interrupted,
        slots=point.slots,
        waiting=point.waiting,
        joining=_spread(point.joining),
        latencies={
            name.removesuffix("_s"): _spread(spread)
            for name, spread in point.latencies.items()
            if spread.count
        },
        cost=None if currency is None else round(point.cost.get(currency, 0.0), 6),
    )


def _spread(spread: Spread) -> SpreadAnswer:
    return SpreadAnswer(count=spread.count, p50=spread.p50, p90=spread.p90, p99=spread.p99)


def span_of(request: Request) -> tuple[int, int]:
    """The window and the step that the query asks for, in seconds.

    Raises:
        QueryInvalidError: names the parameter that is wrong.
    """
    check_names(request, PARAMETERS)
    step_s = _seconds(request, "step", DEFAULT_STEP_S)
    if step_s % MINUTE_S or not MINUTE_S <= step_s <= MAX_WINDOW_S:
        raise QueryInvalidError("step", "must be whole minutes, in seconds: 60, 300, ...")
    window_s = _seconds(request, "window", DEFAULT_WINDOW_S)
    if window_s % step_s or not step_s <= window_s <= MAX_WINDOW_S:
        raise QueryInvalidError(
            "window", f"must be a whole number of steps, in seconds, and at most {MAX_WINDOW_S}"
        )
    return window_s, step_s


def _seconds(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not _SECONDS.fullmatch(text):
        raise QueryInvalidError(name, "must be a whole number of seconds")
    return int(text)
