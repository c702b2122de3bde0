"""The types of single values that the catalog's models are made of."""

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_INSTRUCTIONS_BYTES = 16 * 1024  # an LLM reads them on every turn: each KiB costs latency
MAX_GREETING_CHARS = 1000  # about a minute of speech
MAX_DURATION_S = 86_400.0  # one day; no conversation is longer, and every record must expire
MAX_KEYTERMS = 100  # AssemblyAI's own bounds, and few enough for Deepgram's
MAX_KEYTERM_CHARS = 50
MAX_SHOWN_CHARS = 60  # of a wrong value in a message
MAX_WAIT_S = 600.0  # how long a slot may be held for a caller who is not there

AGENT_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
LANGUAGE_PATTERN = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
VARIABLE_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
ENV_NAME_PATTERN = r"^[A-Z_][A-Z0-9_]{0,127}$"
TOOL_NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$"
FUNCTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
FAILURE_PATTERN = r"^([1-5][0-9][0-9]|timeout|unreachable)$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"

# What a pattern means, for people; the patterns themselves are for the JSON schema.
PATTERN_MEANINGS = {
    AGENT_NAME_PATTERN: "1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or a digit",
    LANGUAGE_PATTERN: "a BCP-47 language tag such as 'en' or 'en-US'",
    VARIABLE_NAME_PATTERN: "1 to 64 letters, digits and '_', not beginning with a digit",
    ENV_NAME_PATTERN: "the name of an environment variable, such as 'MY_API_KEY'",
    TOOL_NAME_PATTERN: "1 to 64 letters, digits, '_' and '-', beginning with a letter or '_'",
    FUNCTION_PATTERN: "a function's import path such as 'my_package.orders:find_order'",
    FAILURE_PATTERN: "a status such as '404', 'timeout' or 'unreachable'",
    CURRENCY_PATTERN: "the three capital letters of a currency, such as 'USD'",
}

#: What a session's metadata fills in, in the words of an agent that are its own.
VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")


def shown(value: object) -> str:
    """A wrong value in a message: in few characters, as YAML and JSON write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value!r:.{MAX_SHOWN_CHARS}}"
    if isinstance(value, str):
        cut = value if len(value) <= MAX_SHOWN_CHARS else value[:MAX_SHOWN_CHARS] + "..."
        return ascii(cut) if cut.isprintable() and cut.isascii() else repr(cut)
    return "a mapping" if isinstance(value, dict) else "a list"


def shown_url(url: str) -> str:
    """What of a wrong URL may be shown: one with a user, a password or a query is not."""
    return "" if "@" in url or "?" in url else f", got {shown(url)}"


def wrong(message: str, key: str | None = None) -> PydanticCustomError:
    """An error that `explain` prints as it stands; `key` is the field inside that it is about."""
    # The braces of pydantic's own templates must not be found in our text.
    context = {"message": message} if key is None else {"message": message, "key": key}
    return PydanticCustomError("catalog", "{message}", context)


def forbidden_character(text: str) -> str | None:
    """A name for the first character that no text of ours may hold, or None.

    NUL is cut off or refused by vendors and by Redis tools; a lone surrogate has no UTF-8.
    """
    found = _FORBIDDEN.search(text)
    if found is None:
        return None
    return "NUL" if found.group() == "\x00" else "a lone surrogate"


def _clean(text: str) -> str:
    character = forbidden_character(text)
    if character is not None:
        raise wrong(f"must not contain {character}")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise wrong("must not be empty")
    return text


def _without_variables(text: str) -> str:
    found = VARIABLE.search(text)
    if found is not None:
        raise wrong(
            f"must not hold {found[0]!r}: only instructions, greeting and resume_sentence are "
            "filled in"
        )
    return text


def _none_if_blank(text: str | None) -> str | None:
    return text if text is None or text.strip() else None


def _at_most_bytes(limit: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        size = len(text.encode())
        if size > limit:
            raise wrong(f"must be at most {limit} bytes of UTF-8, got {size}")
        return text

    return check


def _url(*schemes: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in schemes or not host or port == 0 or re.search(r"\s", text):
            raise wrong(f"must be a URL that begins with {allowed}{shown_url(text)}")
        # The file is committed, and printed in errors: a password has no place in it.
        if parts.username is not None or parts.password is not None or parts.query:
            raise wrong(
                "must not hold a user, a password or a query; secrets belong in the environment"
            )
        return text

    return check


class Frozen(BaseModel):
    """What all models of the catalog share: immutable, no unknown key, no silent conversion."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


Text = Annotated[str, AfterValidator(_clean)]
Word = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_clean)]
Title = Annotated[
    str, Field(min_length=1, max_length=80), AfterValidator(_clean), AfterValidator(_not_blank)
]
Instructions = Annotated[
    str,
    Field(min_length=1, max_length=MAX_INSTRUCTIONS_BYTES),
    AfterValidator(_clean),
    AfterValidator(_not_blank),
    AfterValidator(_at_most_bytes(MAX_INSTRUCTIONS_BYTES)),
]
Greeting = Annotated[str, Field(max_length=MAX_GREETING_CHARS), AfterValidator(_clean)]
FixedWords = AfterValidator(_without_variables)
Sentence = Annotated[
    str,
    Field(max_length=MAX_GREETING_CHARS),
    AfterValidator(_clean),
    AfterValidator(_not_blank),
    FixedWords,
]
OptionalGreeting = Annotated[Greeting | None, AfterValidator(_none_if_blank)]
"""Blank text means none."""
OptionalSentence = Annotated[Annotated[Greeting, FixedWords] | None, AfterValidator(_none_if_blank)]
"""The same for words that are no session's own."""
VariableName = Annotated[str, Field(pattern=VARIABLE_NAME_PATTERN)]
AgentName = Annotated[str, Field(pattern=AGENT_NAME_PATTERN)]
Keyterm = Annotated[str, Field(min_length=1, max_length=MAX_KEYTERM_CHARS), AfterValidator(_clean)]
# A body of the API is validated when it is a list already.
Keyterms = Annotated[tuple[Keyterm, ...], Field(max_length=MAX_KEYTERMS, strict=False)]
"""What recognizers are told that callers will say."""
VoiceName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_clean)]
Language = Annotated[str, Field(pattern=LANGUAGE_PATTERN, max_length=35)]
EnvName = Annotated[str, Field(pattern=ENV_NAME_PATTERN)]
HttpUrl = Annotated[
    str, Field(max_length=2048), AfterValidator(_clean), AfterValidator(_url("http", "https"))
]
WsUrl = Annotated[
    str, Field(max_length=2048), AfterValidator(_clean), AfterValidator(_url("ws", "wss"))
]

Share = Annotated[float, Field(ge=0, le=1)]
"""A probability, or a threshold for one."""
PositiveShare = Annotated[float, Field(gt=0, le=1)]
TurnSeconds = Annotated[float, Field(ge=0, le=30)]
"""A delay inside one turn. Beyond half a minute the caller has gone."""
SpeechSeconds = Annotated[float, Field(gt=0, le=600)]
"""How long one side speaks."""
WaitSeconds = Annotated[float, Field(gt=0, le=MAX_WAIT_S)]
DurationSeconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S)]
