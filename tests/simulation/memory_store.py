"""The session store without Redis: what the Lua scripts do, in Python.

The rest is the real store's code. A stateful test drives this and the real one with the same
steps, so the two cannot come apart.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from assistant.sessions import events as ev
from assistant.sessions import lifecycle
from assistant.sessions.errors import SessionNotFoundError
from assistant.sessions.metadata import Assignment
from assistant.sessions.record import Session, State
from assistant.sessions.store.queue import CLAIM_S, RENEW_AFTER_S, DueQueue
from assistant.sessions.store.records import Bounds, Carrier, SessionStore
from assistant.sessions.store.standby import StandbyStore
from assistant.sessions.store.workers import Beat, Heard, WorkerRegistry

# Redis keeps the queue's scores with six places; two that come together differ by this much.
QUEUE_STEP = 0.00001


async def _at_once() -> None:
    """A Redis that answers at once, always."""


@dataclass
class Memory:
    """What Redis holds."""

    records: dict[str, Session] = field(default_factory=dict)
    timelines: dict[str, list[ev.Event]] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    slots: dict[str, float] = field(default_factory=dict)
    queue: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Future[None] | None = None

    def waiting(self) -> list[str]:
        return sorted(self.queue, key=lambda session_id: (self.queue[session_id], session_id))

    def holding(self) -> list[str]:
        return sorted(self.slots, key=lambda session_id: (self.slots[session_id], session_id))

    def set_due(self, session_id: str, at: float) -> None:
        self.due[session_id] = at
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def next_due(self, now: Callable[[], float]) -> None:
        """Return once a session is due."""
        while True:
            wait_s = min(self.due.values(), default=math.inf) - now()
            if wait_s <= 0:
                return
            if self._news is None or self._news.done():
                self._news = asyncio.get_running_loop().create_future()
            timeout = None if math.isinf(wait_s) else wait_s
            await asyncio.wait([self._news], timeout=timeout)


Watch = Callable[[Session | None, Session, list[ev.Event]], None]


def _unwatched(_before: Session | None, _after: Session, _news: list[ev.Event]) -> None:
    """Nobody looks."""


class MemoryStore(SessionStore):
    """`link` is awaited before and after each step; it delays, and raises when Redis is away.

    `watch` sees every change that this store made.
    """

    def __init__(
        self,
        memory: Memory,
        bounds: Bounds,
        *,
        clock: Callable[[], float],
        link: Callable[[], Awaitable[None]] = _at_once,
        watch: Watch = _unwatched,
    ) -> None:
        # Not the real one's: it prepares scripts on a connection.
        self._bounds = bounds
        self._clock = clock
        self._memory = memory
        self._link = link
        self._watch = watch

    async def get(self, session_id: str) -> Session:
        await self._link()
        session = self._memory.records.get(session_id)
        if session is None:
            raise SessionNotFoundError(session_id)
        return session

    async def note(self, session_id: str, event: ev.Event) -> None:
        await self._link()
        if session_id in self._memory.records:
            self._memory.timelines[session_id].append(event)

    async def standing(self, session_id: str) -> tuple[State, int] | None:
        await self._link()
        session = self._memory.records.get(session_id)
        return None if session is None else (session.state, session.attempt)

    async def timeline(self, session_id: str, *, limit: int = 500) -> list[dict[str, Any]]:
        await self._link()
        happened = self._memory.timelines.get(session_id, [])[:limit]
        return [{"id": str(n), "name": e.name, "data": {}} for n, e in enumerate(happened)]

    async def unwatched(self) -> list[str]:
        await self._link()
        memory = self._memory
        return [i for i in (*memory.holding(), *memory.waiting()) if i not in memory.due]

    async def count(self) -> tuple[int, int]:
        await self._link()
        return len(self._memory.slots), len(self._memory.queue)

    async def are_live(self, session_ids: Any) -> list[bool]:
        await self._link()
        found = [self._memory.records.get(session_id) for session_id in session_ids]
        return [session is not None and not session.terminal for session in found]

    async def carriers(self) -> list[Carrier]:
        await self._link()
        records = [self._memory.records[session_id] for session_id in self._memory.holding()]
        return [
            Carrier(r.id, r.state, r.attempt, r.worker, r.claimed_at is not None) for r in records
        ]

    async def queue_position(self, session_id: str) -> int | None:
        await self._link()
        waiting = self._memory.waiting()
        return waiting.index(session_id) + 1 if session_id in waiting else None

    async def ping(self) -> None:
        await self._link()

    async def _erased(self, session_id: str, *, only_leftovers: bool) -> None:
        await self._link()
        memory = self._memory
        if only_leftovers and session_id in memory.records:
            return
        memory.records.pop(session_id, None)
        memory.timelines.pop(session_id, None)
        memory.due.pop(session_id, None)
        slot, place = memory.slots.pop(session_id, None), memory.queue.pop(session_id, None)
        if slot is not None or place is not None:
            self._wake_first()

    async def _write(
        self,
        before: Session | None,  # noqa: ARG002 - for figures that nobody asks for here
        session: Session,
        news: list[ev.Event],
        fleet_jobs: int | None = None,
        next_check: float | None = None,
        *,
        behind_check: float | None = None,
    ) -> str | int:
        await self._link()
        now = self._clock()
        if behind_check is not None and self._comes_behind(session):
            next_check = behind_check
        outcome = self._take(session, news, fleet_jobs, next_check, now)
        await self._link()  # The answer may be lost after the step was taken.
        return outcome

    def _comes_behind(self, session: Session) -> bool:
        queue = self._memory.queue
        return session.state is State.QUEUED and session.id not in queue and bool(queue)

    def _take(  # noqa: C901 - one step, in the order of save.lua
        self,
        session: Session,
        news: list[ev.Event],
        fleet_jobs: int | None,
        next_check: float | None,
        now: float,
    ) -> str | int:
        """What save.lua does."""
        memory, session_id = self._memory, session.id
        stored = memory.records.get(session_id)
        if (stored.version if stored else 0) != session.version:
            return "exists" if session.version == 0 else "conflict"
        had_slot, waiting = session_id in memory.slots, memory.waiting()
        had_place = session_id in memory.queue
        takes_place = session.state is State.QUEUED
        if session.holds_slot and not had_slot:
            limit = self._bounds.max_bots
            limit = limit if fleet_jobs is None else min(limit, fleet_jobs)
            before = waiting.index(session_id) if had_place else len(waiting)
            if len(memory.slots) + before >= limit:
                return "full"
        if takes_place and not had_place and len(waiting) >= self._bounds.queue_limit:
            return "queue_full"
        changed = replace(session, version=session.version + 1)
        memory.records[session_id] = changed
        memory.timelines.setdefault(session_id, []).extend(news)
        if next_check is None:
            next_check = now + lifecycle.NEW_RECHECK_S if session.state is State.CREATED else now
        if next_check < memory.due.get(session_id, math.inf):
            memory.set_due(session_id, next_check)
        if session.holds_slot:
            memory.slots.setdefault(session_id, now)
        else:
            memory.slots.pop(session_id, None)
        if takes_place and not had_place:
            last = max(memory.queue.values(), default=-math.inf)
            memory.queue[session_id] = round(last + QUEUE_STEP if last >= now else now, 6)
        elif not takes_place:
            memory.queue.pop(session_id, None)
        if (had_slot and not session.holds_slot) or (had_place and not takes_place):
            self._wake_first()
        self._watch(stored, changed, news)
        return changed.version

    def _wake_first(self) -> None:
        waiting = self._memory.waiting()
        if waiting:
            self._memory.set_due(waiting[0], self._clock())


class MemoryDue(DueQueue):
    """`claim` returns when something is due, instead of being asked ten times a second."""

    def __init__(
        self,
        memory: Memory,
        *,
        clock: Callable[[], float],
        link: Callable[[], Awaitable[None]] = _at_once,
        patient: bool = False,
    ) -> None:
        self._clock = clock
        self._memory = memory
        self._link = link
        self._patient = patient

    async def claim(self, limit: int) -> list[str]:
        if self._patient:
            await self._memory.next_due(self._clock)
        await self._link()
        now, due = self._clock(), self._memory.due
        ids = sorted((i for i, at in due.items() if at <= now), key=lambda i: (due[i], i))[:limit]
        for session_id in ids:
            self._memory.set_due(session_id, now + CLAIM_S)
        await self._link()
        return ids

    async def renew(self, session_id: str, held: float) -> float:
        until = self._clock() + CLAIM_S
        if until < held + RENEW_AFTER_S:
            return held
        await self._link()
        if self._memory.due.get(session_id) != held:
            return held
        self._memory.set_due(session_id, until)
        return until

    async def check_at(
        self, session_id: str, at: float, *, version: int, held: float | None = None
    ) -> None:
        await self._link()
        stored = self._memory.records.get(session_id)
        if stored is None or stored.version != version:
            return
        due = self._memory.due.get(session_id)
        if held is not None and due is not None and due != held:
            return
        self._memory.set_due(session_id, at)

    async def forget(self, session_id: str) -> None:
        await self._link()
        self._memory.due.pop(session_id, None)

    async def _set(self, session_id: str, at: float) -> None:
        await self._link()
        self._memory.set_due(session_id, at)


class MemoryWorkers(WorkerRegistry):
    """`fresh` gives the workers that beat; `lull` is waited out before the judge's look."""

    def __init__(
        self,
        fresh: Callable[[], list[Heard]],
        *,
        link: Callable[[], Awaitable[None]] = _at_once,
        lull: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self._fresh = fresh
        self._link = link
        self._lull = lull

    async def alive(self) -> list[Beat]:
        await self._link()
        return [heard.beat for heard in self._fresh() if heard.beat is not None]

    async def heard(self) -> list[Heard]:
        await self._lull()
        await self._link()
        return self._fresh()


class MemoryStandby(StandbyStore):
    """`assigned` gives a job that stands by its session, if there is one."""

    def __init__(
        self, assigned: Callable[[Assignment], bool], *, link: Callable[[], Awaitable[None]]
    ) -> None:
        self._assigned = assigned
        self._link = link

    async def assign(self, assignment: Assignment) -> bool:
        await self._link()
        given = self._assigned(assignment)
        await self._link()
        return given
