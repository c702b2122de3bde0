"""Commands for a conversation: given durably, and answered with what its job says of them."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable

from assistant import log
from assistant.catalog import CatalogInForce, Overrides, UnknownAgentError
from assistant.catalog.agent import AgentSpec
from assistant.catalog.keyterms import with_keyterms
from assistant.sessions.command import Command, HandOver, Outcome
from assistant.sessions.errors import SessionNotFoundError
from assistant.sessions.events import ControlSettled
from assistant.sessions.record import is_session_id
from assistant.sessions.store.commands import CommandStore, Given
from assistant.sessions.store.records import SessionStore
from token_service.auth import Caller
from token_service.deadline import store_in_time
from token_service.errors import (
    AgentAbsentError,
    CommandNotAppliedError,
    CommandsFullError,
    NoSuchSuccessorError,
)
from token_service.event_feed import EventFeed, Listener

# Of words the first sound takes a voice's time; what takes longer waits for somebody to finish.
APPLIED_WITHIN_S = 2.0

_log = log.get(__name__)


class LiveControl:
    """For secret keys alone. Methods raise StoreUnavailableError when Redis is away."""

    def __init__(
        self,
        commands: CommandStore,
        store: SessionStore,
        catalogs: CatalogInForce,
        feed: EventFeed,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commands = commands
        self._store = store
        self._catalogs = catalogs
        self._feed = feed
        self._clock = clock

    async def give(
        self, caller: Caller, session_id: str, command: Command, *, repeat_key: str | None
    ) -> tuple[str, bool]:
        """Give a command; its id, and whether it is carried out already.

        If not, it waits for the agent that comes, or takes longer than APPLIED_WITHIN_S.
        `repeat_key`: names this call of the caller's, so that it is carried out once however often
        it is tried; None: nothing does.

        Raises:
            ForbiddenError: the caller showed a publishable key.
            SessionNotFoundError, SessionOverError: as they say.
            AgentAbsentError: it takes an agent that is in the room.
            CommandsFullError: too many wait.
            CommandNotAppliedError: the job could not do it, or something came before it.
        """
        caller.require_secret()
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        command_id = _id_of(caller, session_id, command, repeat_key)
        # From before the command is there, so that the job's word is not missed.
        listener = self._feed.listen(session_id)
        try:
            async with store_in_time():
                taken = await self._commands.push(session_id, command_id, command, by=caller.name)
            _log.info(
                "control.requested", session=session_id, kind=command.kind, caller=caller.name
            )
            if taken is Given.THERE:
                taken = await self._settled(listener, command_id) or taken
        finally:
            self._feed.leave(listener)
        if taken is Given.ABSENT:
            raise AgentAbsentError
        if taken is Given.FULL:
            raise CommandsFullError
        if isinstance(taken, Outcome) and taken is not Outcome.APPLIED:
            raise CommandNotAppliedError(command_id, taken)
        return command_id, taken is Outcome.APPLIED

    async def successor(self, session_id: str, name: str) -> HandOver:
        """The command that gives the conversation to an agent of agents.yaml.

        Whom the session was started with is as it was started; anybody else gets its metadata, and
        must be affordable: a budget in money needs a price for each of their models.

        Raises:
            NoSuchSuccessorError: there is no such agent.
            OverrideNotAllowedError: the session's metadata lacks what its words need, or a model
                has no price.
        """
        if not is_session_id(session_id):
            raise SessionNotFoundError(session_id)
        async with store_in_time():
            session = await self._store.get(session_id)
        if name == session.agent:
            return HandOver(agent=name, spec=session.spec)
        budget = AgentSpec.model_validate_json(session.spec).budget
        wanted = {
            "agent": name,
            "metadata": session.config.get("metadata"),
            "maxCost": budget.max_cost,
        }
        try:
            spec = self._catalogs.now.resolve(Overrides.model_validate(wanted))
        except UnknownAgentError as error:
            raise NoSuchSuccessorError(error.name, error.known) from None
        spec = with_keyterms(spec, session.config.get("keyterms") or ())
        return HandOver(agent=name, spec=spec.model_dump_json())

    async def _settled(self, listener: Listener, command_id: str) -> Outcome | None:
        """What the job says became of it; None: nothing yet."""
        until = self._clock() + APPLIED_WITHIN_S
        while listener.end is None and (left_s := until - self._clock()) > 0:
            for entry in await listener.next(left_s):
                data = json.loads(entry.data) if entry.name == ControlSettled.name else {}
                if data.get("id") == command_id:
                    return Outcome(data["outcome"])
        return None


def _id_of(caller: Caller, session_id: str, command: Command, repeat_key: str | None) -> str:
    if repeat_key is None:
        return secrets.token_hex(16)
    name = f"{caller.kind}\n{caller.name}\n{session_id}\n{command.kind}\n{repeat_key}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]
