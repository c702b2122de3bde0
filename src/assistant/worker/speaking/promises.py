"""Words that commands promised: whether they are heard yet."""

import asyncio
from collections.abc import Callable
from typing import Any

from livekit.agents import AgentSession, AgentStateChangedEvent
from livekit.agents.voice import SpeechHandle

from assistant.sessions.command import Order, Outcome

Begun = Callable[[Order, Outcome], None]


class Promises:
    """Follows the speeches of one conversation that somebody ordered.

    `begun` is told once of each: APPLIED with its first sound, DROPPED if it was stopped before,
    FAILED if it could not be spoken.
    """

    def __init__(self, conversation: AgentSession[Any], begun: Begun) -> None:
        self._conversation = conversation
        self._begun = begun
        #: By the speech's id, while nothing of it is heard.
        self._open: dict[str, Order] = {}
        self._handles: set[SpeechHandle] = set()
        conversation.on("agent_state_changed", self._on_agent)

    def follow(self, handle: SpeechHandle, order: Order) -> None:
        self._open[handle.id] = order
        self._handles.add(handle)
        handle.add_done_callback(self._on_done)

    async def kept(self) -> None:
        """Wait until all of them were spoken to their end, or stopped."""
        await asyncio.gather(*(handle.wait_for_playout() for handle in self._handles))

    def _on_agent(self, event: AgentStateChangedEvent) -> None:
        speech = self._conversation.current_speech
        if event.new_state == "speaking" and speech is not None:
            self._close(speech, Outcome.APPLIED)

    def _on_done(self, handle: SpeechHandle) -> None:
        self._handles.discard(handle)
        if handle.exception() is not None:
            outcome = Outcome.FAILED
        else:
            # What was written to a muted agent's user may be over before its state has changed.
            outcome = Outcome.APPLIED if handle.chat_items else Outcome.DROPPED
        self._close(handle, outcome)

    def _close(self, handle: SpeechHandle, outcome: Outcome) -> None:
        order = self._open.pop(handle.id, None)
        if order is not None:
            self._begun(order, outcome)
