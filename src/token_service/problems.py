"""Errors as `application/problem+json` (RFC 9457). HTTP statuses stand here, and nowhere else."""

import math
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from assistant.catalog import (
    OverrideError,
    OverrideNotAllowedError,
    UnknownAgentError,
    UnknownVoiceError,
)
from assistant.sessions.errors import (
    ConflictError,
    RecordError,
    SessionNotFoundError,
    SessionOverError,
    SessionTakenError,
    StoreUnavailableError,
)
from assistant.sessions.recordings import RecordingMissingError, RecordingsError
from token_service import errors
from token_service.livekit_gateway import LiveKitUnavailableError

TYPE = "application/problem+json"
# When to come back: a slot or a worker may be free soon; an outage lasts a little longer.
FULL_RETRY_AFTER_S = 2
OUTAGE_RETRY_AFTER_S = 3
COMMANDS_RETRY_AFTER_S = 2  # An agent comes, or the one that is there says its piece.
MAX_RETRY_AFTER_S = 300  # An estimate from long sessions; nobody is helped by a longer one.
STREAMS_RETRY_AFTER_S = 5  # Streams are long; who waits for a place waits for somebody's leaving.


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of problem: its stable `code`, its HTTP status and its title.

    `retry_after_s` None: repeating the call unchanged makes no sense.
    """

    code: str
    status: int
    title: str
    retry_after_s: int | None = None


_KINDS: dict[type[Exception], Kind] = {
    errors.BodyTypeError: Kind("unsupported_media_type", 415, "Not JSON"),
    errors.BodyTooLargeError: Kind("body_too_large", 413, "Body too large"),
    errors.BodySlowError: Kind("body_timeout", 408, "Body did not arrive"),
    errors.BodySyntaxError: Kind("invalid_json", 400, "Invalid JSON"),
    errors.BodyInvalidError: Kind("invalid_body", 422, "Invalid body"),
    errors.UnauthenticatedError: Kind("unauthenticated", 401, "Key needed"),
    errors.ForbiddenError: Kind("forbidden", 403, "Not with this key"),
    errors.HostRefusedError: Kind("host_not_allowed", 421, "Unknown host name"),
    errors.RateLimitedError: Kind("rate_limited", 429, "Too many requests", 60),
    errors.WebhookRejectedError: Kind("webhook_rejected", 401, "Webhook rejected"),
    errors.TooManyStreamsError: Kind(
        "too_many_streams", 503, "Too many event streams", STREAMS_RETRY_AFTER_S
    ),
    errors.DeliveryNotFoundError: Kind("delivery_not_found", 404, "No such delivery"),
    errors.EndpointGoneError: Kind("endpoint_gone", 409, "Endpoint is not configured"),
    errors.AgentAbsentError: Kind("agent_not_in_room", 409, "No agent in the room"),
    errors.CommandsFullError: Kind(
        "too_many_commands", 429, "Too many commands wait", COMMANDS_RETRY_AFTER_S
    ),
    errors.CommandNotAppliedError: Kind("command_not_applied", 409, "Not carried out"),
    errors.QueryInvalidError: Kind("invalid_query", 422, "Invalid parameter"),
    errors.FullError: Kind("capacity_exhausted", 503, "No free slot", FULL_RETRY_AFTER_S),
    errors.IdempotencyMismatchError: Kind(
        "idempotency_mismatch", 422, "Idempotency key was used otherwise"
    ),
    errors.IdempotencyInFlightError: Kind(
        "idempotency_in_flight", 409, "First request is still in flight"
    ),
    errors.TalkPageOffError: Kind("talk_page_off", 404, "No talk page"),
    errors.TalkPageMissingError: Kind("talk_page_missing", 404, "Talk page is not built"),
    errors.ConsoleOffError: Kind("console_off", 404, "No console"),
    errors.ConsoleMissingError: Kind("console_missing", 404, "Console is not built"),
    errors.SessionNotLiveError: Kind("session_not_live", 409, "Session has no agent"),
    errors.NoWorkerError: Kind("no_worker", 503, "No worker", OUTAGE_RETRY_AFTER_S),
    UnknownAgentError: Kind("unknown_agent", 422, "Unknown agent"),
    UnknownVoiceError: Kind("unknown_voice", 422, "Unknown voice"),
    OverrideNotAllowedError: Kind("override_not_allowed", 422, "Not to be chosen"),
    SessionNotFoundError: Kind("session_not_found", 404, "No such session"),
    SessionTakenError: Kind("session_exists", 409, "Session id is taken"),
    SessionOverError: Kind("session_over", 409, "Session is over"),
    ConflictError: Kind("session_busy", 503, "Session is busy", 1),
    RecordError: Kind("record_unreadable", 500, "Session record is unreadable"),
    StoreUnavailableError: Kind(
        "store_unavailable", 503, "Session store is away", OUTAGE_RETRY_AFTER_S
    ),
    RecordingMissingError: Kind("recording_not_found", 404, "No recording"),
    RecordingsError: Kind(
        "recordings_unavailable", 503, "Recordings are away", OUTAGE_RETRY_AFTER_S
    ),
    LiveKitUnavailableError: Kind(
        "livekit_unavailable", 503, "LiveKit is away", OUTAGE_RETRY_AFTER_S
    ),
}
_QUEUE_FULL = Kind("queue_full", 503, "The queue is full", FULL_RETRY_AFTER_S)
_INTERNAL = Kind("internal_error", 500, "Internal error")
_NOT_FOUND = Kind("not_found", 404, "No such page")
_METHOD = Kind("method_not_allowed", 405, "Method not allowed")
_BY_CODE = {kind.code: kind for kind in (*_KINDS.values(), _QUEUE_FULL, _INTERNAL, _NOT_FOUND)}

KINDS = tuple(sorted((*_BY_CODE.values(), _METHOD), key=lambda kind: (kind.status, kind.code)))
#: What is told of these is fixed: their own text says more than a caller should know.
_DETAILS = {
    "store_unavailable": "the session store does not answer; try again shortly",
    "livekit_unavailable": "LiveKit does not answer; try again shortly",
    "recordings_unavailable": "the place of the recordings does not answer; try again shortly",
    "recording_not_found": "there is no such recording, or it is not stored yet",
    "record_unreadable": "the stored record cannot be read",
    "session_busy": "others keep changing this session; try again",
    "webhook_rejected": "this is not a webhook of our LiveKit server",
    "session_not_found": "there is no such session",
    "session_exists": "this session id is taken; choose another",
    "session_over": "this session is over, and an id is never used twice",
    "capacity_exhausted": "every slot is in use; try again shortly",
    "queue_full": "every slot is in use and the queue is full; try again shortly",
    "host_not_allowed": str(errors.HostRefusedError()),
    "internal_error": "something went wrong; the log says what",
}

HANDLED: tuple[type[Exception], ...] = (*_KINDS, HTTPException)


def kind_of(error: Exception) -> Kind:
    """What sort of problem an exception is."""
    if isinstance(error, errors.FullError) and error.queue_full:
        return _QUEUE_FULL
    return next((_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS), _INTERNAL)


def problem(error: Exception) -> JSONResponse:
    """The answer to an exception."""
    if isinstance(error, HTTPException):
        kind = {404: _NOT_FOUND, 405: _METHOD}.get(
            error.status_code, Kind("http_error", error.status_code, "Refused")
        )
        return _answer(kind, error.detail, {}, dict(error.headers or {}))
    kind = kind_of(error)
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, errors.BodyInvalidError):
        more["errors"] = [{"field": p.field, "message": p.message} for p in error.problems]
    if isinstance(error, errors.QueryInvalidError):
        more["errors"] = [{"field": error.field, "message": error.message}]
    if isinstance(error, OverrideError):
        more["errors"] = [{"field": f"config.{error.field}", "message": str(error)}]
    if isinstance(error, errors.NoSuchSuccessorError):
        more["errors"] = [{"field": "agent", "message": str(error)}]
    if isinstance(error, errors.CommandNotAppliedError):
        more |= {"commandId": error.command_id, "outcome": error.outcome}
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["Retry-After"] = str(min(max(math.ceil(retry_after_s), 1), MAX_RETRY_AFTER_S))
    return _answer(kind, _DETAILS.get(kind.code) or str(error), more, headers)


def problem_of(code: str) -> JSONResponse:
    """The answer for a code, where no exception was raised."""
    kind = _BY_CODE[code]
    return _answer(kind, _DETAILS[code], {}, {})


def _answer(kind: Kind, detail: str, more: dict[str, Any], headers: dict[str, str]) -> JSONResponse:
    if kind.retry_after_s is not None:
        headers.setdefault("Retry-After", str(kind.retry_after_s))
    body = {
        "type": f"urn:problem:assistant:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": kind.code,
        "success": False,
        **more,
    }
    return JSONResponse(body, status_code=kind.status, headers=headers, media_type=TYPE)
