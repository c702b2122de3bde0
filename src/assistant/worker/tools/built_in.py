"""Tools that come with the assistant: end the call, the clock, another agent."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from livekit.agents import Agent, AgentSession, ChatContext, RunContext
from livekit.agents.llm import ToolError, function_tool

from assistant.catalog.tools import DateTimeTool, EndCallTool, TransferTool
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.calling import SdkTool

# Agents that hand a caller to and fro would otherwise never end, and never ask.
MAX_TRANSFERS_IN_A_ROW = 3

AgentFor = Callable[[str, AgentSession[Any]], Agent]

_NO_ARGUMENTS: dict[str, Any] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}


def end_call(tool: EndCallTool) -> SdkTool:
    """Ends the conversation once the last words were heard."""

    async def call(
        raw_arguments: dict[str, Any],  # noqa: ARG001 - so the SDK knows a raw tool
        context: RunContext[Any],
    ) -> None:
        session = context.session
        if tool.goodbye is not None:
            session.say(tool.goodbye, allow_interruptions=False)
        # Drains: what is being said, and the goodbye, are heard to their end.
        session.shutdown(drain=True)

    description = "End the conversation, when the user has said goodbye or asks for it."
    return function_tool(
        call,
        raw_schema={
            "name": "end_call",
            "description": description,
            "parameters": _NO_ARGUMENTS,
        },
    )


def date_time(tool: DateTimeTool) -> SdkTool:
    zone = ZoneInfo(tool.time_zone)

    async def call(raw_arguments: dict[str, Any]) -> str:  # noqa: ARG001 - so the SDK knows a raw tool
        return datetime.now(zone).strftime(f"%A, %d %B %Y, %H:%M ({tool.time_zone})")

    return function_tool(
        call,
        raw_schema={
            "name": "date_time",
            "description": "Today's date and the time.",
            "parameters": _NO_ARGUMENTS,
        },
    )


def transfer(tool: TransferTool, agent_for: AgentFor, allowance: Allowance) -> SdkTool:
    """Hands the conversation over; `agent_for` builds the agent of a name."""

    async def call(raw_arguments: dict[str, Any], context: RunContext[Any]) -> Agent:
        name = raw_arguments.get("agent")
        if not isinstance(name, str) or name not in tool.to:
            raise ToolError(f"Wrong arguments: agent must be one of {', '.join(sorted(tool.to))}.")
        if _transfers_in_a_row(context.session.history) >= MAX_TRANSFERS_IN_A_ROW:
            raise ToolError("The user was handed over often enough. Help them, or ask them.")
        with allowance.call():
            return agent_for(name, context.session)

    choices = "; ".join(f"{name}: {when}" for name, when in tool.to.items())
    return function_tool(
        call,
        raw_schema={
            "name": "transfer",
            "description": f"Hand the user over to another agent. {choices}",
            "parameters": {
                "type": "object",
                "properties": {"agent": {"type": "string", "enum": sorted(tool.to)}},
                "required": ["agent"],
                "additionalProperties": False,
            },
        },
    )


def _transfers_in_a_row(said: ChatContext) -> int:
    """How often the user was handed over since they last said something."""
    times = 0
    for item in reversed(said.items):
        if item.type == "message" and item.role == "user":
            break
        times += item.type == "function_call" and item.name == "transfer"
    return times
