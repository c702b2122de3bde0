"""Calls that come in one moment share a trip to Redis."""

import asyncio
from collections.abc import Sequence

import pytest

from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.together import MANY_CALLS, MAX_CALLS, MAX_TRIPS, Together
from tests.timing import scaled


class Trips:
    """What was asked together; with `held`, each trip waits until that is set."""

    def __init__(self, *, held: asyncio.Event | None = None) -> None:
        self.made: list[list[int]] = []
        self._held = held

    async def __call__(self, asked: Sequence[int]) -> list[int]:
        self.made.append(list(asked))
        if self._held is not None:
            await self._held.wait()
        return [10 * ask for ask in asked]


async def test_a_moment_is_a_trip() -> None:
    """Whoever asks in the same turn of the loop is answered by one trip, each with its own."""
    trips = Trips()
    together = Together(trips)

    async def ask(n: int) -> int:
        return await together.call(n)

    assert await asyncio.gather(*map(ask, range(5))) == [0, 10, 20, 30, 40]
    assert await ask(7) == 70
    assert trips.made == [[0, 1, 2, 3, 4], [7]]


async def turn() -> None:
    """Whoever may set off now has done so."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_who_comes_during_a_trip_shares_the_next() -> None:
    """However many turns of the loop they come in; but many do not wait for its return."""
    held = asyncio.Event()
    trips = Trips(held=held)
    together = Together(trips)
    answers = [together.call(0)]
    await turn()
    for n in range(1, MANY_CALLS):
        answers.append(together.call(n))
        await turn()
    assert trips.made == [[0]]
    answers.append(together.call(MANY_CALLS))
    await turn()
    assert trips.made == [[0], [*range(1, MANY_CALLS + 1)]]
    answers += [together.call(n) for n in (100, 101)]
    await turn()
    assert len(trips.made) == 2
    held.set()
    await asyncio.gather(*answers)
    assert trips.made[2:] == [[100, 101]]


async def test_nobody_waits_long_for_a_trip_that_hangs() -> None:
    """After a while others set off without it, and then wait for each other, not for it."""
    hangs, held = asyncio.Event(), asyncio.Event()
    made: list[list[int]] = []

    async def trip(asked: Sequence[int]) -> list[int]:
        made.append(list(asked))
        await (hangs if asked[0] == 0 else held).wait()
        return list(asked)

    together = Together(trip)
    first = together.call(0)
    await turn()
    answers = [together.call(1)]
    async with asyncio.timeout(scaled(5)):
        while len(made) < 2:
            await turn()
    answers.append(together.call(2))
    await turn()
    assert made == [[0], [1]]
    held.set()
    assert await asyncio.gather(*answers) == [1, 2]
    assert await together.call(3) == 3
    assert made == [[0], [1], [2], [3]]
    assert not first.done()
    hangs.set()
    assert await first == 0


async def test_bounds() -> None:
    """A trip has so many calls, and so many trips are under way; the rest wait, and share one."""
    held = asyncio.Event()
    trips = Trips(held=held)
    together = Together(trips)
    answers = []
    for n in range(MAX_TRIPS + 1):
        answers += [together.call(100 * n + i) for i in range(MAX_CALLS)]
        await turn()
    assert [len(each) for each in trips.made] == [MAX_CALLS] * MAX_TRIPS
    many = [together.call(n) for n in range(3)]
    held.set()
    assert await asyncio.gather(*many) == [0, 10, 20]
    assert await asyncio.gather(*answers) == [
        10 * (100 * n + i) for n in range(MAX_TRIPS + 1) for i in range(MAX_CALLS)
    ]
    assert [len(each) for each in trips.made[MAX_TRIPS:]] == [MAX_CALLS, 3]


async def test_who_is_cancelled_asks_no_more() -> None:
    """A caller that is gone before its trip is left out, and takes nobody else's answer."""
    trips = Trips()
    together = Together(trips)
    gone, stays = together.call(1), together.call(2)
    gone.cancel()
    assert await stays == 20
    assert trips.made == [[2]]


async def test_a_failed_trip_fails_each_of_its_callers() -> None:
    """Each gets an error of its own, since errors collect where they were raised."""

    async def fails(asked: Sequence[int]) -> list[int]:
        raise StoreUnavailableError(f"away for {len(asked)}")

    together = Together(fails)
    first, second = await asyncio.gather(together.call(1), together.call(2), return_exceptions=True)
    assert isinstance(first, StoreUnavailableError)
    assert isinstance(second, StoreUnavailableError)
    assert str(first) == str(second) == "away for 2"
    assert first is not second


async def test_nobody_waits_longer_than_told() -> None:
    """With Redis hanging, callers under way and callers that wait for a trip are told in time."""
    held = asyncio.Event()
    trips = Trips(held=held)
    together = Together(trips, within_s=0.05)
    answers = []
    for _ in range(MAX_TRIPS + 1):
        answers += [together.call(n) for n in range(MAX_CALLS)]
        await turn()
    answers.append(together.call(1))
    assert len(trips.made) == MAX_TRIPS
    for answer in answers:
        with pytest.raises(StoreUnavailableError, match=r"within 0\.05 s"):
            await answer
    held.set()
    assert await together.call(9) == 90
