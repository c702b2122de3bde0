"""Session <-> the fields of its Redis hash. Pure.

The older backend's fields keep their names and meaning: userId, status, agentPid, createdAt,
config. A field whose value is None is absent.
"""

import json
import types
import typing
from dataclasses import fields
from typing import Any

from assistant.sessions.errors import RecordError
from assistant.sessions.events import Event, told_fields
from assistant.sessions.record import Session


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_NAMES = {field.name: _camel(field.name) for field in fields(Session)} | {
    "id": "sessionId",
    "state": "status",
}
_TYPES = typing.get_type_hints(Session)


def encode(session: Session) -> dict[str, str]:
    """The hash's fields, but for `version`, which save.lua counts."""
    encoded = {}
    for name, wire in _NAMES.items():
        value = getattr(session, name)
        if name == "version" or value is None:
            continue
        if isinstance(value, dict):
            encoded[wire] = json.dumps(value, separators=(",", ":"))
        elif isinstance(value, bool):
            encoded[wire] = "1" if value else "0"
        else:
            encoded[wire] = value if isinstance(value, str) else repr(value)
    return encoded


def decode(session_id: str, stored: dict[str, str]) -> Session:
    """The session that was stored.

    Raises:
        RecordError: a field is missing or unreadable.
    """
    values: dict[str, Any] = {}
    try:
        for name, wire in _NAMES.items():
            if wire in stored:
                values[name] = _parse(_TYPES[name], stored[wire])
        return Session(**values)
    except (TypeError, ValueError) as error:
        raise RecordError(session_id, str(error)) from error


def _parse(kind: Any, text: str) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
    if typing.get_origin(kind) is dict:
        return json.loads(text)
    if kind is bool:
        return text == "1"
    return kind(text)


def encode_event(event: Event) -> dict[str, str]:
    """The stream entry of an event: its name, and its fields as JSON, but for the private ones."""
    data = {name: getattr(event, name) for name in told_fields(type(event))}
    return {"name": event.name, "data": json.dumps(data, separators=(",", ":"))}
