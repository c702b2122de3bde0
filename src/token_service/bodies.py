"""Request bodies: read within bounds, parsed strictly, and what each route takes."""

import json
import math
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from assistant.catalog import Overrides
from assistant.catalog.fields import AgentName, Instructions
from assistant.sessions.command import MAX_TEXT_CHARS
from assistant.sessions.record import MAX_USER_ID_CHARS, is_session_id, is_user_id
from token_service.arriving import header, read_body
from token_service.errors import (
    BodyInvalidError,
    BodySyntaxError,
    BodyTypeError,
    FieldProblem,
)

MAX_BODY_BYTES = 64 * 1024  # a 16 KiB prompt, escaped, and 8 KiB of metadata fit
MAX_DEPTH = 16  # ours are 4 deep
MAX_NUMBER_CHARS = 32  # beyond a double's precision; longer ones only burn time
MAX_IDENTITY_BYTES = 256  # livekit-server 1.13.5 refuses longer identities
MAX_REASON_CHARS = 500
MAX_SESSION_KEY_CHARS = 128
MAX_PROBLEMS = 20  # told in one answer


Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        BodyError: it is none.
    """
    # No other type: pages of other origins may send those without asking.
    content_type = header(request, b"content-type") or ""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BodyTypeError
    return parse_object(await read_body(request, limit))


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as `model`.

    Raises:
        BodyError: it is none; an invalid one names every wrong field.
    """
    return validated(model, await read_json(request, MAX_BODY_BYTES))


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object, without what Python's parser adds to JSON or silently drops.

    Raises:
        BodySyntaxError: not JSON, or NaN, Infinity, a repeated key, an overlong number, or too
            deep.
        BodyInvalidError: not an object, or a text with NUL or a lone surrogate in it.
    """
    try:
        value = _decoded(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise BodySyntaxError("it is not UTF-8") from None
    except RecursionError:
        raise BodySyntaxError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise BodySyntaxError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    if _needs_a_look(body):
        _check(value)
    if not isinstance(value, dict):
        raise BodyInvalidError(FieldProblem("", "the body must be a JSON object"))
    return value


def _decoded(text: str) -> Any:
    # To look for spaces around it takes the decoder longer than to read a body of ours.
    if text.startswith("{"):
        value, end = _STRICT.raw_decode(text)
        if end == len(text):
            return value
    return _STRICT.decode(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise BodySyntaxError(f"{_shown(twice)} is there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise BodySyntaxError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise BodySyntaxError(f"a number is longer than {MAX_NUMBER_CHARS} digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text) if len(text) <= MAX_NUMBER_CHARS else math.inf
    if not math.isfinite(number):
        raise BodySyntaxError("a number is too large or too long")
    return number


_STRICT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_no_constant,
    parse_int=_integer,
    parse_float=_number,
)


def _needs_a_look(body: bytes) -> bool:
    """Whether its value could be too deep, or hold NUL or a lone surrogate.

    Those two can only be escaped: plain, the one is no JSON and the other no UTF-8.
    """
    return b"\\" in body or body.count(b"{") + body.count(b"[") > MAX_DEPTH


def _check(value: Any) -> None:
    """Refuse depth, NUL and lone surrogates, without recursion."""
    pending: list[tuple[str, int, Any]] = [("", 1, value)]
    while pending:
        path, depth, item = pending.pop()
        if depth > MAX_DEPTH:
            raise BodySyntaxError(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, str):
            _check_text(path, item)
        elif isinstance(item, dict):
            for name, inner in item.items():
                _check_text(path, name)
                pending.append((f"{path}.{_shown(name)}".lstrip("."), depth + 1, inner))
        elif isinstance(item, list):
            pending += ((f"{path}.{i}".lstrip("."), depth + 1, x) for i, x in enumerate(item))


def _check_text(path: str, text: str) -> None:
    if "\x00" in text:
        raise BodyInvalidError(FieldProblem(path, "must not contain NUL"))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BodyInvalidError(FieldProblem(path, "must not contain a lone surrogate"))


def _shown(name: str) -> str:
    """A key of the caller's as it may stand in an answer: short, and plain."""
    return name[:64].encode("ascii", "backslashreplace").decode()


def validated(model: type[Model], value: dict[str, Any]) -> Model:
    """`value` as `model`.

    Raises:
        BodyInvalidError: names every wrong field.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise BodyInvalidError(*(_problem(item) for item in found[:MAX_PROBLEMS])) from None


_WORDS = {"missing": "is required", "extra_forbidden": "is not a field of this request"}


def _problem(item: Any) -> FieldProblem:
    place = [str(part) for part in item["loc"]]
    key = (item.get("ctx") or {}).get("key")
    if isinstance(key, str):
        place.append(key)
    message = _WORDS.get(item["type"]) or item["msg"]
    return FieldProblem(".".join(map(_shown, place)), message)


def _session_id(text: str) -> str:
    if not is_session_id(text):
        raise PydanticCustomError("session_id", "must be 1 to 64 of A-Z, a-z, 0-9, '-' and '_'")
    return text


def _user_id(text: str) -> str:
    if not is_user_id(text):
        raise PydanticCustomError(
            "user_id",
            "must be 1 to 128 printable characters, and must not begin with 'agent-' "
            "or 'listener-'",
        )
    if len(text.encode()) > MAX_IDENTITY_BYTES:
        raise PydanticCustomError("user_id", "must have at most 256 bytes as UTF-8")
    return text


SessionId = Annotated[
    str,
    AfterValidator(_session_id),
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$", "examples": ["call-42"]}),
]
UserId = Annotated[
    str,
    AfterValidator(_user_id),
    Field(
        json_schema_extra={
            "minLength": 1,
            "maxLength": MAX_USER_ID_CHARS,
            "not": {"pattern": "^(agent|listener)-"},
            "examples": ["user-7"],
        }
    ),
]


def _words(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("words", "must not be empty")
    return text


Words = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS), AfterValidator(_words)]
SessionKey = Annotated[str, Field(min_length=1, max_length=MAX_SESSION_KEY_CHARS)]


class Body(BaseModel):
    """What all bodies share: no unknown field, no silent conversion."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
    )


class TokenBody(Body):
    """Asks for a token to join a session's room; makes the session if there is none."""

    session_id: SessionId
    """Chosen by the caller, never used twice."""
    user_id: UserId
    """Who joins; the session belongs to its first user."""
    session_key: SessionKey | None = Field(default=None, repr=False)
    """What the call that made the session returned; needed with a publishable key alone."""


class StartBody(Body):
    """Asks for an agent in a session's room; makes the session if there is none."""

    session_id: SessionId
    """Chosen by the caller, never used twice."""
    user_id: UserId
    """Whom the agent waits for; the session belongs to its first user."""
    config: Overrides | None = None
    """What this session changes of its agent."""
    with_token: bool = False
    """Whether the answer brings a token, for whom a second call would take too long."""
    session_key: SessionKey | None = Field(default=None, repr=False)
    """What the call that made the session returned; needed with a publishable key alone."""


class EndBody(Body):
    """Asks for the end of a session, its room and its agent."""

    session_id: SessionId
    """The session."""
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)] | None = None
    """For the session's record: why."""
    session_key: SessionKey | None = Field(default=None, repr=False)
    """What the call that made the session returned; needed with a publishable key alone."""


class SayBody(Body):
    """Has the agent say something."""

    text: Words = Field(repr=False)
    """What the agent says, in its own voice."""
    when: Literal["now", "after"] = "now"
    """`now`: in place of what the agent says, and of what it was still to say; `after`: behind
    that."""
    interruptible: bool = True
    """Whether the user can stop it. If not, it does not wait for them to pause, either."""


class InterruptBody(Body):
    """Stops the agent; has no fields."""


class ContextBody(Body):
    """Tells the model something."""

    text: Words = Field(repr=False)
    """What the model knows from now on; it is no part of the transcript."""
    reply: bool = False
    """Whether the agent answers to it."""


class InstructionsBody(Body):
    """Gives the agent that talks other instructions."""

    instructions: Instructions = Field(repr=False)
    """In place of its system prompt; at most 16 KiB of UTF-8."""


class AgentBody(Body):
    """Hands the conversation to another agent."""

    agent: AgentName
    """An agent of agents.yaml."""


class MuteBody(Body):
    """Takes one side's voice away, or gives it back."""

    who: Literal["agent", "user"]
    """`agent`: the user does not hear it, and reads its answers; `user`: the agent does not hear
    them, and reads what they write."""
    muted: bool
    """False: heard again."""
