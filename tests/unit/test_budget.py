"""What a session may use, and what is said when its time or its budget ends."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from livekit.agents import AgentSession, APIConnectOptions, ChatContext
from livekit.agents.llm import (
    LLM,
    ChatChunk,
    ChoiceDelta,
    CompletionUsage,
    FunctionToolCall,
    LLMStream,
    Tool,
)

from assistant.catalog import Catalog
from assistant.catalog.agent import AgentSpec, Limits
from assistant.catalog.budget import Budget
from assistant.catalog.prices import Price, Prices
from assistant.catalog.providers import GroqOptions
from assistant.sessions import events as ev
from assistant.sessions.record import Reason, Session, State
from assistant.sessions.usage import Spent, Usage
from assistant.settings import VendorSettings
from assistant.worker.limits.last_words import last_words, warning_at
from assistant.worker.limits.purse import Purse
from assistant.worker.limits.spending import Spending
from assistant.worker.team import Team
from tests.timing import scaled

LLAMA = GroqOptions(provider="groq", model="llama")
PRICES = Prices(
    currency="EUR", models={"groq": {"llama": Price(input_tokens=1e5, output_tokens=2e5)}}
)
SESSION = Session(
    id="s",
    user_id="u",
    room="va-s",
    state=State.ACTIVE,
    created_at=0.0,
    agent="first",
    spec="{}",
    attempt=1,
    max_duration_s=600.0,
    user_join_timeout_s=60.0,
    user_return_timeout_s=30.0,
    queued_at=95.0,
)
AGENT: dict[str, Any] = {
    "title": "A",
    "instructions": "Help.",
    "stt": {"provider": "assemblyai"},
    "llm": {"provider": "groq"},
    "tts": {"provider": "inworld", "voice": "Ashley"},
    "modality": "text",
}


def used(tokens: int, cost: float | None = None) -> Spent:
    usage = Usage(kind="llm", provider="groq", model="llama", input_tokens=tokens, cost=cost)
    return Spent(models=(usage,), currency="EUR")


def test_what_was_used_before_counts() -> None:
    """A killed attempt's tokens and money are gone; speech has no tokens, but costs."""
    now = used(5, 0.5)
    purse = Purse(Budget(max_tokens=10, max_cost=2.0), PRICES, spent=lambda: now, before=used(4))
    assert purse.used_up() is None
    now = used(6, 0.5)
    assert purse.used_up() == "tokens"
    speech = Usage(kind="tts", provider="inworld", model="v", input_tokens=99, cost=2.0)
    now = Spent(models=(speech,), currency="EUR")
    assert purse.used_up() == "cost"


def test_a_call_that_says_nothing_of_its_use_is_estimated() -> None:
    """An interrupted one by its length, in tokens and in money; a refused one costs nothing."""
    told: list[None] = []
    purse = Purse(Budget(max_tokens=30), PRICES, spent=Spent, tell=lambda: told.append(None))
    context = ChatContext.empty()
    context.add_message(role="user", content="x" * 80)
    with pytest.raises(ConnectionError), purse.call(LLAMA, context):
        raise ConnectionError
    assert purse.used_up() is None
    with purse.call(LLAMA, context) as call:
        call.heard(ChatChunk(id="1", delta=ChoiceDelta(content="y" * 40)))
    assert purse.used_up() == "tokens", "80 and 40 characters are 30 tokens"
    assert len(told) == 2
    counted = Purse(Budget(max_tokens=1), PRICES, spent=Spent)
    with counted.call(LLAMA, context) as call:
        usage = CompletionUsage(completion_tokens=1, prompt_tokens=1, total_tokens=2)
        call.heard(ChatChunk(id="1", usage=usage))
    assert counted.used_up() is None, "the vendor's own count goes another way"
    dear = Purse(Budget(max_cost=4.0), PRICES, spent=Spent)
    with dear.call(LLAMA, context) as call:
        call.heard(ChatChunk(id="1", delta=ChoiceDelta(content="y" * 40)))
    assert dear.used_up() == "cost", "20 tokens at 0.1, and 10 at 0.2"


@pytest.mark.parametrize(
    ("limits", "changes", "at"),
    [
        ({}, {}, None),
        ({"warning_s": 60.0}, {}, 640.0),
        ({"warning_s": 60.0}, {"max_duration_s": 900.0}, 835.0),
        ({"warning_s": 60.0}, {"max_duration_s": 120.0}, 160.0),
        ({"warning_s": 60.0}, {"max_duration_s": 119.0}, None),
        ({"warning_s": 60.0}, {"queued_at": None}, 640.0),
    ],
)
def test_when_a_caller_is_warned(
    limits: dict[str, Any], changes: dict[str, Any], at: float | None
) -> None:
    """Before whichever end comes first: its own, or the service's time-out; not in short ones."""
    session = replace(SESSION, **changes)
    found = warning_at(session, Limits(**limits), active_at=100.0, session_timeout_s=800.0)
    assert found == at


class Runaway(LLM[Any]):
    """Calls a tool for ever; each request costs ten tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @property
    def model(self) -> str:
        return "llama-3.3-70b-versatile"

    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[Tool] | None = None,
        conn_options: Any = None,
        **_rest: Any,
    ) -> "RunawayStream":
        self.asked += 1
        return RunawayStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class RunawayStream(LLMStream):
    async def _run(self) -> None:
        last = self._chat_ctx.items[-1]
        name, arguments = "date_time", "{}"
        if last.type == "message" and last.text_content == "transfer":
            name, arguments = "transfer", '{"agent": "second"}'
        call = FunctionToolCall(name=name, arguments=arguments, call_id=f"c{id(self)}")
        delta = ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(ChatChunk(id="1", delta=delta))
        usage = CompletionUsage(completion_tokens=4, prompt_tokens=6, total_tokens=10)
        self._event_ch.send_nowait(ChatChunk(id="1", usage=usage))


@pytest.fixture
def spec(tmp_path: Path) -> AgentSpec:
    clock = {"type": "date_time"}
    transfer = {"type": "transfer", "to": {"second": "Always."}}
    first = {**AGENT, "tools": [clock, transfer], "budget": {"max_tokens": 55, "sentence": "Bye."}}
    second = {**AGENT, "tools": [clock]}
    document = {"version": 1, "default": "first", "agents": {"first": first, "second": second}}
    file = tmp_path / "agents.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return Catalog.load(file).agents["first"]


@pytest.mark.parametrize("words", ["go", "transfer"])
async def test_a_runaway_is_stopped_within_its_turn(spec: AgentSpec, words: str) -> None:
    """Before the call after the one that used it up, whoever has the conversation by then.

    Then comes the farewell, then the end with its reason.
    """
    told: list[ev.Event] = []
    written: list[Spent] = []
    spending = Spending(written.append, spec, None)
    purse = Purse(spec.budget, None, spent=spending.so_far, tell=spending.tell)
    team = Team(spec, VendorSettings(), purse=purse, environ={})
    team.prepare()
    await team.equip()
    model = Runaway()
    async with (
        model,
        AgentSession[None](llm=model, max_tool_steps=50) as conversation,
    ):
        spending.follow(conversation)
        await conversation.start(team.begin(None))
        (ending,) = last_words(
            SESSION,
            spec,
            told.append,
            conversation.say,
            spoken=lambda: conversation.current_speech,
            purse=purse,
            session_timeout_s=800.0,
        )
        conversation.generate_reply(user_input=words)
        async with asyncio.timeout(scaled(10)):
            await ending
        assert model.asked == 6, "60 tokens, of which the last call began at 50"
        assert conversation.history.messages()[-1].text_content == "Bye."
        assert conversation.current_agent.id == ("second" if words == "transfer" else "first")
    await team.close()
    (ended,) = told
    assert isinstance(ended, ev.EndRequested)
    assert (ended.reason, ended.detail) == (Reason.BUDGET, "its budget is used up: tokens")
    tokens = [sum(m.input_tokens + m.output_tokens for m in spent.models) for spent in written]
    assert tokens == [10, 20, 30, 40, 50, 60], "a killed job has used what it had used"


class Endless(LLM[Any]):
    """Begins an answer and never ends it."""

    def chat(self, *, chat_ctx: ChatContext, **_rest: Any) -> "EndlessStream":
        options = APIConnectOptions(max_retry=0)
        return EndlessStream(self, chat_ctx=chat_ctx, tools=[], conn_options=options)


class EndlessStream(LLMStream):
    async def _run(self) -> None:
        delta = ChoiceDelta(role="assistant", content="Once upon a time ")
        self._event_ch.send_nowait(ChatChunk(id="1", delta=delta))
        await asyncio.Event().wait()


async def test_a_warning_does_not_wait_for_an_endless_answer(spec: AgentSpec) -> None:
    """It gives the answer half of the time that is left, then it is said."""
    limits = Limits(warning_s=1.0, warning_sentence="Time is up.", max_duration_s=600.0)
    spec = spec.model_copy(update={"limits": limits})
    begun_at = time.time()
    # Due in 0.3 s.
    session = replace(SESSION, active_at=begun_at - 598.7, queued_at=None)
    team = Team(spec, VendorSettings(), environ={})
    team.prepare()
    await team.equip()
    async with Endless() as model, AgentSession[None](llm=model) as conversation:
        await conversation.start(team.begin(None))
        (warning,) = last_words(
            session,
            spec,
            lambda _event: None,
            conversation.say,
            spoken=lambda: conversation.current_speech,
            purse=None,
            session_timeout_s=800.0,
        )
        answer = conversation.generate_reply(user_input="Tell me a story.")
        async with asyncio.timeout(scaled(10)):
            await warning
            await answer
            said = conversation.current_speech
            if said is not None:
                await said
        assert time.time() - begun_at >= 0.8
        assert answer.interrupted
        assert conversation.history.messages()[-1].text_content == "Time is up."
    await team.close()
