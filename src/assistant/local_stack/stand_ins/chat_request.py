"""A chat completion's request, as far as the stand-in reads it, and what it may answer."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: A conversation of hours fits; more is a client gone wrong.
MAX_MESSAGES = 2_000
MAX_TOOLS = 128


class _Wire(BaseModel):
    # The vendor's clients send fields that come and go; what isn't read here is left alone.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text parts together; images and sounds are passed over."""
        if isinstance(self.content, list):
            return " ".join(str(part.get("text", "")) for part in self.content).strip()
        return self.content or ""


class Function(_Wire):
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class Tool(_Wire):
    type: Literal["function"]
    function: Function


class NamedFunction(_Wire):
    name: str


class NamedChoice(_Wire):
    type: Literal["function"]
    function: NamedFunction


class StreamOptions(_Wire):
    include_usage: bool = False


class ChatRequest(_Wire):
    """Source: the vendor's API reference, "Create chat completion"."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | NamedChoice | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class Spoken:
    """An answer in words."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """An answer that calls a tool; `arguments` is JSON."""

    name: str
    arguments: str


Answer = Spoken | ToolCall
