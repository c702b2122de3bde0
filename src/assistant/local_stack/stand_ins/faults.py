"""Ordered misbehaviour: what a stand-in is told to do wrong, and when."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assistant.local_stack.stand_ins.errors import FaultClosedError, FaultFailedError

Service = Literal["assemblyai", "cartesia", "deepgram", "groq", "inworld"]

#: What each service counts as one request.
OPERATIONS: dict[Service, tuple[str, ...]] = {
    "assemblyai": ("connect", "turn"),
    "cartesia": ("connect", "context"),
    "deepgram": ("connect", "turn"),
    "groq": ("chat", "models"),
    "inworld": ("connect", "context", "stream", "voices"),
}

#: Orders kept at once; tests need a handful, a runaway script must not fill the memory.
MAX_FAULTS = 256

#: A stall outlasts every client's own time limit, but not a forgotten process.
STALL_LIMIT_S = 600.0


class FaultOrder(BaseModel):
    """One order, as posted to `/control/faults`.

    `service` or `operation` None matches any. With neither `count` (the next n requests) nor
    `for_s` (all requests for a while, in seconds) the order is for one request. `after_chunks`
    pieces of the answer get through first. `match` is text that the request must contain.

    `slow` waits `delay_s`; `fail` answers with `status` in the vendor's shape (on a connection
    that is already open: the vendor's error message); `stall` says nothing more but stays
    connected; `close` cuts the connection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["slow", "fail", "stall", "close"]
    service: Service | None = None
    operation: str | None = None
    status: int = Field(default=500, ge=400, le=599)
    delay_s: float | None = Field(default=None, gt=0, le=STALL_LIMIT_S)
    after_chunks: int = Field(default=0, ge=0)
    count: int | None = Field(default=None, ge=1)
    for_s: float | None = Field(default=None, gt=0, le=86_400)
    match: str | None = Field(default=None, min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = OPERATIONS[self.service] if self.service else sum(OPERATIONS.values(), ())
        if self.operation is not None and self.operation not in known:
            raise ValueError(f"operation must be one of {', '.join(sorted(set(known)))}")
        if (self.kind == "slow") != (self.delay_s is not None):
            raise ValueError("delay_s goes with kind slow, and only with it")
        return self


@dataclass
class _Active:
    fault_id: int
    order: FaultOrder
    left: int | None
    until: float | None


class FaultBoard:
    """The orders in force, oldest first; one request takes at most one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._active: list[_Active] = []

    def add(self, order: FaultOrder) -> int:
        """Put an order in force and return its number; beyond the bound the oldest one goes."""
        once = order.count is None and order.for_s is None
        until = None if order.for_s is None else self._clock() + order.for_s
        active = _Active(next(self._ids), order, 1 if once else order.count, until)
        self._active = [*self._active, active][-MAX_FAULTS:]
        return active.fault_id

    def clear(self) -> None:
        self._active = []

    def list(self) -> list[dict[str, object]]:
        """The orders in force, with `left` (requests) and `left_s`; None is without that limit."""
        self._expire()
        now = self._clock()
        return [
            {
                "id": item.fault_id,
                "order": item.order.model_dump(exclude_none=True),
                "left": item.left,
                "left_s": None if item.until is None else item.until - now,
            }
            for item in self._active
        ]

    def take(self, service: Service, operation: str, text: str = "") -> "FaultPlayer":
        """The fault for one request whose content is `text`; usually one that does nothing."""
        self._expire()
        for item in self._active:
            order = item.order
            if (
                order.service in (None, service)
                and order.operation in (None, operation)
                and (order.match is None or order.match in text)
            ):
                if item.left is not None:
                    item.left -= 1
                self._expire()
                return FaultPlayer(order)
        return FaultPlayer(None)

    def _expire(self) -> None:
        now = self._clock()
        self._active = [
            item
            for item in self._active
            if item.left != 0 and (item.until is None or item.until > now)
        ]


class FaultPlayer:
    """One request's fault, played before each piece of its answer."""

    def __init__(self, order: FaultOrder | None) -> None:
        self._order = order
        self._sent = 0

    async def step(self) -> None:
        """Call before sending each piece.

        Raises:
            FaultFailedError: an error is to be answered instead.
            FaultClosedError: the connection is to be cut.
        """
        sent, self._sent = self._sent, self._sent + 1
        order = self._order
        if order is None or sent < order.after_chunks:
            return
        if order.kind == "fail":
            raise FaultFailedError(order.status)
        if order.kind == "close":
            raise FaultClosedError
        if order.kind == "stall":
            await asyncio.sleep(STALL_LIMIT_S)
            raise FaultClosedError
        if order.delay_s is not None and sent == order.after_chunks:
            await asyncio.sleep(order.delay_s)
