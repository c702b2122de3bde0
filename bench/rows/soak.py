"""500 short sessions of ours: what the worker's memory becomes, and what is left over.

Callers come into a few rooms at a time, hear the greeting and leave. Memory is read while nothing
goes on: after the first sessions, which bring into memory what is kept for good, and in the end,
several times each. Left over is what nobody needs once all sessions are over: processes that were
not there before, rooms, keys that hold a session or never expire.
"""

import asyncio
from collections.abc import Iterator, Sequence

from bench.errors import UnansweredError
from bench.peers.contenders import contenders
from bench.peers.footprint import memory_mb, processes
from bench.peers.light import LightCaller
from bench.peers.ours import Ours
from bench.peers.peer import Peer
from bench.results import Row
from tests.acceptance.census import Census, census_of
from tests.acceptance.system import System

from assistant.rehearsal.errors import WaitTimedOutError
from assistant.rehearsal.speech import Speech, speak

NUMBERS = ("7", "7-left")
SESSIONS = 500
FIRST = 20
#: Callers at once, of the three that find a warm process.
LANES = 3
READINGS = 3
BETWEEN_S = 3.0
#: Of all sessions; their callers went without hearing anything.
MAX_UNANSWERED = 0.01
SETTLED_WITHIN_S = 60.0


class Lanes:
    """Callers one after another, on a few lanes; `silent` counts those that heard nothing."""

    def __init__(self, peer: Peer, speech: Speech) -> None:
        self.silent = 0
        self._peer = peer
        self._speech = speech

    async def call(self, sessions: int) -> None:
        numbers = iter(range(sessions))
        await asyncio.gather(*(self._lane(numbers) for _ in range(LANES)))

    async def _lane(self, numbers: Iterator[int]) -> None:
        for _ in numbers:
            caller = LightCaller(self._peer, await self._peer.room(), self._speech, offset_s=0.0)
            try:
                await caller.enter()
            except WaitTimedOutError:
                self.silent += 1
            finally:
                await caller.leave()


async def readings(peer: Peer) -> list[list[float]]:
    """The idle worker's memory, a few times."""
    await peer.warm()
    found = []
    for _ in range(READINGS):
        await asyncio.sleep(BETWEEN_S)
        found.append([memory_mb(peer)])
    return found


async def left_over(peer: Peer, census: Census, before: int) -> int:
    """Processes, rooms and keys too many, once they had time to go."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + SETTLED_WITHIN_S
    while (left := await census.leftovers()) and loop.time() < give_up_at:  # noqa: ASYNC110
        await asyncio.sleep(BETWEEN_S)
    for each in left:
        print(f"left over: {each}")
    return len(left) + max(len(processes(peer)) - before, 0)


def rows(start: list[list[float]], end: list[list[float]], left: int, silent: int) -> Sequence[Row]:
    return [
        Row(
            number="7",
            title="500 sessions one after another: the worker's memory",
            unit="MB",
            better="lower",
            statistic="mean",
            rounds={"ours at end": end, "ours at start": start},
            note=f"PSS of the idle worker's tree after {FIRST} sessions and after {SESSIONS} more, "
            f"{READINGS} readings each; {LANES} sessions at a time. Callers who heard nothing: "
            f"{silent}.",
        ),
        Row(
            number="7-left",
            title="500 sessions one after another: processes and keys left over",
            unit="",
            better="lower",
            statistic="mean",
            rounds={"ours": [[float(left)]]},
            note="Processes of the worker, rooms, held slots, keys that never expire.",
        ),
    ]


async def measure(rounds: int) -> list[Row]:
    """`rounds` changes nothing: there are 500 sessions, once."""
    del rounds
    speech = await speak("Hello.")
    async with contenders([Ours]) as (ours,):
        if not isinstance(ours, Ours):
            raise TypeError(type(ours).__name__)
        system = System(
            ours.stage.supervisor,
            {"LIVEKIT_URL": ours.stage.livekit_url, "REDIS_URL": ours.redis_url},
            {"service": ours.stage.service_port},
            ours.stage.servers.keys,
        )
        lanes = Lanes(ours, speech)
        async with census_of(system) as census:
            await lanes.call(FIRST)
            start = await readings(ours)
            before = len(processes(ours))
            await lanes.call(SESSIONS)
            if lanes.silent > MAX_UNANSWERED * SESSIONS:
                raise UnansweredError(ours.name, lanes.silent, SESSIONS)
            end = await readings(ours)
            return list(rows(start, end, await left_over(ours, census, before), lanes.silent))
