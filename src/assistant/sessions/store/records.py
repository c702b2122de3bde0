"""Session records in Redis: create, read, and change by events, each change in one atomic step."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from redis.asyncio import Redis

from assistant.sessions import events as ev
from assistant.sessions import lifecycle
from assistant.sessions.errors import (
    CapacityError,
    ConflictError,
    SessionNotFoundError,
    SupersededError,
)
from assistant.sessions.record import TERMINAL, Session, State
from assistant.sessions.store import codec, keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.saves import (
    EVENTS_IN_ALL,
    EVENTS_IN_OUTBOX,
    EVENTS_PER_SESSION,
    MINUTE_KEEP_S,
    Saves,
)
from assistant.sessions.store.together import Together
from assistant.sessions.tally import TURN, tally_of_turn

MAX_TRIES = 16  # Writers of one session are a handful; more conflicts in a row are a fault.


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the store enforces in the step that admits, and how long it keeps records."""

    max_bots: int
    queue_limit: int
    #: A record is kept this long after its last change.
    keep_s: float


@dataclass(frozen=True, slots=True)
class Carrier:
    """The worker that runs a session's current attempt; None: no worker has accepted it.

    `claimed`: one of its job processes has taken the attempt.
    """

    session_id: str
    state: State
    attempt: int
    worker: str | None
    claimed: bool


class SessionStore:
    """The session records. Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(
        self, redis: Redis, bounds: Bounds, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._bounds = bounds
        self._clock = clock
        count, in_index = script("count.lua"), script("index.lua")
        self._saves = Saves(redis)
        self._places: Together[str, int | None] = Together(self._ranks)
        self._note = redis.register_script(script("tell.lua") + count + script("note.lua"))
        self._erase = redis.register_script(count + in_index + script("erase.lua"))

    @property
    def max_bots(self) -> int:
        """The sessions that may hold a slot at once, however many jobs the fleet could run."""
        return self._bounds.max_bots

    async def create(
        self,
        session: Session,
        *happened: ev.Event,
        fleet_jobs: int | None = None,
        behind_check: float | None = None,
    ) -> tuple[Session, bool]:
        """Store a new record with what has happened to it already, all or nothing.

        Returns the stored record and True; where the id is taken, whatever is there, and False.
        The rest as in `record`.

        Raises:
            CapacityError: the events would admit or queue the session, and there is no place.
        """
        changed, news = _applied(session, happened)
        created = ev.Created(at=session.created_at)
        outcome = await self._write(
            None, changed, [created, *news], fleet_jobs, behind_check=behind_check
        )
        if outcome in {"full", "queue_full"}:
            raise CapacityError(session.id, str(outcome))
        if outcome == "exists":
            stored = await self.get(session.id)
            # Ours after all: the connection broke after Redis had stored it, and was tried again.
            return stored, _origin(stored) == _origin(session)
        return replace(changed, version=int(outcome)), True

    async def get(self, session_id: str) -> Session:
        """The stored session.

        Raises:
            SessionNotFoundError: there is none.
            RecordError: what is stored is not readable.
        """
        with translated():
            stored = cast("dict[str, str]", await self._redis.hgetall(keys.session(session_id)))
        if not stored:
            raise SessionNotFoundError(session_id)
        return codec.decode(session_id, stored)

    async def record(
        self,
        session_id: str,
        *happened: ev.Event,
        fleet_jobs: int | None = None,
        next_check: float | None = None,
        behind_check: float | None = None,
    ) -> Session:
        """Apply events to the session; those that say nothing new are not stored.

        An event that admits the session takes a slot in the same step, if fewer than
        min(MAX_BOTS, `fleet_jobs`) are taken and nobody waits before it.
        `fleet_jobs`: the jobs that all live workers could run together; None: not known.
        `next_check`: when to look at the changed session (Unix seconds); None: at once.
        `behind_check`: the same where it comes to wait behind others; None: no other.

        Raises:
            SessionNotFoundError: there is no such session.
            CapacityError: the events would admit or queue the session, and there is no place.
            ConflictError: others kept changing the record.
        """
        for _ in range(MAX_TRIES):
            session = await self.get(session_id)
            changed, news = _applied(session, happened)
            if not news:
                return session
            outcome = await self._write(
                session, changed, news, fleet_jobs, next_check, behind_check=behind_check
            )
            if outcome in {"full", "queue_full"}:
                raise CapacityError(session_id, outcome)
            if outcome != "conflict":
                return replace(changed, version=int(outcome))
        raise ConflictError(session_id)

    async def note(self, session_id: str, event: ev.Event) -> None:
        """Add an event that changes nothing to the session's timeline, if there is a session."""
        entry = codec.encode_event(event)
        talking = event.agent if isinstance(event, ev.AgentTransferred) else ""
        with translated():
            await self._note(
                keys=[
                    keys.session(session_id),
                    keys.session_events(session_id),
                    keys.EVENTS,
                    keys.OUTBOX,
                    keys.TOTALS,
                    keys.minute(self._clock()),
                ],
                args=[
                    session_id,
                    entry["name"],
                    entry["data"],
                    EVENTS_PER_SESSION,
                    EVENTS_IN_ALL,
                    EVENTS_IN_OUTBOX,
                    json.dumps(tally_of_turn(event)),
                    TURN,
                    MINUTE_KEEP_S,
                    talking,
                ],
            )

    async def carriers(self) -> list[Carrier]:
        """Who carries each session that holds a slot."""
        fields = ["status", "attempt", "worker", "claimedAt"]
        with translated():
            ids = cast("list[str]", await self._redis.zrange(keys.SLOTS, 0, -1))
            async with self._redis.pipeline(transaction=False) as pipe:
                for session_id in ids:
                    pipe.hmget(keys.session(session_id), fields)
                rows = cast("list[list[str | None]]", await pipe.execute())
        return [
            Carrier(session_id, State(status), int(attempt or 0), worker, claimed_at is not None)
            for session_id, (status, attempt, worker, claimed_at) in zip(ids, rows, strict=True)
            if status is not None
        ]

    async def claim(self, session_id: str, claimed: ev.Claimed, *before: ev.Event) -> Session:
        """Take an attempt for one job process; of several, exactly one succeeds.

        `before`: what has to be told before, and nobody else told.

        Raises:
            SupersededError: the attempt is over, or another process has claimed it.
        """
        session = await self.record(session_id, *before, claimed)
        mine = (session.worker, session.agent_pid, session.claimed_at)
        over = session.terminal or session.state is State.ENDING
        if (
            over
            or session.attempt != claimed.attempt
            or mine != (claimed.worker, claimed.pid, claimed.at)
        ):
            raise SupersededError(session_id, f"attempt {claimed.attempt} of {session.attempt}")
        return session

    async def standing(self, session_id: str) -> tuple[State, int] | None:
        """The session's state and current attempt; None: there is no record."""
        with translated():
            status, attempt = cast(
                "list[str | None]",
                await self._redis.hmget(keys.session(session_id), ["status", "attempt"]),
            )
        return (State(status), int(attempt or 0)) if status else None

    async def timeline(
        self, session_id: str, *, limit: int = EVENTS_PER_SESSION
    ) -> list[dict[str, Any]]:
        """The session's events, oldest first: `{id, name, data}`."""
        with translated():
            entries = cast(
                "list[tuple[str, dict[str, str]]]",
                await self._redis.xrange(keys.session_events(session_id), count=limit),
            )
        return [
            {"id": entry_id, "name": entry["name"], "data": json.loads(entry["data"])}
            for entry_id, entry in entries
        ]

    async def delete(self, session_id: str) -> None:
        """Erase whatever Redis holds of the session; frees its slot and its place in the queue."""
        await self._erased(session_id, only_leftovers=False)

    async def drop_leftovers(self, session_id: str) -> None:
        """Take a session whose record is gone out of the slots, the queue and the checks."""
        await self._erased(session_id, only_leftovers=True)

    async def _erased(self, session_id: str, *, only_leftovers: bool) -> None:
        now = self._clock()
        with translated():
            await self._erase(
                keys=[
                    keys.session(session_id),
                    keys.session_events(session_id),
                    keys.DUE,
                    keys.SLOTS,
                    keys.QUEUE,
                    keys.session_items(session_id),
                    keys.EVENTS,
                    keys.OUTBOX,
                    keys.SESSIONS,
                    keys.agent_pid(session_id),
                    keys.session_logs(session_id),
                    keys.session_deliveries(session_id),
                    keys.session_report(session_id),
                    keys.REPORTS,
                    keys.session_commands(session_id),
                    keys.session_control(session_id),
                ],
                args=[
                    session_id,
                    now,
                    int(only_leftovers),
                    keys.delivery(""),
                    keys.ENDPOINTS,
                    keys.minute(now),
                    MINUTE_KEEP_S,
                ],
            )

    async def unwatched(self) -> list[str]:
        """Sessions that hold a slot or wait for one, but have no next check."""
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zrange(keys.SLOTS, 0, -1)
                pipe.zrange(keys.QUEUE, 0, -1)
                slots, queue = await pipe.execute()
            ids = [*slots, *queue]
            if not ids:
                return []
            due = await self._redis.zmscore(keys.DUE, ids)
        return [session_id for session_id, at in zip(ids, due, strict=True) if at is None]

    async def are_live(self, session_ids: Sequence[str]) -> list[bool]:
        """For each session whether it has a record and has not ended."""
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for session_id in session_ids:
                    pipe.hget(keys.session(session_id), "status")
                found: list[str | None] = await pipe.execute()
        return [status is not None and status not in TERMINAL for status in found]

    async def count(self) -> tuple[int, int]:
        """How many sessions hold a slot, and how many wait in the queue."""
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zcard(keys.SLOTS)
                pipe.zcard(keys.QUEUE)
                slots, waiting = await pipe.execute()
        return int(slots), int(waiting)

    async def queue_position(self, session_id: str) -> int | None:
        """The session's place in the queue, from 1; None: it does not wait."""
        rank = await self._places.call(session_id)
        return None if rank is None else rank + 1

    async def ping(self) -> None:
        with translated():
            await self._redis.ping()

    async def _write(
        self,
        before: Session | None,
        session: Session,
        news: list[ev.Event],
        fleet_jobs: int | None = None,
        next_check: float | None = None,
        *,
        behind_check: float | None = None,
    ) -> str | int:
        now = self._clock()
        slots = self._bounds.max_bots
        if fleet_jobs is not None:
            slots = min(slots, fleet_jobs)
        if next_check is None:
            # A new record has nothing to reconcile yet; every change has.
            next_check = now + lifecycle.NEW_RECHECK_S if session.state is State.CREATED else now
        return await self._saves.save(
            before,
            session,
            news,
            now=now,
            next_check=next_check,
            behind_check=behind_check,
            slots=slots,
            places=self._bounds.queue_limit,
            keep_s=self._bounds.keep_s,
        )

    async def _ranks(self, session_ids: Sequence[str]) -> list[int | None]:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for session_id in session_ids:
                    pipe.zrank(keys.QUEUE, session_id)
                return cast("list[int | None]", await pipe.execute())


def _applied(session: Session, happened: Iterable[ev.Event]) -> tuple[Session, list[ev.Event]]:
    """The session after the events, and those of them that said something new."""
    news = []
    for event in happened:
        after = lifecycle.apply(session, event)
        if after is not session:
            news.append(event)
            session = after
    return session, news


def _origin(session: Session) -> tuple[Any, ...]:
    return session.user_id, session.created_at, session.session_key_hash
