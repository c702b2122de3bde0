"""Calls that come in one moment, made together: one trip to Redis for many requests.

A call made alone goes at once. While a trip is under way, whatever comes waits for its return, so
that the busier the process is, the more calls share a trip; many do not wait, and nobody waits long
for a trip that hangs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from assistant.sessions.errors import StoreUnavailableError

# A script of so many calls holds Redis up for well under a millisecond.
MAX_CALLS = 64
MAX_TRIPS = 4
# So many share one well enough; more would wait for the slowest part of it.
MANY_CALLS = 32
# Several times what a trip takes; from then on one may hang that others need not wait for.
PATIENCE_S = 0.02
# As long as one command may take: to wait for a connection, and to be tried twice.
WITHIN_S = 4.1

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class _Waiting(NamedTuple, Generic[Ask, Answer]):
    ask: Ask
    answer: asyncio.Future[Answer]
    since: float


class Together(Generic[Ask, Answer]):
    """`make` makes up to MAX_CALLS calls in one trip, and answers in their order.

    `within_s`: how long a caller waits. `make` may raise StoreUnavailableError, for all of them.
    """

    def __init__(
        self,
        make: Callable[[Sequence[Ask]], Awaitable[Sequence[Answer]]],
        *,
        within_s: float = WITHIN_S,
    ) -> None:
        self._make = make
        self._within_s = within_s
        self._waiting: deque[_Waiting[Ask, Answer]] = deque()
        self._trips: set[asyncio.Task[None]] = set()
        #: Those that nobody waits for any more to set off.
        self._slow: set[asyncio.Task[None]] = set()
        self._leaves: asyncio.Handle | None = None
        self._looks: asyncio.TimerHandle | None = None

    def call(self, ask: Ask) -> "asyncio.Future[Answer]":
        """The answer to come.

        Raises, when awaited:
            StoreUnavailableError: Redis did not answer in time, or refused.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        # Who comes along with others has their time: one look at the clock for all.
        if self._leaves is not None and self._waiting:
            since = self._waiting[-1].since
        else:
            since = loop.time()
        self._waiting.append(_Waiting(ask, answer, since))
        if self._leaves is not None:
            return answer
        if self._may_leave():
            # Not yet: whoever is to run in this turn of the loop comes along.
            self._leaves = loop.call_soon(self._leave)
        elif self._looks is None:
            self._looks = loop.call_later(min(PATIENCE_S, self._within_s), self._look)
        return answer

    def _may_leave(self) -> bool:
        if len(self._trips) + len(self._slow) >= MAX_TRIPS:
            return False
        return not self._trips or len(self._waiting) >= MANY_CALLS

    def _leave(self) -> None:
        self._leaves = None
        while self._waiting and self._may_leave():
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_CALLS))]
            # Whoever was cancelled meanwhile asks no more.
            asking = [each for each in taken if not each.answer.done()]
            if asking:
                trip = asyncio.get_running_loop().create_task(self._trip(asking), name="trip")
                self._trips.add(trip)
                trip.add_done_callback(self._arrived)

    def _arrived(self, trip: asyncio.Task[None]) -> None:
        self._trips.discard(trip)
        self._slow.discard(trip)
        if self._leaves is None:
            self._leave()

    def _look(self) -> None:
        """See to those who have waited for a trip: it may be slow, or Redis hangs."""
        loop = asyncio.get_running_loop()
        self._looks = None
        now = loop.time()
        while self._waiting and self._waiting[0].since + self._within_s <= now:
            _tell([self._waiting.popleft()], self._late())
        if self._waiting and self._waiting[0].since + PATIENCE_S <= now:
            # All under way have set off before this one came.
            self._slow |= self._trips
            self._trips.clear()
            self._leave()
        if self._waiting:
            self._looks = loop.call_later(min(PATIENCE_S, self._within_s), self._look)

    async def _trip(self, asking: Sequence[_Waiting[Ask, Answer]]) -> None:
        try:
            async with asyncio.timeout_at(asking[0].since + self._within_s):
                answers = await self._make([each.ask for each in asking])
        except TimeoutError:
            _tell(asking, self._late())
        except StoreUnavailableError as error:
            _tell(asking, error)
        except asyncio.CancelledError:
            for each in asking:
                each.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is theirs who asked
            _tell(asking, error)
        else:
            for each, answer in zip(asking, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)

    def _late(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"no answer within {self._within_s:g} s")


def _tell(asking: Sequence[_Waiting[Ask, Answer]], error: Exception) -> None:
    for each in asking:
        if not each.answer.done():
            # Each its own: exceptions collect the places they were raised at.
            own = StoreUnavailableError(*error.args)
            each.answer.set_exception(own if isinstance(error, StoreUnavailableError) else error)
