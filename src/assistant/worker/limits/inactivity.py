"""Nobody has spoken for long: the conversation is over, though nobody hung up."""

import asyncio
import time
from collections.abc import Callable

from livekit.agents import AgentSession, AgentStateChangedEvent, UserStateChangedEvent


class Inactivity:
    """Watches one conversation for `timeout_s` without speech from either side.

    Source: livekit-agents 1.8.9, `voice/events.py`: both sides' states, with "speaking" for the
    time in which they are heard; the agent's "thinking" is work on an answer, not silence.
    """

    def __init__(self, *, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._since = clock()
        self._busy: set[str] = set()

    def follow(self, conversation: AgentSession[None]) -> None:
        conversation.on("user_state_changed", self._user_changed)
        conversation.on("agent_state_changed", self._agent_changed)

    async def wait(self) -> None:
        """Return once nobody has spoken for that long."""
        while True:
            left_s = (
                self._timeout_s if self._busy else self._since + self._timeout_s - self._clock()
            )
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)

    def changed(self, side: str, *, busy: bool) -> None:
        """A side begins to speak or to think, or stops."""
        if busy:
            self._busy.add(side)
        else:
            self._busy.discard(side)
        self._since = self._clock()

    def _user_changed(self, event: UserStateChangedEvent) -> None:
        # "away" is only the SDK's name for a long silence.
        if event.new_state == "speaking" or event.old_state == "speaking":
            self.changed("user", busy=event.new_state == "speaking")

    def _agent_changed(self, event: AgentStateChangedEvent) -> None:
        working = {"speaking", "thinking"}
        if event.new_state in working or event.old_state in working:
            self.changed("agent", busy=event.new_state in working)
