"""Tells pages whose voice it is, once another agent has the conversation."""

import asyncio
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, ConversationItemAddedEvent
from livekit.agents.llm import AgentHandoff

from assistant import log
from assistant.worker.agent import Assistant

#: An attribute of the agent's participant; absent while the agent talks that was asked for.
TITLE_ATTRIBUTE = "assistant.title"
TELL_TIMEOUT_S = 5.0

_log = log.get(__name__)


class Introduction:
    """Follows one conversation."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, conversation: AgentSession[Any]) -> None:
        def on_item(event: ConversationItemAddedEvent) -> None:
            handed_over = isinstance(event.item, AgentHandoff) and event.item.old_agent_id
            agent = conversation.current_agent if handed_over else None
            if isinstance(agent, Assistant):
                task = asyncio.create_task(self._tell(agent.title), name="introduce agent")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        conversation.on("conversation_item_added", on_item)

    async def _tell(self, title: str) -> None:
        try:
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await self._room.local_participant.set_attributes({TITLE_ATTRIBUTE: title})
        except TimeoutError:
            # The room is gone, or as good as gone; the words themselves do not depend on it.
            _log.warning("introduction.late")
