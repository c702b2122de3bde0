"""What the service does: mint, start, end, show. No HTTP in here.

Every change is written to Redis before anything is asked of LiveKit, so that a crash at any line
is put right by the reconciler.
"""

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypedDict

from assistant import log
from assistant.catalog import (
    AgentSpec,
    CatalogInForce,
    Overrides,
)
from assistant.sessions import events as ev
from assistant.sessions.actions import Limits
from assistant.sessions.errors import (
    RecordError,
    SessionNotFoundError,
    SessionOverError,
    SessionTakenError,
)
from assistant.sessions.planning import room_timeouts
from assistant.sessions.record import (
    OVER,
    Reason,
    Session,
    State,
    is_session_id,
    room_name,
    session_of_room,
)
from assistant.sessions.recordings import Recordings
from assistant.sessions.store.commands import CommandStore
from assistant.sessions.store.figures import SessionFigures
from assistant.sessions.store.glances import Glance, Glances
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import SessionStore
from assistant.sessions.store.workers import fleet_jobs
from token_service.auth import Caller, hashed, new_session_key
from token_service.bodies import EndBody, StartBody, TokenBody
from token_service.deadline import store_in_time
from token_service.errors import NoWorkerError
from token_service.livekit_endpoint import Wish
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError
from token_service.outcomes import Minted, Shown, Started
from token_service.overview import Fleet, takes_jobs
from token_service.places import Places, SlotsSeen
from token_service.rate_limit import RateLimiter
from token_service.resolving import NOTHING, Resolved, Resolver
from token_service.settings import ServiceSettings
from token_service.tokens import NOBODY, Guest, Minter
from token_service.webhooks import ROOM_FINISHED, TELLING, Notice

ID_BYTES = 16  # ids that we choose cannot be guessed

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What the service works with. `poke` asks for a reconcile in this process, now."""

    store: SessionStore
    glances: Glances
    commands: CommandStore
    figures: SessionFigures
    due: DueQueue
    fleet: Fleet
    catalogs: CatalogInForce
    gateway: LiveKitGateway
    minter: Minter
    limiter: RateLimiter
    poke: Callable[[str], None]
    settings: ServiceSettings
    limits: Limits
    #: None: there is no place for recordings.
    recordings: Recordings | None = None
    clock: Callable[[], float] = time.time


class _Times(TypedDict):
    max_duration_s: float
    user_join_timeout_s: float
    user_return_timeout_s: float


class SessionService:
    """The use cases.

    All raise StoreUnavailableError when Redis is away, and SessionNotFoundError,
    SessionTakenError or SessionOverError about sessions of others and of the past.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store
        self._settings = parts.settings
        self._resolver = Resolver(
            parts.catalogs,
            session_timeout_s=parts.settings.session_timeout_s,
            records=parts.recordings is not None,
        )
        self._places = Places(parts.store, parts.fleet, parts.figures, parts.settings, parts.limits)

    async def mint(self, caller: Caller, body: TokenBody) -> Minted:
        """A token for the session's user; makes the session, with the default agent, if needed.

        Raises:
            LiveKitUnavailableError: the room could not be made.
            RateLimitedError: too many.
        """
        seen, _ = await self._look(caller, body.session_id, body.user_id, body.session_key)
        if seen is not None:
            return await self._token_again(caller, seen, NOBODY)
        # A start will name the agent; whether the caller may have it is decided then.
        agent = self._resolver.resolve(NOTHING, public=False)
        new = self._new(body.session_id, body.user_id, agent, {}, starts_on_join=False)
        session, session_key = await self._create(caller, new)
        return await self._token_for(caller, session, session_key, NOBODY)

    async def join(self, caller: Caller, wish: Wish, session_key: str | None) -> Minted:
        """A token as LiveKit's standard endpoint gives it; the session starts with the join.

        Raises: as `mint`, and OverrideError.
        """
        user_id = wish.user_id or f"user-{secrets.token_hex(ID_BYTES)}"
        session_id = wish.session_id or secrets.token_hex(ID_BYTES)
        seen, _ = await self._look(caller, session_id, user_id, session_key)
        if seen is not None:
            return await self._token_again(caller, seen, wish.guest)
        agent = self._resolver.resolve(wish.overrides, public=caller.is_public)
        config = _as_given(wish.overrides)
        new = self._new(session_id, user_id, agent, config, starts_on_join=True)
        session, new_key = await self._create(caller, new)
        return await self._token_for(caller, session, new_key, wish.guest)

    async def start(self, caller: Caller, body: StartBody) -> Started:
        """Ask for an agent. Returns when the wish is durable; a repeated start changes nothing.

        Raises:
            OverrideError: `config` asks for what there is not, or what the caller may not have.
            FullError: no slot, and no place in the queue.
            NoWorkerError: no worker, and starts are not queued.
            RateLimitedError: too many.
        """
        seen, taken = await self._look(caller, body.session_id, body.user_id, body.session_key)
        if seen is not None and seen.task_id is not None:
            return await self._started(await self._store.get(seen.id), None)
        overrides = body.config or NOTHING
        agent = self._resolver.resolve(overrides, public=caller.is_public)
        beats = await self._parts.fleet.beats()
        if self._settings.when_full == "reject" and not any(map(takes_jobs, beats)):
            raise NoWorkerError
        config, session_key = _as_given(overrides), None
        wish = ev.Started(
            at=self._parts.clock(),
            task_id=str(uuid.uuid4()),
            agent=agent.spec.name,
            spec=agent.text,
            config=config,
            **self._times(agent.spec),
        )
        slots, session = SlotsSeen(taken, fleet_jobs(beats)), None
        if seen is None:
            new = self._new(body.session_id, body.user_id, agent, config, starts_on_join=False)
            session, session_key = await self._create(caller, new, wish, slots)
        if session is None or session.task_id is None:
            # A token made it, before this start or at the same time.
            session = await self._places.take(
                partial(self._store.record, body.session_id), wish, slots
            )
        if session.task_id is None or session.state in OVER:
            raise SessionOverError(session.id)
        started = await self._started(session, session_key)
        if started.waiting is None or started.waiting.position == 1:
            # The others are woken when those before them are admitted.
            self._parts.poke(session.id)
        return started

    async def token_with(self, caller: Caller, started: Started) -> str | None:
        """A token for a start's answer; None: LiveKit did not make the room, yet the start holds.

        Raises:
            SessionOverError: it ended meanwhile.
        """
        try:
            return (await self._token_for(caller, started.session, None, NOBODY)).token
        except LiveKitUnavailableError:
            return None

    async def end(self, caller: Caller, body: EndBody) -> str:
        """Ask for the session's end; the answer says how it stands. Ending twice is fine."""
        session = await self._store.get(body.session_id)
        if not caller.owns(session, body.session_key):
            raise SessionNotFoundError(body.session_id)
        if session.terminal:
            return "the session was over already"
        if session.state is State.ENDING:
            return "the session is ending already"
        await self._store.record(
            session.id,
            ev.EndRequested(
                at=self._parts.clock(), reason=Reason.USER_REQUESTED, detail=body.reason
            ),
        )
        self._parts.poke(session.id)
        return "the session is ending"

    async def show(self, caller: Caller, session_id: str, session_key: str | None) -> Shown:
        """One session; its timeline, which names workers, and mutes are for secret keys alone."""
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        session = await self._store.get(session_id)
        if not caller.owns(session, session_key):
            raise SessionNotFoundError(session_id)
        timeline, muted = None, None
        if not caller.is_public:
            muted = (await self._parts.commands.direction(session_id)).muted
            happened = await self._store.timeline(session_id)
            # What was said stands in the transcript.
            timeline = [entry for entry in happened if entry["name"] != ev.ItemSaid.name]
        return Shown(session, await self._places.waiting(session), timeline, muted)

    async def erase(self, caller: Caller, session_id: str) -> None:
        """Erase whatever is stored of a session, for good; one that lives is ended first.

        Raises:
            ForbiddenError: it takes a secret key.
            LiveKitUnavailableError: its room could not be closed; it is ending, and not erased.
            RecordingsError: its recordings could not be deleted, so neither was the rest.
        """
        caller.require_secret()
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        try:
            session = await self._store.get(session_id)
            if not session.terminal:
                ending = ev.EndRequested(at=self._parts.clock(), reason=Reason.USER_REQUESTED)
                await self._store.record(session_id, ending)
                # A reconcile that is under way may make the room once more; it finds the record
                # gone, and deletes the room.
                await self._parts.gateway.delete_room(session.room)
        except RecordError:
            pass  # What cannot be read can still be erased; a sweep closes its room.
        if self._parts.recordings is not None:
            await self._parts.recordings.erase(session_id)
        await self._store.delete(session_id)
        _log.info("session.erased", session=session_id, caller=caller.name)

    async def notice(self, notice: Notice) -> None:
        """Look at a session now, because LiveKit says that something happened in its room."""
        session_id = session_of_room(self._settings.room_prefix, notice.room or "")
        if session_id is None or notice.event not in TELLING:
            return
        if notice.event == ROOM_FINISHED and notice.room is not None:
            self._parts.gateway.doubt(notice.room)
        if await self._store.standing(session_id) is None:
            return
        await self._parts.due.check_now(session_id)
        self._parts.poke(session_id)

    async def _look(
        self, caller: Caller, session_id: str, user_id: str, session_key: str | None
    ) -> tuple[Glance | None, int]:
        """Count the call; the caller's session, and how many slots are in use or waited for.

        None: the id is free, and the caller may take it.

        Raises:
            RateLimitedError: too many.
        """
        counter = self._parts.limiter.counter(caller, user_id)
        look = await self._parts.glances.look(session_id, counter)
        self._parts.limiter.check(look.calls)
        if look.seen is not None:
            self._check(caller, look.seen, user_id, session_key)
        elif caller.is_public and session_key is not None:
            raise SessionNotFoundError(session_id)
        return look.seen, look.taken

    def _check(
        self, caller: Caller, session: Session | Glance, user_id: str, session_key: str | None
    ) -> None:
        theirs = session.user_id == user_id and caller.owns(session, session_key)
        if not theirs and caller.is_public and session_key is not None:
            raise SessionNotFoundError(session.id)
        if not theirs:
            raise SessionTakenError(session.id)
        if session.state in OVER:
            raise SessionOverError(session.id)

    def _new(
        self,
        session_id: str,
        user_id: str,
        agent: Resolved,
        config: dict[str, Any],
        *,
        starts_on_join: bool,
    ) -> Session:
        return Session(
            id=session_id,
            user_id=user_id,
            room=room_name(self._settings.room_prefix, session_id),
            state=State.CREATED,
            created_at=self._parts.clock(),
            agent=agent.spec.name,
            spec=agent.text,
            config=config,
            starts_on_join=starts_on_join,
            **self._times(agent.spec),
        )

    def _times(self, spec: AgentSpec) -> _Times:
        """The limits of a session with this agent, as its record and its start name them."""
        return {
            "max_duration_s": spec.limits.max_duration_s or self._settings.session_timeout_s,
            "user_join_timeout_s": spec.limits.user_join_timeout_s,
            "user_return_timeout_s": spec.limits.user_return_timeout_s,
        }

    async def _create(
        self,
        caller: Caller,
        new: Session,
        wish: ev.Started | None = None,
        slots: SlotsSeen | None = None,
    ) -> tuple[Session, str | None]:
        """Store the session, started if there is a `wish`; its key if a publishable caller made it.

        Of several calls at once, those of one user get the same session.
        """
        session_key = None
        if caller.is_public:
            session_key = new_session_key()
            new = replace(new, session_key_hash=hashed(session_key))
        store = partial(self._store.create, new)
        if wish is None or slots is None:
            session, created = await store()
        else:
            session, created = await self._places.take(store, wish, slots)
        if not created:
            self._check(caller, session, new.user_id, None)
            return session, None
        _log.info("session.created", session=session.id, agent=session.agent, caller=caller.name)
        return session, session_key

    async def _token_again(self, caller: Caller, seen: Glance, guest: Guest) -> Minted:
        """A token to a session that is there; its room is too, if this process made it just now."""
        if self._parts.gateway.made_just_now(seen.room):
            return self._minted(caller, seen, None, guest)
        async with store_in_time():
            session = await self._store.get(seen.id)
        return await self._token_for(caller, session, None, guest)

    async def _token_for(
        self, caller: Caller, session: Session, new_key: str | None, guest: Guest
    ) -> Minted:
        empty_s, departure_s = room_timeouts(session, self._parts.limits)
        try:
            await self._parts.gateway.ensure_room(
                session.room,
                session_id=session.id,
                user_id=session.user_id,
                # The token must still find its room when it is used late.
                empty_timeout_s=max(empty_s, self._settings.token_ttl_s),
                departure_timeout_s=departure_s,
            )
        except LiveKitUnavailableError:
            if new_key is not None and await self._is_untouched(session):
                # The page never learns its session's key, so its next try would find the id taken.
                await self._store.delete(session.id)
            raise
        standing = await self._store.standing(session.id)
        if standing is None or standing[0] in OVER:
            # It ended meanwhile, and we may have made its room again.
            await self._parts.gateway.delete_room(session.room)
            raise SessionOverError(session.id)
        return self._minted(caller, session, new_key, guest)

    def _minted(
        self, caller: Caller, session: Session | Glance, new_key: str | None, guest: Guest
    ) -> Minted:
        token = self._parts.minter.mint(session, guest)
        _log.info("token.minted", session=session.id, caller=caller.name)
        return Minted(session.id, session.room, token, new_key)

    async def _is_untouched(self, session: Session) -> bool:
        try:
            return (await self._store.get(session.id)).version == session.version
        except SessionNotFoundError:
            return False

    async def _started(self, session: Session, session_key: str | None) -> Started:
        waiting = await self._places.waiting(session)
        _log.info(
            "session.started",
            session=session.id,
            status=session.state,
            position=waiting and waiting.position,
        )
        return Started(session, session.task_id or "", waiting, session_key)


def _as_given(overrides: Overrides) -> dict[str, Any]:
    return overrides.model_dump(mode="json", by_alias=True, exclude_unset=True)
