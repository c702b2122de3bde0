"""Puts a conversation on record while it runs: what was said and done, and how long turns took."""

import time
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    FunctionToolsExecutedEvent,
    ToolCallEnded,
    ToolCallStarted,
    ToolExecutionUpdatedEvent,
)
from livekit.agents.llm import ChatMessage, FunctionCall, FunctionCallOutput

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.item import Item, ToolUse
from assistant.worker.record.teller import Teller
from assistant.worker.record.unfinished import Unfinished
from assistant.worker.turns import TurnReport, Turns

# Words that are being said are written down so often; what the last ones were dies with the job.
WORDS_EVERY_S = 1.0

_log = log.get(__name__)


class Journal:
    """Follows one conversation."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._turns = Turns()
        self._unfinished = Unfinished(teller.attempt)
        self._written_at = 0.0
        self._spoke = False

    def says(self, text: str) -> None:
        """More of the agent's words were heard."""
        now = time.time()
        self._unfinished.says(text, now)
        if now >= self._written_at + WORDS_EVERY_S:
            self._written_at = now
            self._teller.begin(self._unfinished)

    def follow(self, conversation: AgentSession[Any]) -> None:
        conversation.on("conversation_item_added", self._on_item)
        conversation.on("tool_execution_updated", self._on_tool)
        conversation.on("function_tools_executed", self._on_tools)
        conversation.on("agent_state_changed", self._on_agent_state)

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking" and not self._spoke:
            self._spoke = True
            self._teller.tell(ev.AgentSpoke(at=event.created_at, attempt=self._teller.attempt))
        if event.old_state == "speaking" and self._unfinished.said():
            # Its item came before, if there is one.
            self._teller.begin(self._unfinished)

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, ChatMessage) or item.role not in {"user", "assistant"}:
            return
        role: Any = item.role
        if role == "assistant":
            self._unfinished.said()
        self._keep(item, role)
        self._turns, report = self._turns.add(role, item.metrics, interrupted=item.interrupted)
        if report is not None:
            self._report_turn(report)

    def _keep(self, message: ChatMessage, role: Any) -> None:
        item = Item(
            id=message.id,
            role=role,
            text=message.text_content or "",
            interrupted=message.interrupted,
            at=message.created_at,
            started_at=message.metrics.get("started_speaking_at"),
            ended_at=message.metrics.get("stopped_speaking_at"),
            attempt=self._teller.attempt,
        )
        if item.text:
            self._teller.keep(item, self._unfinished)

    def _on_tool(self, event: ToolExecutionUpdatedEvent) -> None:
        match event.update:
            case ToolCallStarted(function_call=call):
                self._unfinished.runs(call)
                self._teller.begin(self._unfinished)
            case ToolCallEnded(call_id=call_id, status="cancelled"):
                if self._unfinished.ran(call_id):
                    self._teller.begin(self._unfinished)
            case _:
                pass  # What came of it is told with the others of its step.

    def _on_tools(self, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            attempt = self._teller.attempt
            item = tool_item(call, output, attempt=attempt)
            self._unfinished.ran(call.call_id)
            self._teller.keep(item, self._unfinished)
            agent = item.tool.transferred_to if item.tool else None
            if agent is not None:
                now = ev.AgentTransferred(at=time.time(), attempt=attempt, agent=agent)
                self._teller.tell(now)

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


def tool_item(call: FunctionCall, output: FunctionCallOutput | None, *, attempt: int) -> Item:
    """A tool's use as an item; without an output (the tool says nothing) the output is empty."""
    return Item(
        id=call.id,
        role="tool",
        text="",
        interrupted=False,
        at=call.created_at,
        started_at=call.created_at,
        ended_at=output.created_at if output else None,
        attempt=attempt,
        tool=ToolUse(
            name=call.name,
            call_id=call.call_id,
            arguments=call.arguments,
            output=output.output if output else "",
            is_error=output.is_error if output else False,
        ),
    )
