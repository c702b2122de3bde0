"""JSON Schemas that stand in agents.yaml: of a tool's arguments, and of facts to take out."""

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from assistant.catalog.fields import MAX_GREETING_CHARS, wrong


def check_json_schema(schema: dict[str, Any]) -> None:
    """Refuse what is no JSON Schema, with its place inside and what may stand there."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "its top"
        message = _telling(error)
        reason = message if len(message) < MAX_GREETING_CHARS else "wrong value"
        raise wrong(f"is not a JSON Schema (draft 2020-12): at {place}: {reason}") from None


def _telling(error: SchemaError) -> str:
    """Of several ways in which a value is wrong, the one that lists the right ones."""
    listing = (inner.message for inner in error.context or () if inner.validator == "enum")
    return next(listing, error.message)
