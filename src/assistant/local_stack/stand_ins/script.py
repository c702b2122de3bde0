"""The YAML that extends the stand-ins: what to reply, and what scripted recognition hears."""

import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from assistant.local_stack.stand_ins.errors import ScriptError

#: A script is written by hand; anything larger is the wrong file.
MAX_SCRIPT_BYTES = 1 << 20

DEFAULT_UTTERANCES = (
    "What time is it?",
    "Tell me a joke.",
    "What is two plus two?",
    "Thank you.",
)


class ReplyRule(BaseModel):
    """One pattern and its answer.

    `pattern` is a regular expression searched in what the user said, ignoring case. `reply` may
    hold `{0}` (the whole match) and `{1}`, `{2}`... (its groups).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str = Field(min_length=1)
    reply: str = Field(min_length=1)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


class Script(BaseModel):
    """`replies` come before the built-in manners; `utterances` are heard in turn, over and over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replies: tuple[ReplyRule, ...] = ()
    utterances: tuple[str, ...] = Field(default=DEFAULT_UTTERANCES, min_length=1)


def load_script(path: Path | None) -> Script:
    """Read a script; None gives the empty one.

    Raises:
        ScriptError: it cannot be read, is no YAML, or has unknown keys or wrong values.
    """
    if path is None:
        return Script()
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SCRIPT_BYTES + 1)
        if len(raw) > MAX_SCRIPT_BYTES:
            raise ScriptError(path, f"larger than {MAX_SCRIPT_BYTES} bytes")
        return Script.model_validate(yaml.safe_load(raw) or {})
    except (OSError, yaml.YAMLError) as error:
        raise ScriptError(path, str(error)) from error
    except ValidationError as error:
        details = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the file'}: {item['msg']}"
            for item in error.errors()
        )
        raise ScriptError(path, details) from error
