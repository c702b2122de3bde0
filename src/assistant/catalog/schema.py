"""The JSON Schema of agents.yaml, for editors."""

from typing import Any

from assistant.catalog.catalog import AgentsFile


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of the file; the same at every call for the same version."""
    schema = AgentsFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
