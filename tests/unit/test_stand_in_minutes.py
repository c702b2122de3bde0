"""The stand-in language model fills a schema from what was said, and from nothing else."""

import json
from datetime import UTC, datetime

from assistant.local_stack.stand_ins.chat_request import ChatRequest, Spoken
from assistant.local_stack.stand_ins.minutes import asked_schema, minutes
from assistant.local_stack.stand_ins.responder import Responder

TALK = (
    "assistant: Hello!\ncaller: My name is Ada.\ncaller: A table for four on monday.\n"
    "assistant: It is booked."
)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "people": {"type": "integer"},
        "day": {"type": "string", "enum": ["monday", "tuesday"]},
        "email": {"type": ["string", "null"]},
        "verdict": {
            "type": "object",
            "description": "A table was booked.",
            "properties": {"met": {"type": "boolean"}, "reason": {"type": "string"}},
        },
    },
    "required": ["email"],
}


def test_facts_come_from_the_conversation() -> None:
    """What was said is found, what was not is null or absent."""
    filled = json.loads(minutes(SCHEMA, TALK))
    assert filled == {
        "name": "Ada",
        "people": 4,
        "day": "monday",
        "email": None,
        "verdict": {"met": True, "reason": "All of it was mentioned."},
    }
    silent = json.loads(minutes(SCHEMA, "assistant: Hello!"))
    assert silent["email"] is None
    assert silent["verdict"]["met"] is False
    assert "name" not in silent


def test_the_responder_knows_such_a_request() -> None:
    """By the schema in its system prompt; a prompt without one is answered as ever."""
    system = f"Answer with JSON. JSON Schema: {json.dumps(SCHEMA)}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": TALK}]
    request = ChatRequest.model_validate({"model": "m", "messages": messages})
    answer = Responder(clock=lambda: datetime.now(UTC)).answer(request)
    assert isinstance(answer, Spoken)
    assert json.loads(answer.text)["name"] == "Ada"
    assert asked_schema("You are helpful.") is None
    assert asked_schema("JSON Schema: {broken") is None
