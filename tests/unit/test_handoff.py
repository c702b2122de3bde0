"""Conversations in text that one agent hands to another."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from livekit.agents import NOT_GIVEN, AgentSession
from livekit.agents.llm import ChatContext, FunctionCall, FunctionCallOutput

from assistant.catalog import Catalog
from assistant.catalog.agent import AgentSpec
from assistant.catalog.overrides import Overrides
from assistant.catalog.tools import McpTool
from assistant.sessions.item import Item, ToolUse
from assistant.settings import VendorSettings
from assistant.worker.agent import Assistant, results_last
from assistant.worker.team import Team, current_agent
from tests.timing import scaled
from tests.unit.obedient import Obedient, Restless, asked, outputs

BASE: dict[str, Any] = {
    "title": "A",
    "stt": {"provider": "assemblyai"},
    "llm": {"provider": "groq"},
    "tts": {"provider": "inworld", "voice": "Ashley"},
    "modality": "text",
}
AGENTS: dict[str, Any] = {
    "reception": {
        **BASE,
        "instructions": "You are the reception.",
        "tools": [
            {"type": "transfer", "to": {"nurse": "For anything about health."}},
            {"type": "date_time"},
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


@pytest.fixture
def spec(tmp_path: Path) -> AgentSpec:
    file = tmp_path / "agents.yaml"
    document = {"version": 1, "default": "reception", "agents": AGENTS}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Catalog.load(file).resolve(Overrides(agent="reception"))


async def test_an_agent_hands_the_conversation_over(spec: AgentSpec) -> None:
    """The next one knows what was said, has its own instructions and tools, and speaks first."""
    team = Team(spec, VendorSettings(), environ={})
    team.prepare()
    await team.equip()
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


async def test_agents_do_not_hand_a_user_to_and_fro(tmp_path: Path) -> None:
    """Two that transfer to each other without an end stop after three, and the user is heard."""
    to_and_fro = {
        name: {
            **BASE,
            "instructions": name,
            "greeting": None,
            "tools": [{"type": "transfer", "to": {other: "Always."}}],
        }
        for name, other in (("one", "two"), ("two", "one"))
    }
    document = {"version": 1, "default": "one", "agents": to_and_fro}
    (tmp_path / "agents.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    team = Team(Catalog.load(tmp_path / "agents.yaml").resolve(Overrides()), VendorSettings())
    team.prepare()
    await team.equip()
    async with Restless() as model, AgentSession[None](llm=model) as conversation:
        seen = outputs(conversation)
        await conversation.start(team.begin(None))
        await asked(conversation, "Hello?")
        async with asyncio.timeout(scaled(10)):
            while not (seen and seen[-1][2]):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
    assert [wrong for *_, wrong in seen] == [False, False, False, True]
    await team.close()


def outsider(spec: AgentSpec, name: str, *command: str, within_s: float = 30) -> AgentSpec:
    """An agent that is not of the team, whose tools an MCP server has, and who does not greet."""
    server = {"type": "mcp", "command": command, "allow": ["find_book"]}
    tool = McpTool.model_validate_json(json.dumps({**server, "connect_timeout_s": within_s}))
    changes: dict[str, Any] = {"name": name, "instructions": name, "greeting": None}
    return spec.model_copy(update=changes | {"team": {}, "tools": (tool,)})


async def taken_over(conversation: AgentSession[None], successor: Assistant) -> None:
    conversation.update_agent(successor)
    async with asyncio.timeout(scaled(10)):
        await successor.entered.wait()


async def test_who_comes_from_outside_waits_for_no_server(spec: AgentSpec) -> None:
    """They have the conversation at once, their tools later, and owe an answer until then.

    One whose server hangs keeps neither the next one from taking over, nor the user waiting for
    words that were called off.
    """
    program = str(Path(__file__).with_name("mcp_program.py"))
    team = Team(spec, VendorSettings(), environ={"PATH": os.environ["PATH"]})
    team.prepare()
    await team.equip()
    async with Obedient() as model, AgentSession[None](llm=model) as conversation:
        seen = outputs(conversation)
        await conversation.start(team.begin(None))

        team.adopt(outsider(spec, "stuck", "sleep", "60"))
        stuck = asyncio.create_task(team.equip())
        await taken_over(conversation, team.successor("stuck", conversation))

        team.adopt(outsider(spec, "called off", "sleep", "60", within_s=0.5))
        equipping = asyncio.create_task(team.equip())
        hushed = team.successor("called off", conversation)
        await taken_over(conversation, hushed)
        hushed.hush()
        await equipping
        assert conversation.history.messages() == []

        team.adopt(outsider(spec, "librarian", sys.executable, program))
        # Two commands, one after the other, ask no server twice.
        both = asyncio.gather(team.equip(), team.equip())
        librarian = team.successor("librarian", conversation)
        await taken_over(conversation, librarian)
        assert librarian.tools == []
        assert conversation.history.messages() == []
        owed = asyncio.get_running_loop().create_future()
        conversation.once("conversation_item_added", owed.set_result)
        await both
        assert (await asyncio.wait_for(owed, scaled(10))).item.text_content == "I understand."
        programs = [each.cmdline() for each in psutil.Process().children()]
        assert str(programs).count("mcp_program") == 1
        await asked(conversation, 'call find_book {"title": "Emma"}')
        assert [(name, wrong) for name, _, wrong in seen] == [("find_book", False)]
        stuck.cancel()
    await team.close()


def test_what_is_said_while_a_tool_runs_comes_before_its_use() -> None:
    """So that a model answers with the result, and not after its own filler."""
    said = ChatContext.empty()
    said.add_message(role="user", content="Where is it?", created_at=1.0)
    call = FunctionCall(call_id="c", name="look", arguments="{}", created_at=2.0)
    output = FunctionCallOutput(
        call_id="c", name="look", output="here", is_error=False, created_at=4.0
    )
    said.insert([call, output])
    said.add_message(role="assistant", content="One moment.", created_at=3.0)
    said.items.sort(key=lambda item: item.created_at)
    kinds = [item.type for item in results_last(said).items]
    assert kinds == ["message", "message", "function_call", "function_call_output"]


def transfer(name: str, *, is_error: bool = False) -> Item:
    use = ToolUse(
        name="transfer",
        call_id="c",
        arguments=json.dumps({"agent": name}),
        output="",
        is_error=is_error,
    )
    return Item(id="i", role="tool", text="", interrupted=False, at=1.0, tool=use)


def test_whoever_takes_over_is_the_agent_who_talked_last(spec: AgentSpec) -> None:
    """A refused transfer, or one to an agent who is no longer there, changes nothing."""
    known = {**spec.team, spec.name: spec}
    assert current_agent([], known) is None
    assert current_agent([transfer("nurse")], known) == "nurse"
    assert current_agent([transfer("nurse"), transfer("vault")], known) == "nurse"
    assert current_agent([transfer("nurse", is_error=True)], known) is None


def test_who_only_writes_has_the_voice_of_the_conversation(tmp_path: Path) -> None:
    """Nobody has keys for speech of who only writes: where callers speak, the first one serves."""
    file = tmp_path / "agents.yaml"
    agents = {**AGENTS, "reception": {**AGENTS["reception"], "modality": "voice"}}
    document = {"version": 1, "default": "reception", "agents": agents}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    first = Catalog.load(file).resolve(Overrides())
    team = Team(first, VendorSettings(groq_api_key="k", assemblyai_api_key="k"), environ={})
    team.prepare()
    nurse = team.begin([transfer("nurse")])
    assert (nurse.id, nurse.stt, nurse.tts) == ("nurse", NOT_GIVEN, NOT_GIVEN)
