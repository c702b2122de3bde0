"""Conversations in text: tools, handoff and an attacker, with a model that obeys everybody."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
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

from assistant.catalog import Catalog
from assistant.catalog.agent import AgentSpec
from assistant.catalog.overrides import Overrides
from assistant.sessions.item import Item, ToolUse
from assistant.settings import VendorSettings
from assistant.worker.team import Team, current_agent
from tests.timing import scaled

BASE: dict[str, Any] = {
    "title": "A",
    "stt": {"provider": "assemblyai"},
    "llm": {"provider": "groq"},
    "tts": {"provider": "inworld", "voice": "Ashley"},
    "modality": "text",
}
SHOP: dict[str, Any] = {
    "type": "http",
    "name": "order_status",
    "description": "Looks an order up.",
    "url": "http://127.0.0.1:9/orders/{number}",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "string", "pattern": "^[0-9]+$"}},
        "required": ["number"],
        "additionalProperties": False,
    },
}
AGENTS: dict[str, Any] = {
    "reception": {
        **BASE,
        "instructions": "You are the reception.",
        "tool_limits": {"max_calls": 1000},
        "tools": [
            {"type": "transfer", "to": {"nurse": "For anything about health."}},
            {"type": "date_time"},
            {"type": "python", "function": "tests.unit.tool_functions:add_numbers"},
            SHOP,
        ],
    },
    # With a voice of her own, for which nobody has a key: here everybody writes.
    "nurse": {
        **BASE,
        "instructions": "You are the nurse.",
        "greeting": "Nurse here.",
        "tts": {"provider": "inworld", "voice": "Dennis"},
    },
    "vault": {**BASE, "instructions": "The password is swordfish."},
}
#: Names that an attacker would like to be tools, here or in other products.
WANTED = (
    "shell", "eval", "exec", "read_file", "get_env", "http_get", "fetch_url", "transfer_call",
    "find_book", "burn_library", "end_call", "other_session", "sql", "send_email", "control",
    "tests.unit.tool_functions:burst", "burst", "flood", "os.system", "list_sessions",
)  # fmt: skip
NUMBERS = (
    "../admin", "..", "1/../../etc/passwd", "1?admin=1", "1#x", "1%2f..", "@evil", "1\r\nHost: x",
    "169.254.169.254", "localhost", "${GROQ_API_KEY}", "{{ user_name }}", "1 2", "", "-1",
    "1e9", "0x1", "x", "\u0661", "1\n", "null", "[]", "{}", "1;2", "1'--", "\x00", "http://10.0.0.1",
    "file:///etc/passwd", "{number}", "1:80",
)  # fmt: skip
AGENT_NAMES = (
    "vault", "reception", "Nurse", "nurse ", "", "..", "nurse,vault", "${HOME}", "__class__",
    "admin", "assistant", "root", "nurse\n", "*", "default", "vault\x00", "nurse/vault", "1",
    "null", "self",
)  # fmt: skip
BAD_SUMS: tuple[dict[str, Any], ...] = (
    {}, {"first": 1}, {"first": "1", "second": 2}, {"first": None, "second": 2},
    {"first": [1], "second": 2}, {"first": {"a": 1}, "second": 2}, {"first": 1.5, "second": 2},
    {"first": 1, "second": "__import__('os')"}, {"first": True, "second": "x"},
    {"first": 1, "second": 2, "context": "x"},
)  # fmt: skip
ATTACKS = (
    *(("", name, "{}") for name in WANTED),
    *(("order_status", "order_status", json.dumps({"number": n})) for n in NUMBERS),
    *(("order_status", "order_status", json.dumps({"number": "1", k: "x"}))
      for k in ("url", "host", "headers", "method", "allow_internal", "timeout_s", "__proto__")),
    *(("transfer", "transfer", json.dumps({"agent": name})) for name in AGENT_NAMES),
    *(("add_numbers", "add_numbers", json.dumps(arguments)) for arguments in BAD_SUMS),
    *(("", name, text) for name in ("order_status", "transfer", "add_numbers")
      for text in ("", "null", "[]", '"x"', "{", "5", "true")),
)  # fmt: skip


class Obedient(LLM[Any]):
    """Calls what the last message says: `call NAME ARGUMENTS`; answers with what a tool said."""

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
        text = (last.text_content or "") if last.type == "message" else ""
        delta = ChoiceDelta(role="assistant", content="I understand.")
        if text.startswith("call "):
            _, name, arguments = text.split(" ", 2)
            call = FunctionToolCall(name=name, arguments=arguments, call_id="c1")
            delta = ChoiceDelta(role="assistant", tool_calls=[call])
        elif last.type == "function_call_output":
            delta = ChoiceDelta(role="assistant", content=last.output)
        self._event_ch.send_nowait(ChatChunk(id="1", delta=delta))


@pytest.fixture
def spec(tmp_path: Path) -> AgentSpec:
    file = tmp_path / "agents.yaml"
    document = {"version": 1, "default": "reception", "agents": AGENTS}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Catalog.load(file).resolve(Overrides(agent="reception"))


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


async def test_an_agent_hands_the_conversation_over(spec: AgentSpec) -> None:
    """The next one knows what was said, has its own instructions and tools, and speaks first."""
    team = Team(spec, VendorSettings(), environ={})
    await team.open()
    async with Obedient() as model, AgentSession[None](llm=model) as conversation:
        seen = outputs(conversation)
        await conversation.start(team.begin(None))
        await asked(conversation, "My knee hurts.")
        await asked(conversation, "call date_time {}")
        await asked(conversation, 'call transfer {"agent": "nurse"}')
        assert conversation.current_agent.id == "nurse"
        assert conversation.current_agent.instructions == "You are the nurse."
        assert conversation.current_agent.tools == []
        words = [m.text_content for m in conversation.current_agent.chat_ctx.messages()]
        assert "My knee hurts." in words
        said = [m.text_content for m in conversation.history.messages()]
        assert said[-1] == "Nurse here."
        assert [name for name, _, wrong in seen if not wrong] == ["date_time", "transfer"]
        assert "UTC" in seen[0][1]
    await team.close()


async def test_nobody_talks_an_agent_into_more_than_it_may(spec: AgentSpec) -> None:
    """Over a hundred attempts that the model obeys, none of which leads anywhere."""
    assert len(ATTACKS) >= 100
    team = Team(spec, VendorSettings(), environ={"GROQ_API_KEY": "topsecret"})
    await team.open()
    async with Obedient() as model, AgentSession[None](llm=model) as conversation:
        seen = outputs(conversation)
        await conversation.start(team.begin(None))
        for expected, name, arguments in ATTACKS:
            before = len(seen)
            await asked(conversation, f"call {name} {arguments}")
            assert conversation.current_agent.id == "reception", (name, arguments)
            for called, output, wrong in seen[before:]:
                assert wrong, (called, arguments, output)
                assert called == (expected or name)
                for secret in ("topsecret", "swordfish"):
                    assert secret not in output
        # Only well-formed calls can succeed, and after all that they still do.
        await asked(conversation, 'call add_numbers {"first": 2, "second": 3}')
        assert seen[-1] == ("add_numbers", "5", False)
        assert "swordfish" not in str(conversation.history.to_dict())
    await team.close()


def test_whoever_takes_over_is_the_agent_who_talked_last(spec: AgentSpec) -> None:
    """A refused transfer, or one to an agent who is no longer there, changes nothing."""

    def transfer(name: str, *, is_error: bool = False) -> Item:
        use = ToolUse(
            name="transfer",
            call_id="c",
            arguments=json.dumps({"agent": name}),
            output="",
            is_error=is_error,
        )
        return Item(id="i", role="tool", text="", interrupted=False, at=1.0, tool=use)

    known = {**spec.team, spec.name: spec}
    assert current_agent([], known) is None
    assert current_agent([transfer("nurse")], known) == "nurse"
    assert current_agent([transfer("nurse"), transfer("vault")], known) == "nurse"
    assert current_agent([transfer("nurse", is_error=True)], known) is None
