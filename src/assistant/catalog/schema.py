"""The JSON Schema of agents.yaml, for editors.

`agents.schema.json` beside agents.yaml is its text; `make schema` writes it anew.
"""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from assistant.catalog.catalog import AgentsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _ForEditors(GenerateJsonSchema):
    """What an editor shows and inserts: no titles that repeat the keys, no defaults of whole parts.

    A part's default is only what stands in its keys' defaults, and an editor that completes the
    part's name would write all of it into the file.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", exclude_unset=True)
        return super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of the file; the same at every call for the same version."""
    schema = AgentsFile.model_json_schema(schema_generator=_ForEditors)
    return {"$schema": DIALECT, **_tidy(schema)}


def schema_text() -> str:
    """The schema as it is printed and committed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(schema: JsonSchemaValue) -> JsonSchemaValue:
    tidy = {key: _tidied(value) for key, value in schema.items()}
    if isinstance(tidy.get("description"), str):
        # Docstrings are broken at the source's width; an editor breaks at its own.
        tidy["description"] = " ".join(tidy["description"].split())
    if tidy.get("default") == {}:
        del tidy["default"]
    if "patternProperties" in tidy:
        # Names that do not fit the pattern are refused, not merely unchecked.
        tidy.setdefault("additionalProperties", False)
    return tidy


def _tidied(value: Any) -> Any:
    if isinstance(value, dict):
        return _tidy(value)
    return [_tidied(item) for item in value] if isinstance(value, list) else value
