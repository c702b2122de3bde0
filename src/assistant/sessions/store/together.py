"""Calls that come in one moment, made together: one trip to Redis for many requests.

A call made alone goes at once. While several trips are under way, whatever comes waits for the next
one, so that the busier the process is, the more calls share a trip.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from assistant.sessions.errors import StoreUnavailableError

# A script of so many calls holds Redis up for well under a millisecond.
MAX_CALLS = 64
MAX_TRIPS = 4
# As long as one command may take: to wait for a connection, and to be tried twice.
WITHIN_S = 4.1

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class _Waiting(NamedTuple, Generic[Ask, Answer]):
    ask: Ask
    answer: asyncio.Future[Answer]
    until: float


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
        self._leaves: asyncio.Handle | None = None
        self._expires: asyncio.TimerHandle | None = None

    def call(self, ask: Ask) -> "asyncio.Future[Answer]":
        """The answer to come.

        Raises, when awaited:
            StoreUnavailableError: Redis did not answer in time, or refused.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        # Who comes along with others has their time: one look at the clock for all.
        if self._leaves is not None and self._waiting:
            until = self._waiting[-1].until
        else:
            until = loop.time() + self._within_s
        self._waiting.append(_Waiting(ask, answer, until))
        if self._leaves is None and len(self._trips) < MAX_TRIPS:
            # Not yet: whoever is to run in this turn of the loop comes along.
            self._leaves = loop.call_soon(self._leave)
        elif self._expires is None:
            self._expires = loop.call_later(self._within_s, self._expire)
        return answer

    def _leave(self) -> None:
        self._leaves = None
        while self._waiting and len(self._trips) < MAX_TRIPS:
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_CALLS))]
            # Whoever was cancelled meanwhile asks no more.
            asking = [each for each in taken if not each.answer.done()]
            if asking:
                trip = asyncio.get_running_loop().create_task(self._trip(asking), name="trip")
                self._trips.add(trip)
                trip.add_done_callback(self._arrived)

    def _arrived(self, trip: asyncio.Task[None]) -> None:
        self._trips.discard(trip)
        if self._leaves is None:
            self._leave()

    def _expire(self) -> None:
        """Tell those who waited too long for a trip; Redis hangs."""
        loop = asyncio.get_running_loop()
        self._expires = None
        now = loop.time()
        while self._waiting and self._waiting[0].until <= now:
            _tell([self._waiting.popleft()], self._late())
        if self._waiting:
            self._expires = loop.call_at(self._waiting[0].until, self._expire)

    async def _trip(self, asking: Sequence[_Waiting[Ask, Answer]]) -> None:
        try:
            async with asyncio.timeout_at(asking[0].until):
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
