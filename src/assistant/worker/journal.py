"""Puts a conversation on record while it runs: what was said, and how long each turn took."""

import time
from typing import Any

from livekit.agents import AgentSession, AgentStateChangedEvent, ConversationItemAddedEvent
from livekit.agents.llm import ChatMessage

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.item import Item
from assistant.worker.teller import Teller
from assistant.worker.turns import TurnReport, Turns

MAX_ITEM_CHARS = 8000  # About ten minutes of speech; what is longer is cut, at its end.

_log = log.get(__name__)


class Journal:
    """Follows one conversation."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._turns = Turns()
        self._spoke = False

    def follow(self, conversation: AgentSession[Any]) -> None:
        conversation.on("conversation_item_added", self._on_item)
        conversation.on("agent_state_changed", self._on_agent_state)

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking" and not self._spoke:
            self._spoke = True
            self._teller.tell(ev.AgentSpoke(at=event.created_at, attempt=self._teller.attempt))

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, ChatMessage) or item.role not in {"user", "assistant"}:
            return
        role: Any = item.role
        self._keep(item, role)
        self._turns, report = self._turns.add(role, item.metrics, interrupted=item.interrupted)
        if report is not None:
            self._report_turn(report)

    def _keep(self, message: ChatMessage, role: Any) -> None:
        """For the agent that may have to go on with the conversation."""
        item = Item(
            id=message.id,
            role=role,
            text=(message.text_content or "")[:MAX_ITEM_CHARS],
            interrupted=message.interrupted,
            at=message.created_at,
        )
        if item.text:
            self._teller.keep(item)

    def _report_turn(self, report: TurnReport) -> None:
        _log.info(
            "turn.completed",
            session=self._teller.session_id,
            turn=report.turn,
            e2e_latency_s=report.e2e_latency_s,
            interrupted=report.interrupted,
        )
        self._teller.tell(
            ev.TurnCompleted(
                at=time.time(),
                attempt=self._teller.attempt,
                turn=report.turn,
                transcription_delay_s=report.transcription_delay_s,
                end_of_turn_delay_s=report.end_of_turn_delay_s,
                llm_ttft_s=report.llm_ttft_s,
                tts_ttfb_s=report.tts_ttfb_s,
                e2e_latency_s=report.e2e_latency_s,
                interrupted=report.interrupted,
            )
        )
