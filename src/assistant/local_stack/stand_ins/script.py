"""The YAML that extends the stand-ins: what to reply or call, and what recognition hears."""

import re
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from assistant.local_stack.stand_ins.errors import ScriptError

#: A script is written by hand; anything larger is the wrong file.
MAX_SCRIPT_BYTES = 1 << 20

DEFAULT_UTTERANCES = (
    "What time is it?",
    "Tell me a joke.",
    "What is two plus two?",
    "Thank you.",
)


class CallRule(BaseModel):
    """A tool to call, offered or not; `arguments` is its JSON. Both may hold groups, as replies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    arguments: str = "{}"


class ReplyRule(BaseModel):
    """One pattern and what follows from it: words, or the call of a tool.

    `pattern` is a regular expression searched, ignoring case, in what the user said, or in what a
    tool gave back. `reply` may hold `{0}` (the whole match) and `{1}`, `{2}`... (its groups).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str = Field(min_length=1)
    source: Literal["user", "tool"] = "user"
    reply: str | None = Field(default=None, min_length=1)
    call: CallRule | None = None

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if (self.reply is None) == (self.call is None):
            raise ValueError("needs either reply or call")
        return self


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
