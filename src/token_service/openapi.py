"""/openapi.json, made from the models that the routes themselves use."""

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from token_service import answers, bodies, figures, listing, problems, sse, stats
from token_service.agents import AgentsAnswer
from token_service.checks import ChecksAnswer
from token_service.idempotency import HEADER as IDEMPOTENCY_HEADER
from token_service.livekit_endpoint import LiveKitTokenBody
from token_service.report import ReportAnswer
from token_service.routes.context import SESSION_KEY_HEADER
from token_service.transcript import TranscriptAnswer

API_VERSION = "1.0.0"  # of this interface, not of the project
_REF = "#/components/schemas/{model}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One route. `problems`: the codes that it may answer, beside those of every route."""

    method: str
    path: str
    summary: str
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    status: int = 200
    open: bool = False
    session_key: bool = False
    #: Honours `Idempotency-Key`.
    once: bool = False
    #: Parameters of the query, which are all text and may all be absent.
    query: tuple[str, ...] = ()
    #: The answer is an event stream, whose events have this as `data`.
    tells: type[BaseModel] | None = None
    #: The answer is sound.
    sound: bool = False
    problems: tuple[str, ...] = ()


_BODY = ("invalid_json", "invalid_body", "unsupported_media_type", "body_too_large", "body_timeout")
_SESSION = ("session_exists", "session_not_found", "session_over", "session_busy", "rate_limited")
_AGENT = ("unknown_agent", "unknown_voice", "override_not_allowed")
_STREAM = ("invalid_query", "too_many_streams")
_COMMAND = (
    *_BODY,
    "forbidden",
    "session_not_found",
    "session_over",
    "too_many_commands",
    "command_not_applied",
)
_WITHOUT_REDIS = frozenset({"/livez", "/health", "/api/talk", "/api/agents", "/api/checks"})
_FULL = ("capacity_exhausted", "queue_full", "no_worker")


def _command(name: str, summary: str, body: type[BaseModel], *more: str) -> Operation:
    return Operation(
        method="post",
        path=f"/api/sessions/{{sessionId}}/{name}",
        summary=f"{summary}; for secret keys",
        body=body,
        once=True,
        answer=answers.CommandAnswer,
        problems=(*_COMMAND, *more),
    )


OPERATIONS = (
    Operation(
        method="post",
        path="/api/token",
        summary="A LiveKit token for a session's room",
        body=bodies.TokenBody,
        once=True,
        answer=answers.TokenAnswer,
        problems=(*_BODY, *_SESSION, "livekit_unavailable"),
    ),
    Operation(
        method="post",
        path="/api/session/start",
        summary="Ask for an agent; answers once the wish is durable",
        body=bodies.StartBody,
        once=True,
        answer=answers.StartAnswer,
        problems=(*_BODY, *_SESSION, *_AGENT, *_FULL),
    ),
    Operation(
        method="post",
        path="/api/session/end",
        summary="End a session, its room and its agent; ending twice is fine",
        body=bodies.EndBody,
        once=True,
        answer=answers.EndAnswer,
        problems=(*_BODY, "session_not_found", "session_busy"),
    ),
    Operation(
        method="post",
        path="/api/livekit/token",
        summary="LiveKit's standard token endpoint; the session starts when its user joins",
        body=LiveKitTokenBody,
        once=True,
        answer=answers.LiveKitTokenAnswer,
        status=201,
        session_key=True,
        problems=(*_BODY, *_SESSION, *_AGENT, "livekit_unavailable"),
    ),
    Operation(
        method="get",
        path="/api/sessions",
        summary="Stored sessions, newest first; for secret keys",
        answer=answers.SessionsAnswer,
        query=listing.PARAMETERS,
        problems=("forbidden", "invalid_query"),
    ),
    Operation(
        method="delete",
        path="/api/sessions/{sessionId}",
        summary="Erase all that is stored of a session, ending it first; for secret keys",
        answer=answers.ErasedAnswer,
        problems=(
            "forbidden",
            "session_not_found",
            "session_busy",
            "livekit_unavailable",
            "recordings_unavailable",
        ),
    ),
    Operation(
        method="get",
        path="/api/sessions/{sessionId}",
        summary="One session, with its timeline",
        answer=answers.SessionAnswer,
        session_key=True,
        problems=("session_not_found", "record_unreadable"),
    ),
    Operation(
        method="get",
        path="/api/sessions/{sessionId}/events",
        summary="A session's events as they happen, until its end; 204 when it is over",
        answer=None,
        session_key=True,
        query=("lastEventId",),
        tells=answers.EventAnswer,
        problems=(*_STREAM, "session_not_found", "record_unreadable"),
    ),
    Operation(
        method="get",
        path="/api/sessions/{sessionId}/transcript",
        summary="What was said and done, oldest first; `format=text`: all of it, as lines",
        answer=TranscriptAnswer,
        session_key=True,
        query=("limit", "cursor", "format"),
        problems=("invalid_query", "session_not_found", "record_unreadable"),
    ),
    Operation(
        method="get",
        path="/api/sessions/{sessionId}/report",
        summary="What came of a session, as far as it is known; for secret keys",
        answer=ReportAnswer,
        problems=("forbidden", "invalid_query", "session_not_found", "record_unreadable"),
    ),
    Operation(
        method="get",
        path="/api/sessions/{sessionId}/recording",
        summary="Both sides' sound (Ogg, Opus); of the latest attempt unless `attempt` names one; "
        "for secret keys",
        answer=None,
        query=("attempt",),
        sound=True,
        problems=(
            "forbidden",
            "invalid_query",
            "session_not_found",
            "record_unreadable",
            "recording_not_found",
            "recordings_unavailable",
        ),
    ),
    _command("say", "The agent says this", bodies.SayBody),
    _command("interrupt", "The agent stops", bodies.InterruptBody, "agent_not_in_room"),
    _command("context", "The model knows this from now on", bodies.ContextBody),
    _command("instructions", "Other instructions for who talks now", bodies.InstructionsBody),
    _command(
        "agent",
        "Another agent of agents.yaml gets the conversation",
        bodies.AgentBody,
        *("unknown_agent", "override_not_allowed", "record_unreadable"),
    ),
    _command("mute", "One side is not heard by the other, or heard again", bodies.MuteBody),
    Operation(
        method="get",
        path="/api/events",
        summary="All sessions' events as they happen; for secret keys",
        answer=None,
        query=("lastEventId",),
        tells=answers.EventAnswer,
        problems=(*_STREAM, "forbidden"),
    ),
    Operation(
        method="post",
        path="/api/sessions/{sessionId}/listen",
        summary="A token to hear a live session unseen; for secret keys",
        once=True,
        answer=answers.ListenAnswer,
        problems=("forbidden", "session_not_found", "session_not_live", "record_unreadable"),
    ),
    Operation(
        method="get",
        path="/api/agents",
        summary="The agents, with everything decided; for secret keys",
        answer=AgentsAnswer,
        problems=("forbidden", "invalid_query"),
    ),
    Operation(
        method="get",
        path="/api/figures",
        summary="What happened lately, in steps of time; for secret keys",
        answer=figures.FiguresAnswer,
        query=figures.PARAMETERS,
        problems=("forbidden", "invalid_query"),
    ),
    Operation(
        method="get",
        path="/api/overview/stream",
        summary="The figures of this moment, whenever they change; for secret keys",
        answer=None,
        tells=stats.OverviewAnswer,
        problems=("forbidden", *_STREAM),
    ),
    Operation(
        method="get",
        path="/api/checks",
        summary="What this replica thinks of its surroundings; for secret keys",
        answer=ChecksAnswer,
        problems=("forbidden", "invalid_query"),
    ),
    Operation(
        method="get",
        path="/api/deliveries",
        summary="Webhooks out, the newest events' first; for secret keys",
        answer=answers.DeliveriesAnswer,
        query=("status", "endpoint", "session", "cursor", "limit"),
        problems=("forbidden", "invalid_query"),
    ),
    Operation(
        method="get",
        path="/api/sessions/{sessionId}/deliveries",
        summary="A session's webhooks out; for secret keys",
        answer=answers.DeliveriesAnswer,
        query=("status", "endpoint", "cursor", "limit"),
        problems=("forbidden", "invalid_query", "session_not_found"),
    ),
    Operation(
        method="post",
        path="/api/deliveries/{deliveryId}/replay",
        summary="Deliver once more, under the same webhook-id; for secret keys",
        once=True,
        answer=answers.DeliveryAnswer,
        status=202,
        problems=("forbidden", "invalid_query", "delivery_not_found", "endpoint_gone"),
    ),
    Operation(
        method="post",
        path="/livekit/webhook",
        summary="LiveKit's signed webhooks",
        answer=answers.WebhookAnswer,
        open=True,
        problems=("webhook_rejected", "body_too_large", "body_timeout"),
    ),
    Operation(
        method="get",
        path="/stats",
        summary="Figures of this moment; for secret keys",
        answer=stats.StatsAnswer,
        problems=("forbidden",),
    ),
    Operation(
        method="get",
        path="/health",
        summary="All parts; 200 even when degraded",
        answer=stats.HealthAnswer,
        open=True,
    ),
    Operation(
        method="get",
        path="/readyz",
        summary="Whether this replica can serve",
        answer=answers.StatusAnswer,
        open=True,
    ),
    Operation(
        method="get",
        path="/livez",
        summary="Whether this process answers",
        answer=answers.StatusAnswer,
        open=True,
    ),
    Operation(
        method="get",
        path="/api/talk",
        summary="What the talk page, or who shows a key, may offer",
        answer=answers.TalkAnswer,
        open=True,
        problems=("talk_page_off", "unauthenticated"),
    ),
)


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
