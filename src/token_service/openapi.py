"""/openapi.json, made from the models that the routes themselves use."""

import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from token_service import answers, problems, sse
from token_service.idempotency import HEADER as IDEMPOTENCY_HEADER
from token_service.operations import OPERATIONS, Operation
from token_service.routes.context import SESSION_KEY_HEADER

API_VERSION = "1.0.0"  # of this interface, not of the project
_REF = "#/components/schemas/{model}"
_WITHOUT_REDIS = frozenset({"/livez", "/health", "/api/talk", "/api/agents", "/api/checks"})


def openapi() -> str:
    """The description (OpenAPI 3.1) as JSON."""
    models: list[tuple[type[BaseModel], Any]] = [(answers.ProblemAnswer, "serialization")]
    for operation in OPERATIONS:
        models += [(operation.body, "validation")] if operation.body else []
        models += [(operation.answer, "serialization")] if operation.answer else []
        models += [(operation.tells, "serialization")] if operation.tells else []
    refs, schemas = models_json_schema(
        list(dict.fromkeys(models)), by_alias=True, ref_template=_REF
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _described(operation, dict(refs))
        paths.setdefault(operation.path, {})[operation.method] = described
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Voice assistant",
            "version": API_VERSION,
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(document, separators=(",", ":"))


def _described(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if operation.answer is not None:
        schema = refs[(operation.answer, "serialization")]
        responses[str(operation.status)] = {
            "description": "Done",
            "content": {"application/json": {"schema": schema}},
        }
    if operation.tells is not None:
        # OpenAPI 3.1 has no word for what a stream's events hold.
        told = refs[(operation.tells, "serialization")]
        responses[str(operation.status)] = {
            "description": "Server-Sent Events: `event`, and as `data` one line of JSON",
            "content": {sse.MEDIA_TYPE: {"schema": {"type": "string", "x-event-data": told}}},
        }
    if operation.sound:
        responses[str(operation.status)] = {
            "description": "The sound",
            "content": {"audio/ogg": {"schema": {"type": "string", "format": "binary"}}},
        }
    by_status: dict[int, list[str]] = {}
    for kind in problems.KINDS:
        if kind.code in _codes(operation):
            by_status.setdefault(kind.status, []).append(kind.code)
    schema = refs[(answers.ProblemAnswer, "serialization")]
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "`code` is " + " or ".join(f"`{code}`" for code in codes),
            "content": {problems.TYPE: {"schema": schema}},
        }
    described: dict[str, Any] = {"summary": operation.summary, "responses": responses}
    if not operation.open:
        described["security"] = [{"key": []}]
    if operation.body is not None:
        schema = refs[(operation.body, "validation")]
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    parameters = _parameters(operation)
    if parameters:
        described["parameters"] = parameters
    return described


def _codes(operation: Operation) -> set[str]:
    codes = {"internal_error", *operation.problems}
    if not operation.open:
        codes |= {"unauthenticated", "host_not_allowed"}
    if operation.once:
        codes |= {"invalid_query", "idempotency_mismatch", "idempotency_in_flight"}
    if operation.path not in _WITHOUT_REDIS:
        codes.add("store_unavailable")
    return codes


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    text = {"type": "string"}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    found += [{"name": name, "in": "query", "schema": text} for name in operation.query]
    if operation.once:
        found.append({"name": IDEMPOTENCY_HEADER, "in": "header", "schema": text})
    if operation.session_key:
        found.append({"name": SESSION_KEY_HEADER, "in": "header", "schema": text})
    return found
