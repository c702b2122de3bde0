"""What the agent says to a caller who has fallen silent, until the session ends."""

import time

from livekit.agents import AgentSession, ConversationItemAddedEvent, UserStateChangedEvent

from assistant.catalog.agent import Away
from assistant.sessions import events as ev
from assistant.sessions.record import Reason
from assistant.worker.limits.inactivity import Inactivity
from assistant.worker.record.teller import Tells


class AwayPrompts:
    """Asks `away.prompts` one after the other, each after `timeout_s` of silence."""

    def __init__(self, away: Away, teller: Tells, *, timeout_s: float) -> None:
        self._away = away
        self._teller = teller
        self.silence = Inactivity(timeout_s=timeout_s)
        self._asked = 0
        self._conversation: AgentSession[None] | None = None

    def follow(self, conversation: AgentSession[None]) -> None:
        self._conversation = conversation
        self.silence.follow(conversation)
        conversation.on("user_state_changed", self._on_user)
        conversation.on("conversation_item_added", self._on_item)

    async def watch(self) -> None:
        """Until cancelled, or until there is nothing left to say."""
        while self._conversation is not None:
            await self.silence.wait()
            if self._asked < len(self._away.prompts):
                self._conversation.say(self._away.prompts[self._asked])
                self._asked += 1
            elif self._away.end:
                self._teller.tell(ev.EndRequested(at=time.time(), reason=Reason.USER_AWAY))
                return
            # Not once more while it is on its way to the caller.
            self.silence.changed("prompt", busy=False)

    def _on_user(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._asked = 0

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        # Who only writes is never heard.
        if event.item.type == "message" and event.item.role == "user":
            self._asked = 0
