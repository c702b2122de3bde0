"""Fills a JSON Schema from a conversation by rules, as a language model does by understanding.

What it can: numbers and chosen words that the caller said, what follows "my name is", and whether
most words of a sentence occur in the conversation. Everything else it does not know.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MARK = "JSON Schema:"
_LINE = re.compile(r"^(caller|assistant|tool [^:]*): (.*)$")
#: Words that say nothing about what a sentence is about.
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an the of to in on at is was were be been it that this and or not for with by as did do"
        " does has have had caller agent assistant user they he she their his her what how when",
    )
)
_COUNTED = re.findall(r"\w+", "zero one two three four five six seven eight nine ten")
_NUMBERS = {word: number for number, word in enumerate(_COUNTED)}
#: So much of a sentence must be found for it to count as true.
_ENOUGH = 0.5


@dataclass(frozen=True)
class _Talk:
    """Who said what, in order."""

    lines: tuple[tuple[str, str], ...]

    def of(self, speaker: str) -> list[str]:
        return [text for who, text in self.lines if who == speaker]

    @property
    def words(self) -> set[str]:
        return {_stem(word) for _, text in self.lines for word in _words(text)}


def asked_schema(system: str) -> dict[str, Any] | None:
    """The schema that a system prompt wants an object of; None: it wants no such thing."""
    _, found, rest = system.partition(_MARK)
    if not found or "{" not in rest:
        return None
    try:
        schema, _ = json.JSONDecoder().raw_decode(rest[rest.index("{") :])
    except ValueError:
        return None
    return schema if isinstance(schema, dict) else None


def minutes(schema: Mapping[str, Any], transcript: str) -> str:
    """A JSON object by the schema, about the conversation whose lines are the transcript."""
    lines = [_LINE.match(line) for line in transcript.splitlines()]
    talk = _Talk(tuple((found[1], found[2]) for found in lines if found))
    return json.dumps(_object(schema, talk))


def _object(schema: Mapping[str, Any], talk: _Talk) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    sentence = str(schema.get("description", ""))
    filled = {}
    for name, about in schema.get("properties", {}).items():
        value = _value(name, about, talk, sentence)
        if value is not None or name in required:
            filled[name] = value
    return filled


def _value(name: str, schema: Mapping[str, Any], talk: _Talk, sentence: str) -> Any:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "object" in kinds:
        return _object(schema, talk)
    if "enum" in schema:
        said = " ".join(talk.of("caller")).lower()
        return next((option for option in schema["enum"] if str(option).lower() in said), None)
    if "boolean" in kinds:
        return _is_true(sentence or str(schema.get("description", name)), talk)
    if "integer" in kinds or "number" in kinds:
        return _number(talk.of("caller"))
    if "string" in kinds:
        return _text(name, talk, sentence)
    return [] if "array" in kinds else None


def _text(name: str, talk: _Talk, sentence: str) -> str | None:
    caller, assistant = talk.of("caller"), talk.of("assistant")
    if name == "summary":
        wanted = " Then: ".join(caller) or "nothing"
        return (
            f"The caller said: {wanted} The assistant last said: {(assistant or ['nothing'])[-1]}"
        )
    if name == "reason":
        missing = _missing(sentence, talk)
        return f"Not mentioned: {', '.join(missing)}." if missing else "All of it was mentioned."
    if "name" in name:
        found = re.search(r"\bmy name is (\w+)", " ".join(caller), re.IGNORECASE)
        return found[1].title() if found else None
    return next((text for text in caller if _stem(name) in map(_stem, _words(text))), None)


def _is_true(sentence: str, talk: _Talk) -> bool | None:
    wanted = _telling(sentence)
    if not wanted:
        return None
    return len(_missing(sentence, talk)) <= (1 - _ENOUGH) * len(wanted)


def _missing(sentence: str, talk: _Talk) -> list[str]:
    return [word for word in _telling(sentence) if _stem(word) not in talk.words]


def _telling(sentence: str) -> list[str]:
    return [word for word in dict.fromkeys(_words(sentence)) if word not in _SMALL]


def _number(said: Sequence[str]) -> int | float | None:
    for word in (word for text in reversed(said) for word in _words(text)):
        if word in _NUMBERS:
            return _NUMBERS[word]
        if re.fullmatch(r"\d+(\.\d+)?", word):
            return float(word) if "." in word else int(word)
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:\.[0-9]+)?", text.lower())


def _stem(word: str) -> str:
    """Tell, told, telling: near enough for a rule."""
    return word.removesuffix("ing").removesuffix("s")[:6] if len(word) > 3 else word
