"""What an agent can do besides talking: its tools, as agents.yaml declares them."""

import re
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from assistant.catalog.fields import (
    FAILURE_PATTERN,
    FUNCTION_PATTERN,
    TOOL_NAME_PATTERN,
    AgentName,
    EnvName,
    Frozen,
    HttpUrl,
    Sentence,
    Text,
    Word,
    shown,
    shown_url,
    wrong,
)
from assistant.catalog.json_schemas import check_json_schema

BUILT_IN = frozenset({"end_call", "date_time", "transfer"})
MAX_TOOLS = 32  # Every turn sends all of them to the model.

_ENVIRONMENT = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_ARGUMENT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HOST = re.compile(r"^(https?://[^/?#{}\s@$]+|\$\{[A-Z_][A-Z0-9_]*\})(?=[/?]|$)")
_HEADER_NAME = re.compile(r"^[A-Za-z0-9-]+$")


def environment_names(text: str) -> tuple[str, ...]:
    """The variables that `text` takes from the environment, as `${NAME}`."""
    return tuple(_ENVIRONMENT.findall(text))


def filled(text: str, environ: dict[str, str]) -> str:
    """`text` with each `${NAME}` replaced; of what is not set, nothing is left."""
    return _ENVIRONMENT.sub(lambda match: environ.get(match[1], ""), text)


def argument_names(url: str) -> frozenset[str]:
    """The arguments that a URL takes, as `{name}`."""
    return frozenset(_ARGUMENT.findall(_ENVIRONMENT.sub("", url)))


def with_arguments(url: str, values: dict[str, str]) -> str:
    """`url` with each `{name}` replaced by `values[name]`, which is quoted already."""
    return _ARGUMENT.sub(lambda match: values[match[1]], url)


def _tool_url(url: str) -> str:
    if not _HOST.match(url):
        allowed = "must begin with http://, https:// or ${NAME}; its host holds no argument"
        raise wrong(f"{allowed}{shown_url(url)}")
    if re.search(r"[\s#]", url):
        raise wrong(f"must not hold spaces or '#'{shown_url(url)}")
    return url


def _header(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.match(name):
            raise wrong("is not a header's name: letters, digits and '-'", name)
        if "\r" in value or "\n" in value:
            raise wrong("must be one line", name)
    return headers


def _json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    check_json_schema(schema)
    if schema.get("type") != "object":
        got = shown(schema.get("type"))
        raise wrong(f"must be of type 'object', got {got}; its properties are the arguments")
    # Otherwise whatever a caller talks the model into would be part of the request.
    return {**schema, "additionalProperties": schema.get("additionalProperties", False)}


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        allowed = "is not a time zone such as 'Europe/Berlin' or 'UTC'"
        raise wrong(f"{allowed}, got {shown(name)}") from error
    return name


ToolName = Annotated[str, Field(pattern=TOOL_NAME_PATTERN)]
Headers = Annotated[dict[Word, Text], Field(max_length=20), AfterValidator(_header)]
ToolSeconds = Annotated[float, Field(gt=0, le=60)]


class BaseTool(Frozen):
    """What all tools share."""

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that must be set."""
        return ()


class Tool(BaseTool):
    """What the tools share that take time."""

    timeout_s: ToolSeconds = 10.0
    """Seconds until a call is given up; the model is told so."""
    filler: Sentence | None = None
    """What the agent says while a call is slow: "One moment, please." None: nothing."""
    filler_after_s: Annotated[float, Field(ge=0, le=30)] = 1.5
    """Seconds of silence until `filler` is said."""


class EndCallTool(BaseTool):
    """The agent may end the conversation."""

    type: Literal["end_call"]
    """Which kind of tool it is."""
    goodbye: Sentence | None = None
    """What the agent says last. None: what it was about to say."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("end_call",)


class DateTimeTool(BaseTool):
    """The agent may look at the clock."""

    type: Literal["date_time"]
    """Which kind of tool it is."""
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_time_zone)] = "UTC"
    """An IANA time zone."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("date_time",)


class TransferTool(BaseTool):
    """The agent may hand the conversation to another agent of the file."""

    type: Literal["transfer"]
    """Which kind of tool it is."""
    to: Annotated[dict[AgentName, Sentence], Field(min_length=1, max_length=16)]
    """The agents, each with when to choose it, in words for the model."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("transfer",)


class PythonTool(Tool):
    """A function of your own; its type hints and docstring are what the model sees."""

    type: Literal["python"]
    """Which kind of tool it is."""
    function: Annotated[str, Field(pattern=FUNCTION_PATTERN, max_length=256)]
    """`package.module:function`, importable where the worker runs."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.function.rpartition(":")[2],)


class HttpTool(Tool):
    """A request to a service of yours."""

    type: Literal["http"]
    """Which kind of tool it is."""
    name: ToolName
    """What the model calls it."""
    description: Sentence
    """What it does and when to use it, in words for the model."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """How the request is made."""
    url: Annotated[Text, Field(max_length=2048), AfterValidator(_tool_url)]
    """Where to; `{name}` in path or query stands for an argument, `${NAME}` at the beginning for
    an environment variable. Arguments that the URL does not name go into the query of GET and
    DELETE, into a JSON body otherwise."""
    parameters: Annotated[dict[str, Any], AfterValidator(_json_schema)] = Field(
        default_factory=lambda: {
            "type": "object",
            "properties": {},
            "additionalProperties": False,
        }
    )
    """JSON Schema of the arguments. What does not fit never leaves the worker; neither does what
    it does not name, unless it says `additionalProperties`."""
    headers: Headers = Field(default_factory=dict)
    """Sent with each request; `${NAME}` stands for an environment variable."""
    max_response_bytes: Annotated[int, Field(ge=1, le=65_536)] = 8192
    """How much of an answer the model may read; a longer one is an error."""
    errors: Annotated[
        dict[Annotated[str, Field(pattern=FAILURE_PATTERN)], Sentence],
        Field(max_length=20),
    ] = Field(default_factory=dict)
    """Words for the model, by status, `timeout` or `unreachable`: `"404": No such order.`"""
    allow_internal: bool = False
    """Whether the host may be in a private network or on this machine."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def environment(self) -> tuple[str, ...]:
        texts = (self.url, *self.headers.values())
        return tuple(name for text in texts for name in environment_names(text))

    @model_validator(mode="after")
    def _arguments_are_declared(self) -> Self:
        properties = self.parameters.get("properties", {})
        required = self.parameters.get("required", [])
        for name in sorted(argument_names(self.url)):
            if name not in properties or name not in required:
                raise wrong(f"'{{{name}}}' must be a required property of parameters", "url")
        return self


class McpTool(Tool):
    """Tools of an MCP server, over HTTP or as a program that the worker runs."""

    type: Literal["mcp"]
    """Which kind of tool it is."""
    url: HttpUrl | None = None
    """Where the server is, for streamable HTTP; either this or `command`."""
    command: Annotated[tuple[Word, ...], Field(min_length=1, max_length=32)] | None = None
    """A program and its arguments, spoken to over its standard input and output. `python` is the
    worker's own."""
    env: Annotated[tuple[EnvName, ...], Field(max_length=32)] = ()
    """The worker's variables that the program may see; of the others it gets none but the
    likes of PATH and HOME."""
    headers: Headers = Field(default_factory=dict)
    """Sent to `url`; `${NAME}` stands for an environment variable."""
    allow: Annotated[tuple[ToolName, ...], Field(min_length=1, max_length=MAX_TOOLS)]
    """The server's tools that the model may use; the others do not exist for it."""
    allow_internal: bool = False
    """Whether `url` may be in a private network or on this machine."""
    connect_timeout_s: ToolSeconds = 5.0
    """Seconds from the session's start until a server that is not there costs its tools; a caller
    who says something before then waits for them."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.allow

    @property
    def environment(self) -> tuple[str, ...]:
        named = (name for text in self.headers.values() for name in environment_names(text))
        return (*self.env, *named)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.command is None):
            got = "neither" if self.url is None else "both"
            raise wrong(f"needs either url or command, got {got}", "url")
        return self


AnyTool = Annotated[
    EndCallTool | DateTimeTool | TransferTool | PythonTool | HttpTool | McpTool,
    Field(discriminator="type"),
]


def _distinct(tools: tuple[AnyTool, ...]) -> tuple[AnyTool, ...]:
    seen: set[str] = set()
    for kind, name in ((tool.type, name) for tool in tools for name in tool.names):
        if name in seen:
            raise wrong(f"two tools are called '{name}'; the model knows them by their names alone")
        if name in BUILT_IN and kind != name:
            raise wrong(f"'{name}' is the name of a tool that comes with the assistant")
        seen.add(name)
    return tools


Tools = Annotated[tuple[AnyTool, ...], Field(max_length=MAX_TOOLS), AfterValidator(_distinct)]


class ToolLimits(Frozen):
    """What an agent's tools may cost in one session; beyond it, calls are refused to the model."""

    max_calls: Annotated[int, Field(ge=0, le=1000)] = 50
    """Calls in all."""
    max_total_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Seconds of calls in all."""
    max_result_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    """Tokens of results in all, counted as four bytes each."""
