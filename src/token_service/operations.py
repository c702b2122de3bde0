"""The operations of the HTTP API: what each takes, answers and refuses. Data for /openapi.json."""

from dataclasses import dataclass

from pydantic import BaseModel

from token_service import answers, bodies, figures, listing, stats
from token_service.agents import AgentsAnswer
from token_service.checks import ChecksAnswer
from token_service.livekit_endpoint import LiveKitTokenBody
from token_service.logs import LogsAnswer
from token_service.report import ReportAnswer
from token_service.transcript import TranscriptAnswer


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
        query=("lastEventId", "partials"),
        tells=answers.EventAnswer,
        problems=(*_STREAM, "forbidden", "session_not_found", "record_unreadable"),
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
        path="/api/sessions/{sessionId}/logs",
        summary="The last lines that a session's jobs have logged; for secret keys",
        answer=LogsAnswer,
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
