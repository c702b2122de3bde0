"""The scripted conversationalist."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from assistant.local_stack.stand_ins.chat_request import Answer, ChatRequest, Spoken, ToolCall
from assistant.local_stack.stand_ins.responder import FAREWELL, GREETING, JOKES, Responder
from assistant.local_stack.stand_ins.script import ReplyRule

NOON = datetime(2026, 3, 5, 16, 5, tzinfo=UTC)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather somewhere",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["location"],
        },
    },
}
END_CALL = {"type": "function", "function": {"name": "end_call"}}


def answer(*messages: tuple[str, str], rules: tuple[ReplyRule, ...] = (), **more: Any) -> Answer:
    request = ChatRequest.model_validate(
        {
            "model": "any",
            "messages": [{"role": role, "content": text} for role, text in messages],
            **more,
        }
    )
    return Responder(rules, clock=lambda: NOON).answer(request)


def said(text: str) -> str:
    reply = answer(("system", "You are helpful."), ("user", text))
    assert isinstance(reply, Spoken)
    return reply.text


@pytest.mark.parametrize(
    ("heard", "reply"),
    [
        ("What time is it?", "It is 4:05 PM."),
        ("what's the time", "It is 4:05 PM."),
        ("can you tell me the time please", "It is 4:05 PM."),
        ("what is the date today", "Today is Thursday, March 5, 2026."),
        ("what is the day to day", "Today is Thursday, March 5, 2026."),
        ("Hello there.", GREETING),
        ("What is two plus two?", "2 plus 2 is 4."),
        ("one is two plus two", "2 plus 2 is 4."),
        ("Tell me a joke", JOKES[0]),
        ("tell me a job please", JOKES[0]),
        ("Repeat after me, the quick brown fox.", "The quick brown fox."),
        ("say good morning everyone", "Good morning everyone"),
        ("Goodbye.", FAREWELL),
        ("good bye now", FAREWELL),
        ("thank you", "You are welcome."),
        ("The sky is green.", "I heard you say: The sky is green."),
    ],
)
def test_manners(heard: str, reply: str) -> None:
    """Each of the promised manners answers, also to what sloppy recognition makes of the words."""
    assert said(heard) == reply


def test_system_prompt_is_honoured() -> None:
    """The name, or else the first sentence, of the system prompt can be asked for."""
    named = answer(("system", "Your name is Bob. Be brief."), ("user", "what is your name"))
    told = answer(("system", "You are a pirate. Be rude."), ("user", "Who are you?"))
    assert named == Spoken("My name is Bob.")
    assert told == Spoken("I was told: You are a pirate.")


def test_instructions_at_the_end() -> None:
    """Instructions after the conversation are carried out: greeting, quotation, message."""
    start = ("system", "You are helpful.")
    assert answer(start, ("system", "Greet the user.")) == Spoken(GREETING)
    assert answer(start, ("system", 'Say "all done" now.')) == Spoken("all done")
    told = answer(start, ("user", "hi"), ("system", "Tell the user that lunch is ready."))
    assert told == Spoken("Lunch is ready.")
    assert answer(start) == Spoken(GREETING)


def test_remembers_the_name() -> None:
    """A name told earlier in the conversation is known later."""
    reply = answer(("user", "My name is Peter."), ("assistant", "Hi"), ("user", "What is my name?"))
    assert reply == Spoken("Your name is Peter.")


def test_tool_is_called_when_the_words_ask_for_it() -> None:
    """The words choose the tool and fill its arguments; other words leave it alone."""
    call = answer(("user", "What is the weather in New York?"), tools=[WEATHER, END_CALL])
    assert isinstance(call, ToolCall)
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"location": "new york"}
    assert isinstance(answer(("user", "Hello"), tools=[WEATHER]), Spoken)
    bye = answer(("user", "Goodbye"), tools=[WEATHER, END_CALL])
    assert bye == ToolCall("end_call", "{}")


def test_tool_choice() -> None:
    """`none` forbids, `required` and a named function force a call."""
    asked = ("user", "weather in Rome")
    assert isinstance(answer(asked, tools=[WEATHER], tool_choice="none"), Spoken)
    assert isinstance(answer(("user", "hi"), tools=[WEATHER], tool_choice="required"), ToolCall)
    named = {"type": "function", "function": {"name": "end_call"}}
    forced = answer(asked, tools=[WEATHER, END_CALL], tool_choice=named)
    assert forced == ToolCall("end_call", "{}")


def test_tool_result_is_spoken() -> None:
    """What a tool returned is said, whether it is text or JSON."""
    asked = ("user", "weather in Rome")
    assert answer(asked, ("tool", "Sunny and warm.")) == Spoken("Sunny and warm.")
    given = json.dumps({"type": "text", "text": "Sunny.", "annotations": None, "_meta": None})
    assert answer(asked, ("tool", given)) == Spoken("Sunny."), "as MCP servers give it"
    assert answer(asked, ("tool", '{"sky": "clear", "degrees_c": 21}')) == Spoken(
        "sky is clear, degrees c is 21."
    )


def test_rules_come_first() -> None:
    """A rule of the script beats the manners and can quote what it matched."""
    rule = ReplyRule(pattern=r"time in (\w+)", reply="In {1} it is late. {9}")
    assert answer(("user", "What time in Paris?"), rules=(rule,)) == Spoken("In Paris it is late. ")


def tool(name: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


@pytest.mark.parametrize(
    ("words", "name", "arguments"),
    [
        ("status of my order, number one two three four", "order_status", {"number": "1234"}),
        ("the order status of 5555 please", "order_status", {"number": "5555"}),
        ("I need the technician, please", "transfer", {"agent": "technician"}),
        ("the answer is seven", "check_answer", {"exercise": "3 plus 4", "answer": 7}),
    ],
)
def test_arguments_have_the_wanted_form(words: str, name: str, arguments: dict[str, Any]) -> None:
    """By a pattern, by the choices there are, and by what a tool gave back under that name."""
    tools = [
        tool("order_status", number={"type": "string", "pattern": "^[0-9]{3,8}$"}),
        tool("transfer", agent={"type": "string", "enum": ["billing", "technician"]}),
        tool("check_answer", exercise={"type": "string"}, answer={"type": "integer"}),
    ]
    given = ("tool", '{"exercise": "3 plus 4"}')
    called = answer(("user", "hi"), given, ("user", words), tools=tools)
    assert isinstance(called, ToolCall)
    assert (called.name, json.loads(called.arguments)) == (name, arguments)


@pytest.mark.parametrize("source", ["user", "tool"])
def test_a_rule_may_call_a_tool(source: str) -> None:
    """Offered or not, with groups filled in; on what the user said, or what a tool gave back."""
    rule = ReplyRule.model_validate(
        {
            "pattern": r"call (\w+) (\{.*\})",
            "source": source,
            "call": {"name": "{1}", "arguments": "{2}"},
        }
    )
    called = answer(("user", "hi"), (source, 'now call burn {"all": true}'), rules=(rule,))
    assert called == ToolCall("burn", '{"all": true}')
    other = "tool" if source == "user" else "user"
    assert isinstance(answer(("user", "x"), (other, "call burn {}"), rules=(rule,)), Spoken)
    with pytest.raises(ValueError, match="either reply or call"):
        ReplyRule(pattern="x")


def test_a_half_answer_is_gone_on_with() -> None:
    """Who is asked to go on says what is left; with a tool to call, the call is left."""
    go_on = ("system", "Your last answer broke off in the middle. Go on with it.")
    asked = ("user", "Repeat after me, the quick brown fox.")
    assert answer(asked, ("assistant", "The quick "), go_on) == Spoken("brown fox.")
    assert answer(asked, ("assistant", "The quick brown fox."), go_on) == Spoken("")
    called = answer(("user", "Weather in Oslo?"), ("assistant", "Well,"), go_on, tools=[WEATHER])
    assert isinstance(called, ToolCall)
