"""A caller who waits in silence is told so, and is not left waiting for ever."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    ErrorEvent,
    SpeechCreatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)

from assistant import log
from assistant.catalog.fallbacks import DeadAir
from assistant.sessions import events as ev
from assistant.sessions.record import Reason
from assistant.worker.record.teller import Tells
from assistant.worker.speaking.apology import Apology
from assistant.worker.speaking.silence import Wait

LOOK_S = 0.1
# An apology that has begun is heard out, and no second one follows within this.
AGAIN_S = 12.0
# A voice that starved has given up; until the SDK tells that the answer is lost, it looks as if it
# spoke again. As long as what was sent ahead is heard.
GIVEN_UP_S = 0.2

_log = log.get(__name__)


class DeadAirGuard:
    """Watches one conversation.

    `starving_since` is when an answer stopped in the middle, for want of more of it.
    """

    def __init__(
        self,
        options: DeadAir,
        teller: Tells,
        apology: Apology,
        starving_since: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._options = options
        self._teller = teller
        self._wait = Wait()
        self._apology = apology
        self._starving_since = starving_since
        self._conversation: AgentSession[Any] | None = None
        self._hushed = False

    def follow(self, conversation: AgentSession[Any]) -> None:
        self._conversation = conversation
        conversation.on("user_state_changed", self._on_user)
        conversation.on("agent_state_changed", self._on_agent)
        conversation.on("user_input_transcribed", self._on_words)
        conversation.on("speech_created", self._on_speech)
        conversation.on("error", self._on_error)

    def hush(self) -> None:
        """Nobody need answer any more; an apology that is being heard stops."""
        self._hushed = True
        self._wait.dismissed()

    async def watch(self, heard: asyncio.Future[None] | None = None) -> None:
        """Until cancelled. Nobody waits before `heard` is done; None: the caller is there."""
        if heard is not None:
            await asyncio.shield(heard)
        self._wait.arrived(time.monotonic())
        apologized_at: float | None = None
        apologized_for: float | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            since = self._since()
            if since is None:
                continue
            lasted_s = now - since
            # A laugh is no question; nobody is cut off for it.
            if (
                self._options.end_after_s is not None
                and lasted_s >= self._options.end_after_s
                and not self._wait.is_doubtful
            ):
                self._end(lasted_s)
                return
            recently = apologized_at is not None and now < apologized_at + AGAIN_S
            if lasted_s >= self._options.after_s and since != apologized_for and not recently:
                apologized_for, apologized_at = since, now
                await self._apologize(lasted_s)

    def _since(self) -> float | None:
        """Since when the caller hears nothing and should."""
        if self._wait.since is None and self._wait.agent_speaks:
            return self._starving_since()
        return self._wait.since

    async def _apologize(self, lasted_s: float) -> None:
        apologizes = self._apology.is_ready()
        _log.warning(
            "dead_air",
            session=self._teller.session_id,
            silence_s=round(lasted_s, 2),
            apologizes=apologizes,
        )
        self._teller.tell(
            ev.DeadAir(
                at=time.time(),
                attempt=self._teller.attempt,
                silence_s=round(lasted_s, 3),
                apologized=apologizes,
            )
        )
        if apologizes:
            self._hushed = False
            await self._apology.tell(self._while_waited())

    def _while_waited(self) -> Callable[[], bool]:
        """Whether somebody still waits, asked again and again; a moment without is none."""
        answered_at: float | None = None

        def is_waited() -> bool:
            nonlocal answered_at
            now = time.monotonic()
            answered_at = (answered_at or now) if self._since() is None else None
            at_once = self._hushed or self._wait.user_speaks
            return answered_at is None or not (at_once or now > answered_at + GIVEN_UP_S)

        return is_waited

    def _end(self, lasted_s: float) -> None:
        _log.warning("dead_air.ends", session=self._teller.session_id)
        self._teller.tell(
            ev.EndRequested(
                at=time.time(),
                reason=Reason.NO_ANSWER,
                detail=f"the caller waited {lasted_s:.0f} s for an answer",
            )
        )

    def _on_user(self, event: UserStateChangedEvent) -> None:
        if "speaking" in {event.new_state, event.old_state}:
            self._wait.user(speaking=event.new_state == "speaking", now=time.monotonic())

    def _on_agent(self, event: AgentStateChangedEvent) -> None:
        current = self._conversation.current_speech if self._conversation is not None else None
        self._wait.agent(
            speaking=event.new_state == "speaking",
            now=time.monotonic(),
            speech=None if current is None else current.id,
        )
        if event.new_state == "thinking":
            # A typed message has no transcript; the agent takes it up, though.
            self._wait.asked(time.monotonic())

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        # What answers the caller is waited for since their words.
        if event.source != "say":
            return
        speech = event.speech_handle
        self._wait.promised(speech.id, time.monotonic())
        speech.add_done_callback(lambda done: self._wait.over(done.id))

    def _on_error(self, event: ErrorEvent) -> None:
        # What failed for good of a model or a voice was an answer, or part of one.
        kind = getattr(event.error, "type", None)
        now = time.monotonic()
        if kind == "stt_error":
            self._wait.not_recognized(now, for_good=not event.error.recoverable)
        elif kind in {"llm_error", "tts_error"} and not event.error.recoverable:
            self._wait.broke_off(now)

    def _on_words(self, event: UserInputTranscribedEvent) -> None:
        if not event.transcript.strip():
            return
        if event.is_final:
            self._wait.asked(time.monotonic())
        else:
            self._wait.words()
