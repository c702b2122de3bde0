"""How many sessions there are, of what kind, and what was counted: read in a few round trips."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from assistant.findings import Finding
from assistant.sessions.record import State
from assistant.sessions.store import keys
from assistant.sessions.store.client import translated
from assistant.sessions.store.server import examine
from assistant.sessions.store.together import Together
from assistant.sessions.tally import bucket_field

MINUTE_S = 60
_JOINED = bucket_field("start", "")
# Reading a day's minutes takes turns with everything else that this process does.
MINUTES_AT_ONCE = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Sessions of this moment. `agents`: those that are not over, by agent; none is 0."""

    statuses: dict[State, int]
    agents: dict[str, int]
    slots: int
    waiting: int
    #: How long the slots that were freed last had been held, the latest first.
    holds_s: list[float]
    #: Attempts to deliver a webhook that came to something, good or bad.
    deliveries: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """The Redis server itself; None: it does not say."""

    latency_s: float
    used_memory_bytes: int | None
    connected_clients: int | None
    version: str | None


class SessionFigures:
    """Each method costs the same however many sessions are stored. Raise StoreUnavailableError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._holds: Together[None, list[float]] = Together(self._look_at_holds)

    async def counts(self) -> Counts:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.smembers(f"{keys.SESSIONS}:agents")
                pipe.zcard(keys.SLOTS)
                pipe.zcard(keys.QUEUE)
                pipe.lrange(keys.HOLDS, 0, -1)
                pipe.get(keys.DELIVERIES)
                for state in State:
                    pipe.zcard(keys.sessions_by("status", state))
                names, slots, waiting, holds, deliveries, *statuses = await pipe.execute()
            agents: dict[str, int] = {}
            if names:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for name in sorted(names):
                        pipe.zcard(keys.sessions_by("live", name))
                    agents = dict(zip(sorted(names), await pipe.execute(), strict=True))
        return Counts(
            statuses=dict(zip(State, statuses, strict=True)),
            agents={name: count for name, count in agents.items() if count},
            slots=slots,
            waiting=waiting,
            holds_s=[float(text) for text in holds],
            deliveries=int(deliveries or 0),
        )

    async def totals(self) -> dict[str, float]:
        """What was counted so far; the names are those of tally.py."""
        with translated():
            stored = cast("dict[str, str]", await self._redis.hgetall(keys.TOTALS))
        return {name: float(text) for name, text in stored.items()}

    async def minutes(self, first: int, count: int) -> list[dict[str, float]]:
        """What was counted in each of `count` minutes, from the `first` one since 1970 on.

        The names are those of tally.py, and `slots` and `waiting` as count.lua notes them. A
        minute in which nothing happened, or that is not kept any more, is empty.
        """
        found: list[dict[str, float]] = []
        for begin in range(first, first + count, MINUTES_AT_ONCE):
            with translated():
                async with self._redis.pipeline(transaction=False) as pipe:
                    for n in range(begin, min(begin + MINUTES_AT_ONCE, first + count)):
                        pipe.hgetall(keys.minute(n * MINUTE_S))
                    rows = cast("list[dict[str, str]]", await pipe.execute())
            found += [{name: float(text) for name, text in row.items()} for row in rows]
        return found

    async def joined(self, since: float, now: float) -> int:
        """How many sessions got their first agent in the whole minutes between, of an hour at most.

        `since` and `now` are Unix seconds.
        """
        first = max(int(since // MINUTE_S) + 1, int(now // MINUTE_S) - 60)
        minutes = await self.minutes(first, max(int(now // MINUTE_S) - first, 0))
        return sum(
            int(amount)
            for minute in minutes
            for name, amount in minute.items()
            if name.startswith(_JOINED) and not name.endswith("sum")
        )

    async def holds_s(self) -> list[float]:
        """How long the slots that were freed last had been held, the latest first."""
        return await self._holds.call(None)

    async def _look_at_holds(self, asked: Sequence[None]) -> list[list[float]]:
        with translated():
            stored = cast("list[str]", await self._redis.lrange(keys.HOLDS, 0, -1))
        return [[float(text) for text in stored]] * len(asked)

    async def examine(self) -> list[Finding]:
        """Whether the Redis server is one that keeps what it is told."""
        latency_s, info = await self._info()
        return list(examine(info, latency_s))

    async def server(self) -> Server:
        latency_s, info = await self._info()
        return Server(
            latency_s=latency_s,
            used_memory_bytes=info.get("used_memory"),
            connected_clients=info.get("connected_clients"),
            version=info.get("valkey_version") or info.get("redis_version"),
        )

    async def _info(self) -> tuple[float, dict[str, Any]]:
        """How long a PING took, and what INFO says."""
        with translated():
            asked_at = time.monotonic()
            await self._redis.ping()
            latency_s = time.monotonic() - asked_at
            return latency_s, await self._redis.info()
