"""What is made of a conversation when it is over: `report` and `recording` of an agent."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from assistant.catalog.fields import FixedWords, Frozen, Greeting, wrong
from assistant.catalog.json_schemas import check_json_schema

MAX_CRITERIA = 10  # each is a sentence that the model judges within seconds
MAX_SCHEMA_BYTES = 8 * 1024  # the schema is sent with the conversation, and stored with a session
# A reference to elsewhere would have to be fetched; one within could go round in a circle.
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})


def _check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(schema, ensure_ascii=False).encode())
    if size > MAX_SCHEMA_BYTES:
        raise wrong(f"must be at most {MAX_SCHEMA_BYTES} bytes as JSON, got {size}")
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        raise wrong("must describe an object: `type: object` with `properties`")
    for reference in _REFERENCES & _keys(schema):
        raise wrong(f"must not use {reference}; write what it stands for in its place")
    check_json_schema(schema)
    return schema


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def _not_blank(text: str) -> str:
    if not text.strip():
        raise wrong("must not be blank")
    return text


class Extract(Frozen):
    """Facts that are taken out of the conversation."""

    model_config = ConfigDict(serialize_by_alias=True)

    json_schema: Annotated[dict[str, Any], AfterValidator(_check_schema)] = Field(alias="schema")
    """A JSON Schema (draft 2020-12) of an object, at most 8 KiB and without `$ref`. Its
    descriptions tell the model what to look for."""


Criterion = Annotated[str, Field(max_length=300), AfterValidator(_not_blank)]


class Report(Frozen):
    """What the agent's language model makes of a conversation that is over.

    What needs no model (transcript, latencies, usage, tools, errors) is in every report.
    """

    summary: bool = False
    """Whether it is summed up in a few sentences."""
    success_criteria: Annotated[tuple[Criterion, ...], Field(max_length=MAX_CRITERIA)] = ()
    """Sentences that are true of a conversation that went well, each judged with a reason."""
    extract: Extract | None = None
    """Facts to take out of it. None: none."""

    @property
    def asks(self) -> bool:
        """Whether there is anything to ask a language model."""
        return self.summary or bool(self.success_criteria) or self.extract is not None


class Recording(Frozen):
    """How both sides of a conversation are recorded, where `record` is `audio`."""

    consent: Annotated[Greeting, FixedWords, AfterValidator(_not_blank)] | None = None
    """What the agent says before anything else where it is recorded. None: nothing; whether
    callers must be told is a question of the law where they live."""
