"""What one session may change of its agent: the `config` object of `POST /api/session/start`."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator
from pydantic.alias_generators import to_camel

from assistant.catalog.budget import Cost, Tokens
from assistant.catalog.fields import (
    AgentName,
    DurationSeconds,
    Frozen,
    Greeting,
    Instructions,
    Keyterms,
    Language,
    VoiceName,
    forbidden_character,
    shown,
    wrong,
)
from assistant.catalog.privacy import RecordMode

MetadataValue = str | int | float | bool

MAX_METADATA_ENTRIES = 32
MAX_METADATA_KEY_CHARS = 64
MAX_METADATA_VALUE_CHARS = 1024
MAX_METADATA_BYTES = 8 * 1024  # it travels with the record on every change of it
MAX_METADATA_NUMBER = 2**53  # beyond it JavaScript clients read another number than was sent


def _check_entry(key: object, value: object) -> None:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_METADATA_KEY_CHARS:
        limit = f"keys must be text of 1 to {MAX_METADATA_KEY_CHARS} characters"
        raise wrong(f"{limit}, got {shown(key)}")
    character = forbidden_character(key)
    if character is not None:
        raise wrong(f"keys must not contain {character}")
    if isinstance(value, str):
        character = forbidden_character(value)
        if character is not None:
            raise wrong(f"must not contain {character}", key)
        if len(value) > MAX_METADATA_VALUE_CHARS:
            limit = f"must be at most {MAX_METADATA_VALUE_CHARS} characters, got {len(value)}"
            raise wrong(limit, key)
    elif not isinstance(value, int | float):
        raise wrong(f"must be text, a number, true or false, got {shown(value)}", key)
    elif not math.isfinite(value) or abs(value) > MAX_METADATA_NUMBER:
        limit = f"must be a finite number of at most {MAX_METADATA_NUMBER}"
        raise wrong(f"{limit}, got {shown(value)}", key)


def _check_metadata(value: Any) -> dict[str, MetadataValue]:
    if not isinstance(value, dict):
        raise wrong(f"must be an object of text, numbers, true or false, got {shown(value)}")
    if len(value) > MAX_METADATA_ENTRIES:
        raise wrong(f"must have at most {MAX_METADATA_ENTRIES} entries, got {len(value)}")
    for key, item in value.items():
        _check_entry(key, item)
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_METADATA_BYTES:
        raise wrong(f"must be at most {MAX_METADATA_BYTES} bytes as JSON, got {size}")
    return dict(value)


# What the schema can say; the total size is checked, not stated.
_MetadataSchema = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)],
        Annotated[str, Field(max_length=MAX_METADATA_VALUE_CHARS)] | float | bool,
    ],
    Field(max_length=MAX_METADATA_ENTRIES),
]
Metadata = Annotated[
    Mapping[str, MetadataValue],
    PlainValidator(_check_metadata, json_schema_input_type=_MetadataSchema),
]


class Overrides(Frozen):
    """A session's wishes. Absent and null both mean the agent's own value, but for `greeting`."""

    model_config = ConfigDict(alias_generator=to_camel)

    agent: AgentName | None = None
    """An agent of agents.yaml. None: its `default`."""
    voice: VoiceName | None = None
    """A name out of `voices`, or a voice that an agent of the file uses."""
    system_prompt: Instructions | None = None
    """Replaces the agent's instructions; at most 16 KiB of UTF-8."""
    greeting: Greeting | None = None
    """What the agent says first. Absent: the agent's own greeting; null or empty: none."""
    language: Language | None = None
    """The language of the conversation, as a BCP-47 tag."""
    keyterms: Keyterms | None = None
    """Words that the caller is likely to say: names, products. At most 100 of 50 characters; they
    go before the agent's own, and with those are no more than 100."""
    metadata: Metadata | None = None
    """The caller's own facts: at most 32 entries of text, numbers, true or false, 8 KiB in all."""
    max_duration: DurationSeconds | None = None
    """Seconds until the session is ended, more than 0 and at most 86400. It may be longer than
    the agent's own limit for a secret key, only shorter for a publishable one."""
    max_tokens: Tokens | None = None
    """Tokens of language models until the session is ended; by the rule of `maxDuration`."""
    max_cost: Cost | None = None
    """What the session may cost until it is ended; by the rule of `maxDuration`."""
    record: RecordMode | None = None
    """What of the conversation is written down: `none`, `text` or `audio`. A publishable key may
    ask for less than the agent writes down, a secret key for more as well."""

    def given(self) -> tuple[str, ...]:
        """The names, as in `config`, of what the session really asks for."""
        fields = type(self).model_fields
        return tuple(
            field.alias or name
            for name, field in fields.items()
            if name in self.model_fields_set
            and (name == "greeting" or getattr(self, name) is not None)
        )
