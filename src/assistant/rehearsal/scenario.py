"""A whole call over the public interfaces: token, start, join, talk, end."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from assistant.rehearsal.api import Grant, ServiceClient, SessionView
from assistant.rehearsal.caller import Caller, Reply
from assistant.rehearsal.errors import (
    RehearsalError,
    ServiceRefusedError,
    SessionFailedError,
    WaitTimedOutError,
)
from assistant.rehearsal.microphone import Spoken
from assistant.rehearsal.presence import AgentSeen
from assistant.rehearsal.speech import Speech
from assistant.rehearsal.transcript import Line

# Longer than BOT_STARTUP_TIMEOUT's 30 s, so that the service, not the caller, names the failure.
AGENT_TIMEOUT_S = 40.0
GREETING_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 30.0
# An ended session's room is deleted at once.
ROOM_CLOSED_TIMEOUT_S = 10.0
# A failed session is noticed within this; a request a second is nothing to the service.
SESSION_POLL_S = 1.0
# A farewell ends the session while its last words are still on their way to the ear.
OVER_GRACE_S = 3.0
OVER = frozenset({"ended", "failed"})

T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """The caller's utterance and the agent's answer.

    `understood` is the agent's transcript of the utterance, empty when it published none.
    `transcript_s` is from the end of speech until that was final; None when it never was.
    `reply.latency_s` is from the end of speech until the reply was audible.
    """

    spoken: Spoken
    understood: str
    transcript_s: float | None
    reply: Reply


@dataclass(frozen=True)
class CallReport:
    """A call's figures, in seconds; every clock starts just before the start request.

    `agent_s` is until the caller saw the agent in the room, `greeting_s` until the greeting was
    audible, None when none came. `agent_was_there` says that the agent came before the caller
    had joined, so that `agent_s` is an upper bound. `closed_s` is from the end request until
    the caller was put out of the room, None when it was not.
    """

    session_id: str
    room: str
    agent: str
    agent_s: float
    agent_was_there: bool
    greeting_s: float | None
    greeting: str | None
    turns: tuple[Turn, ...]
    closed_s: float | None


class Call:
    """One session from its token to its end, step by step.

    As a context manager it mints the token, then starts the session and joins the room at the
    same time, as a page would; leaving it ends the session if `end` has not.
    """

    def __init__(
        self,
        service: ServiceClient,
        *,
        session_id: str | None = None,
        user_id: str = "rehearsal",
        config: dict[str, Any] | None = None,
        on_line: Callable[[Line], None] | None = None,
        keeps_audio: bool = True,
    ) -> None:
        self.session_id = session_id or f"call-{uuid.uuid4().hex[:12]}"
        self.turns: list[Turn] = []
        self._service = service
        self._user_id = user_id
        self._config = config
        self._on_line = on_line
        self._keeps_audio = keeps_audio
        self._session_key: str | None = None
        self._caller: Caller | None = None
        self._started_at: float | None = None
        self._agent: AgentSeen | None = None
        self._greeting: Reply | None = None
        self._ended = False
        self._closed_s: float | None = None

    @property
    def caller(self) -> Caller:
        if self._caller is None:
            raise AssertionError("the call is used outside its context")
        return self._caller

    @property
    def started_at(self) -> float:
        """The monotonic time just before the start request."""
        if self._started_at is None:
            raise AssertionError("the call is used outside its context")
        return self._started_at

    async def __aenter__(self) -> Self:
        grant = await self._service.token(self.session_id, self._user_id)
        self._session_key = grant.session_key
        self._started_at = time.monotonic()
        start = asyncio.create_task(self._start(), name="rehearsal-start")
        join = asyncio.create_task(self._join(grant), name="rehearsal-join")
        try:
            await asyncio.wait((start, join), return_when=asyncio.FIRST_EXCEPTION)
            # The start's refusal is the better explanation when both have failed.
            if start.done():
                await start
            self._caller = await join
            await start
        except BaseException:
            # Whatever stopped it: no session and no participant may be left behind.
            start.cancel()
            join.cancel()
            await asyncio.gather(start, join, return_exceptions=True)
            if not join.cancelled() and join.exception() is None:
                self._caller = join.result()
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def agent_joins(self, timeout_s: float = AGENT_TIMEOUT_S) -> float:
        """Waits for the agent; returns how long after the start request it was seen.

        Raises:
            SessionFailedError: the session failed instead.
        """
        self._agent = await self._while_alive(self.caller.wait_for_agent(timeout_s))
        return self._agent.joined - self.started_at

    async def greeting(self, timeout_s: float = GREETING_TIMEOUT_S) -> Reply | None:
        """What the agent says first, its latency taken from the start request; None: nothing."""
        heard = self.caller.hears_reply(self.started_at, timeout_s=timeout_s)
        try:
            self._greeting = await self._while_alive(heard)
        except WaitTimedOutError:
            if self.caller.sounds:
                raise
        return self._greeting

    async def turn(self, speech: Speech, timeout_s: float = REPLY_TIMEOUT_S) -> Turn:
        """Says something and hears the answer out."""
        caller = self.caller
        spoken = await self._while_alive(caller.say(speech))
        reply = await self._while_alive(caller.hears_reply(spoken, timeout_s=timeout_s))
        lines = [line for line in caller.lines_of("caller") if line.first_at >= spoken.started]
        finals = [line.at for line in lines if line.final]
        turn = Turn(
            spoken=spoken,
            understood=" ".join(line.text.strip() for line in lines if line.text.strip()),
            transcript_s=max(finals) - spoken.ended if finals else None,
            reply=reply,
        )
        self.turns.append(turn)
        return turn

    async def end(self) -> float | None:
        """Ends the session; returns how long until the caller was put out of the room.

        None when it was not within 10 s.
        """
        asked = time.monotonic()
        await self._service.end(self.session_id, session_key=self._session_key)
        self._ended = True
        try:
            _, closed = await self.caller.wait_for_disconnect(ROOM_CLOSED_TIMEOUT_S)
        except WaitTimedOutError:
            return None
        self._closed_s = max(closed - asked, 0.0)
        return self._closed_s

    async def session(self) -> SessionView:
        return await self._service.session(self.session_id, session_key=self._session_key)

    async def ensure_over(self) -> bool:
        """Whether the session is over or about to be; one that still lives is ended first.

        For whoever left the call in a hurry, and must not leave a session behind.
        """
        try:
            if (await self.session()).status in OVER | {"ending"}:
                return True
            return (await self._service.end(self.session_id, session_key=self._session_key)).success
        except ServiceRefusedError as error:
            return error.status == 404

    @property
    def agent(self) -> AgentSeen | None:
        """The agent that was waited for; None: it has not come."""
        return self._agent

    def report(self) -> CallReport:
        """The figures so far; the agent must have been waited for."""
        if self._agent is None:
            raise AssertionError("there is no report before the agent has joined")
        greeting = self._greeting
        return CallReport(
            session_id=self.session_id,
            room=self.caller.room_name,
            agent=self._agent.identity,
            agent_s=self._agent.joined - self.started_at,
            agent_was_there=self._agent.was_there,
            greeting_s=greeting.latency_s if greeting else None,
            greeting=greeting.text if greeting else None,
            turns=tuple(self.turns),
            closed_s=self._closed_s,
        )

    async def _start(self) -> None:
        await self._service.start(
            self.session_id, self._user_id, config=self._config, session_key=self._session_key
        )

    async def _join(self, grant: Grant) -> Caller:
        caller = Caller(grant.url, grant.token, keeps_audio=self._keeps_audio)
        if self._on_line is not None:
            caller.on_line(self._on_line)
        return await caller.__aenter__()

    async def _close(self) -> None:
        try:
            if not self._ended:
                self._ended = True
                await self._service.end(self.session_id, session_key=self._session_key)
        except RehearsalError:
            # The call is over, and its own error, if any, is the one to report; a session that
            # cannot be ended ends by itself once its caller is gone.
            return
        finally:
            if self._caller is not None:
                await self._caller.__aexit__(None, None, None)

    async def _while_alive(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Waits for something, unless the session fails first."""
        wait = asyncio.create_task(waiting, name="rehearsal-wait")
        watch = asyncio.create_task(self._watch(), name="rehearsal-session-watch")
        try:
            await asyncio.wait((wait, watch), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((wait,), timeout=OVER_GRACE_S)
            if not wait.done() or wait.exception() is not None:
                # The session's own reason explains more than what the caller saw of it.
                await self._raise_if_over()
            return await wait
        finally:
            wait.cancel()
            watch.cancel()
            await asyncio.gather(wait, watch, return_exceptions=True)

    async def _watch(self) -> None:
        """Returns once the session is over."""
        while True:
            if await self._view_if_over() is not None:
                return
            await asyncio.sleep(SESSION_POLL_S)

    async def _view_if_over(self) -> SessionView | None:
        try:
            view = await self.session()
        except ServiceRefusedError:
            # Whom the service does not let look is left with what the room shows.
            return None
        return view if view.status in OVER else None

    async def _raise_if_over(self) -> None:
        view = await self._view_if_over()
        if view is not None:
            raise SessionFailedError(
                session_id=self.session_id,
                status=view.status,
                reason=view.reason,
                detail=view.detail,
            )


async def run_call(
    service: ServiceClient,
    speeches: list[Speech],
    *,
    config: dict[str, Any] | None = None,
    session_id: str | None = None,
    user_id: str = "rehearsal",
) -> CallReport:
    """A whole call that says each speech in turn, after the greeting if there is one.

    Raises:
        RehearsalError: the call did not go through; the subclass says why.
    """
    call = Call(service, session_id=session_id, user_id=user_id, config=config)
    async with call:
        await call.agent_joins()
        await call.greeting()
        for speech in speeches:
            await call.turn(speech)
        await call.end()
        return call.report()
