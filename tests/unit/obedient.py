"""A language model that does what anybody tells it to, and conversations with it, in text."""

import asyncio
import json
import re
from typing import Any, cast

from livekit.agents import AgentSession, FunctionToolsExecutedEvent
from livekit.agents.llm import (
    LLM,
    ChatChunk,
    ChatContext,
    ChoiceDelta,
    FunctionToolCall,
    LLMStream,
    Tool,
)

from tests.timing import scaled

_ASKED = re.compile(r"call (\S+) (.*)", re.DOTALL)
_ORDERED = re.compile(r"call (\S+) (\{[^}]*\})")


class Obedient(LLM[Any]):
    """Calls what the last words say, `call NAME ARGUMENTS`, the user's or a tool's.

    Otherwise it answers with what a tool said.
    """

    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[Tool] | None = None,
        conn_options: Any = None,
        **_rest: Any,
    ) -> "ObedientStream":
        return ObedientStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ObedientStream(LLMStream):
    async def _run(self) -> None:
        last = self._chat_ctx.items[-1]
        text, order = "I understand.", None
        if last.type == "message" and last.role == "user":
            order = _ASKED.match(last.text_content or "")
        elif last.type == "function_call_output":
            text = last.output
            # An error quotes what was wrong, which is no order.
            order = None if last.is_error else _ORDERED.search(text.replace('\\"', '"'))
        delta = ChoiceDelta(role="assistant", content=text)
        if order:
            call = FunctionToolCall(name=order[1], arguments=order[2], call_id=f"c{id(last)}")
            delta = ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(ChatChunk(id="1", delta=delta))


class Restless(LLM[Any]):
    """Hands everybody over at once, until it may no more."""

    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[Tool] | None = None,
        conn_options: Any = None,
        **_rest: Any,
    ) -> "RestlessStream":
        return RestlessStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class RestlessStream(LLMStream):
    async def _run(self) -> None:
        last = self._chat_ctx.items[-1]
        delta = ChoiceDelta(role="assistant", content="I can help you.")
        if not (last.type == "function_call_output" and last.is_error):
            (tool,) = self._tools
            (agent,) = cast("Any", tool).info.raw_schema["parameters"]["properties"]["agent"][
                "enum"
            ]
            call = FunctionToolCall(
                name="transfer", arguments=json.dumps({"agent": agent}), call_id=f"c{agent}"
            )
            delta = ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(ChatChunk(id="1", delta=delta))


def outputs(conversation: AgentSession[None]) -> list[tuple[str, str, bool]]:
    """Fills as tools are called: name, what came back, whether that is an error."""
    seen: list[tuple[str, str, bool]] = []

    def note(event: FunctionToolsExecutedEvent) -> None:
        seen.extend(
            (call.name, output.output if output else "", bool(output and output.is_error))
            for call, output in event.zipped()
        )

    conversation.on("function_tools_executed", note)
    return seen


async def asked(conversation: AgentSession[None], words: str) -> None:
    await asyncio.wait_for(conversation.run(user_input=words), scaled(10))
