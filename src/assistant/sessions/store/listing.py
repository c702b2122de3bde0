"""The stored sessions, newest first, a page at a time, from the index that save.lua keeps."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis.asyncio import Redis

from assistant.sessions.record import State
from assistant.sessions.store import keys
from assistant.sessions.store.client import translated
from assistant.sessions.store.index import user_label

MAX_BATCH = 250  # sessions looked at in one round trip
# Looked at for one page; where a filter finds nothing among so many, the page ends early.
MAX_SCANNED = 2000
# Of a search, which reads few of the records that it passes.
SEARCH_BATCH = 2000
MAX_SEARCHED = 20_000

_FIELDS = (
    "userId",
    "status",
    "reason",
    "agent",
    "talking",
    "attempt",
    "createdAt",
    "queuedAt",
    "activeAt",
    "endedAt",
)

#: A place in the order: when a session was created (Unix s), then its id. Pages go downwards.
Place = tuple[float, str]
_Row = dict[str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is listed; None or empty: any. Times are Unix seconds, and exclusive."""

    statuses: frozenset[State] = frozenset()
    agent: str | None = None
    user_id: str | None = None
    #: How the session's id begins, or the whole user id.
    search: str | None = None
    created_after: float | None = None
    created_before: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A session in a list. Times are Unix seconds; None: it has not happened."""

    id: str
    user_id: str
    status: State
    reason: str | None
    #: Whom it was started with, and whom the conversation was given to since; None: to nobody.
    agent: str
    talking: str | None
    attempt: int
    created_at: float
    queued_at: float | None
    active_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """`next`: where the next page begins; None: there is nothing more."""

    entries: list[Entry]
    next: Place | None


class SessionListing:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def page(self, wanted: Wanted, *, limit: int, after: Place | None = None) -> Page:
        """Up to `limit` sessions that come after `after` (None: from the newest).

        A page may be shorter than `limit`, even empty, though there is a next one.
        """
        entries: list[Entry] = []
        scanned, batch = 0, limit + 1  # one more than asked for, to know whether there is more
        most, next_batch = MAX_SCANNED, MAX_BATCH
        if wanted.search is not None:
            most, next_batch = MAX_SEARCHED, SEARCH_BATCH
        with translated():
            indexes = await self._narrowest(wanted)
            while scanned < most:
                places = await self._places(indexes, wanted, after, batch)
                rows = await self._rows(await self._sought(places, wanted.search))
                for place in places:
                    if len(entries) == limit:
                        return Page(entries, after)
                    after = place
                    entry = _entry(place[1], rows.get(place[1]))
                    if entry is not None and _fits(entry, wanted):
                        entries.append(entry)
                if len(places) < batch:
                    return Page(entries, None)
                scanned, batch = scanned + batch, next_batch
        return Page(entries, after)

    async def _narrowest(self, wanted: Wanted) -> list[str]:
        """The indexes that have every session that is wanted, and the fewest others."""
        choices = [[keys.SESSIONS]]
        if wanted.statuses:
            choices.append([keys.sessions_by("status", s) for s in sorted(wanted.statuses)])
        if wanted.agent is not None:
            choices.append([keys.sessions_by("agent", wanted.agent)])
        if wanted.user_id is not None:
            choices.append([keys.sessions_by("user", user_label(wanted.user_id))])
        if len(choices) <= 2:  # the one filter that there is
            return choices[-1]
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in (key for choice in choices for key in choice):
                pipe.zcard(key)
            sizes = iter(cast("list[int]", await pipe.execute()))
        return min(choices, key=lambda choice: sum(islice(sizes, len(choice))))

    async def _places(
        self, indexes: list[str], wanted: Wanted, after: Place | None, count: int
    ) -> list[Place]:
        """The next `count` places of all these indexes, in order."""
        found = [await self._places_of(key, wanted, after, count) for key in indexes]
        return list(islice(_without_repeats(heapq.merge(*found, reverse=True)), count))

    async def _places_of(
        self, key: str, wanted: Wanted, after: Place | None, count: int
    ) -> list[Place]:
        top: str | float = "+inf"
        if wanted.created_before is not None:
            top = f"({wanted.created_before!r}"
        if after is not None and (
            wanted.created_before is None or after[0] < wanted.created_before
        ):
            top = after[0]
        bottom = "-inf" if wanted.created_after is None else f"({wanted.created_after!r}"
        found: list[Place] = []
        first = 0
        while len(found) < count:
            rows = cast(
                "list[tuple[str, float]]",
                await self._redis.zrevrangebyscore(
                    key, top, bottom, start=first, num=count, withscores=True
                ),
            )
            # Sessions of the very same moment may lie on both sides of the place.
            places = [(at, session_id) for session_id, at in rows]
            found += [place for place in places if after is None or place < after]
            first += len(rows)
            if len(rows) < count:
                break
        return found[:count]

    async def _sought(self, places: list[Place], search: str | None) -> list[str]:
        """The ids of these places, of which a search needs few to be looked at."""
        ids = [session_id for _, session_id in places]
        if search is None or not ids:
            return ids
        index = keys.sessions_by("user", user_label(search))
        theirs = await self._redis.zmscore(index, ids)
        return [
            session_id
            for session_id, at in zip(ids, theirs, strict=True)
            if at is not None or session_id.startswith(search)
        ]

    async def _rows(self, session_ids: list[str]) -> dict[str, _Row]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for session_id in session_ids:
                pipe.hmget(keys.session(session_id), _FIELDS)
            rows = cast("list[list[str | None]]", await pipe.execute())
        found = zip(session_ids, rows, strict=True)
        return {one: dict(zip(_FIELDS, row, strict=True)) for one, row in found}


def _without_repeats(places: Iterator[Place]) -> Iterator[Place]:
    """A session whose status changes while it is read may be found under both."""
    before = None
    for place in places:
        if place != before:
            yield place
        before = place


def _entry(session_id: str, row: _Row | None) -> Entry | None:
    """None: it is not sought, its record has expired, or it is not one of ours."""
    if row is None:
        return None
    user_id, agent, created_at = row["userId"], row["agent"], _time(row["createdAt"])
    if user_id is None or agent is None or created_at is None or row["status"] not in set(State):
        return None
    return Entry(
        id=session_id,
        user_id=user_id,
        status=State(row["status"]),
        reason=row["reason"],
        agent=agent,
        talking=row["talking"],
        attempt=int(row["attempt"] or 0),
        created_at=created_at,
        queued_at=_time(row["queuedAt"]),
        active_at=_time(row["activeAt"]),
        ended_at=_time(row["endedAt"]),
    )


def _time(text: str | None) -> float | None:
    return None if text is None else float(text)


def _fits(entry: Entry, wanted: Wanted) -> bool:
    return (
        (not wanted.statuses or entry.status in wanted.statuses)
        and wanted.agent in {None, entry.agent}
        and wanted.user_id in {None, entry.user_id}
        and (
            wanted.search is None
            or entry.id.startswith(wanted.search)
            or entry.user_id == wanted.search
        )
    )
