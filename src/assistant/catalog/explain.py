"""Pydantic's errors in the words of the person who wrote the file or the request."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from assistant.catalog.document import KeyPath
from assistant.catalog.fields import PATTERN_MEANINGS, shown

_SECRET_WORDS = ("api_key", "apikey", "secret", "password", "token")

# pydantic's error types for a value of the wrong kind, and what was wanted.
_KINDS = {
    "string_type": "text",
    "string_unicode": "text without lone surrogates",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake, before it is known where in which file it stands."""

    path: KeyPath
    message: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    path: KeyPath
    owner: type[BaseModel] | None
    """The model that the last key of the path belongs to."""
    hint: Any
    """The type wanted there; None if there is no such key."""


def explain(
    model: type[BaseModel], error: ValidationError, *, yaml: bool = False
) -> tuple[Finding, ...]:
    """Every mistake of a failed validation of `model`, with its path as it was written.

    `yaml` adds advice for who wrote YAML by hand.
    """
    return tuple(_explain_one(model, details, yaml) for details in error.errors(include_url=False))


def nearest(word: str, allowed: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The allowed word that `word` was probably meant to be.

    None if none is near: `likeness` is difflib's ratio, 1 for equal words.
    """
    # A long word takes difflib quadratic time, and none of ours is long.
    close = difflib.get_close_matches(word[:128], list(allowed), n=3, cutoff=likeness)
    # Two letters swapped are the commonest slip: 'modle' is 'model', though 'mode' is nearer.
    swapped = [match for match in close if sorted(match) == sorted(word)]
    return next(iter(swapped + close), None)


def _explain_one(model: type[BaseModel], details: ErrorDetails, yaml: bool) -> Finding:
    place = _locate(model, details["loc"])
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "catalog":
        key = context.get("key")
        return Finding(place.path if key is None else (*place.path, key), context["message"])
    if kind == "missing":
        return Finding(place.path, f"missing key; expected {_kind_of(place.hint)}")
    if kind == "extra_forbidden":
        return _unknown_key(place, place.owner or model, yaml)
    if kind in ("literal_error", "union_tag_invalid"):
        return _not_one_of(place, kind, value, context)
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        if not isinstance(value, dict):
            return Finding(place.path, f"expected a mapping, got {shown(value)}")
        allowed = _one_of(sorted(_tags(place.hint, key)))
        return Finding((*place.path, key), f"missing key; expected {allowed}")
    if kind == "string_pattern_mismatch":
        meaning = PATTERN_MEANINGS.get(context["pattern"], f"like {context['pattern']}")
        # Who writes a key where the name of its variable belongs must not find it in a log.
        got = "" if _is_secret(place.path) else f", got {shown(value)}"
        return Finding(place.path, f"must be {meaning}{got}")
    return Finding(place.path, _plain_message(details, value, yaml))


def _plain_message(details: ErrorDetails, value: Any, yaml: bool) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _KINDS:
        # YAML reads `no` as false and `12` as a number; who meant text is told how to say it.
        quotes = yaml and kind == "string_type" and isinstance(value, bool | int | float)
        advice = "; put quotes around text" if quotes else ""
        return f"expected {_KINDS[kind]}, got {shown(value)}{advice}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"must be {words} {context[key]:g}, got {shown(value)}"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters, got {len(value)}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "too_long":
        return f"must have at most {context['max_length']} entries, got {len(value)}"
    if kind == "too_short":
        entries = "entry" if context["min_length"] == 1 else "entries"
        return f"must have at least {context['min_length']} {entries}, got {len(value)}"
    return details["msg"]


def _unknown_key(place: _Place, owner: type[BaseModel], yaml: bool) -> Finding:
    allowed = [field.alias or name for name, field in owner.model_fields.items()]
    key = str(place.path[-1])
    suggestion = nearest(key, allowed)
    if suggestion is not None:
        return Finding(place.path, "unknown key", suggestion)
    if yaml and _is_secret(place.path):
        return Finding(place.path, "unknown key; secrets belong in the environment")
    return Finding(place.path, f"unknown key; allowed: {', '.join(sorted(allowed))}")


def _not_one_of(place: _Place, kind: str, value: Any, context: dict[str, Any]) -> Finding:
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        path: KeyPath = (*place.path, key)
        allowed: list[Any] = sorted(_tags(place.hint, key))
        value = context["tag"]
    else:
        path, allowed = place.path, list(get_args(_plain(place.hint)))
    wanted = f"expected {_one_of(allowed)}"
    words = [item for item in allowed if isinstance(item, str)]
    suggestion = nearest(value, words) if isinstance(value, str) else None
    return Finding(path, f"{wanted}, got {shown(value)}", suggestion)


def _one_of(allowed: list[Any]) -> str:
    listed = ", ".join(f"'{item}'" if isinstance(item, str) else str(item) for item in allowed)
    return listed if len(allowed) == 1 else f"one of {listed}"


def _kind_of(hint: Any) -> str:
    """What belongs where nothing stands."""
    plain = _plain(hint)
    if get_origin(plain) is Literal:
        return _one_of(list(get_args(plain)))
    if get_origin(plain) is tuple:
        return "a list"
    return {str: "text", bool: "true or false", int: "a whole number", float: "a number"}.get(
        plain, "a mapping"
    )


def _locate(model: type[BaseModel], loc: tuple[str | int, ...]) -> _Place:
    """Follow pydantic's location, which also names the members of unions, through the types."""
    path: list[str | int] = []
    owner: type[BaseModel] | None = None
    hint: Any = model
    for index, part in enumerate(loc):
        if part == "[key]" and index == len(loc) - 1:
            break  # the key itself is wrong, and is the last of the path already
        hint = _plain(hint)
        members = _models(hint)
        if len(members) > 1:
            hint = _member(members, str(part))
        elif isinstance(hint, type) and issubclass(hint, BaseModel):
            owner = hint
            path.append(part)
            hint = _field_type(hint, str(part))
        elif _is_container(hint):
            path.append(part)
            hint = get_args(hint)[0 if get_origin(hint) is tuple else 1]
    return _Place(tuple(path), owner, hint)


def _is_container(hint: Any) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, tuple | Mapping)


def _field_type(model: type[BaseModel], name: str) -> Any:
    for key, field in model.model_fields.items():
        if name in (key, field.alias):
            return field.annotation
    return None


def _plain(hint: Any) -> Any:
    """A type without its annotations and without the None that it may be instead."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif get_origin(hint) in (Union, UnionType):
            rest = [member for member in get_args(hint) if member is not NoneType]
            if len(rest) != 1:
                return hint
            hint = rest[0]
        else:
            return hint


def _models(hint: Any) -> list[type[BaseModel]]:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
    return [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]


def _literals(model: type[BaseModel], key: str | None = None) -> list[str]:
    """The values of a model's literal fields; of field `key` alone, if given."""
    return [
        value
        for name, field in model.model_fields.items()
        if (key is None or name == key) and get_origin(field.annotation) is Literal
        for value in get_args(field.annotation)
    ]


def _tags(hint: Any, key: str) -> list[str]:
    return [tag for member in _models(_plain(hint)) for tag in _literals(member, key)]


def _member(members: list[type[BaseModel]], tag: str) -> type[BaseModel] | None:
    return next((member for member in members if tag in _literals(member)), None)


def _is_secret(path: KeyPath) -> bool:
    return bool(path) and any(word in str(path[-1]).lower() for word in _SECRET_WORDS)
