"""What the routes answer. Times are Unix seconds; fields may be added, never changed."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from assistant.sessions.direction import Side
from assistant.sessions.record import Session, State
from assistant.sessions.store.delivery import Delivery, DeliveryStatus, webhook_id
from assistant.sessions.store.listing import Entry
from assistant.sessions.verdict import verdict_of


class Answer(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class TokenAnswer(Answer):
    token: str = Field(repr=False)
    """LiveKit token for this session's room."""
    url: str
    """LiveKit's address for clients."""
    session_id: str
    room: str
    session_key: str | None = Field(default=None, repr=False)
    """Only for a publishable key, and only from the call that made the session: every later call
    about the session must show it. It cannot be asked for again."""


class ListenAnswer(Answer):
    token: str = Field(repr=False)
    """LiveKit token that hears this session's room, unseen; to be used within a minute."""
    url: str
    """LiveKit's address for clients."""
    room: str


class StartAnswer(Answer):
    success: Literal[True] = True
    session_id: str
    task_id: str
    """Names the start; a repeated start gets the same one."""
    status: State
    agent: str
    """The agent of agents.yaml that was chosen."""
    room: str
    token: str | None = Field(default=None, repr=False)
    """As a token's answer has it, where `withToken` asked for one; absent all the same if LiveKit
    did not answer. The start holds, and `/api/token` may be asked later."""
    url: str | None = None
    """LiveKit's address for clients; comes with the token."""
    position: int | None = None
    """Place in the queue, from 1; absent when the session does not wait."""
    estimated_wait_s: float | None = None
    """Seconds until an agent is sought, from how long slots were held lately; absent when the
    session does not wait, or nobody knows."""
    session_key: str | None = Field(default=None, repr=False)
    """As in a token's answer."""


class EndAnswer(Answer):
    success: Literal[True] = True
    message: str


class CommandAnswer(Answer):
    success: Literal[True] = True
    command_id: str
    """Names the command in the events `control.requested` and `control.settled`."""
    status: Literal["applied", "queued"]
    """`applied`: the agent has done it (of words: they are being heard); `queued`: it will, in
    order, when an agent is in the room, or when it comes to it."""


class Times(Answer):
    """When each thing happened; null: it has not."""

    created: float
    queued: float | None
    seeking: float | None
    """Since when an agent is sought."""
    dispatched: float | None
    accepted: float | None
    claimed: float | None
    joined: float | None
    """When the current attempt's agent came."""
    active: float | None
    """When an agent first came."""
    user_joined: float | None
    user_left: float | None
    ending: float | None
    ended: float | None


class TimelineEntry(Answer):
    id: str
    name: str
    at: float
    data: dict[str, Any]


class VerdictAnswer(Answer):
    """Why the session stands as it does, in words for whoever runs the service."""

    sentence: str
    """The cause and the remedy together."""
    cause: str
    remedy: str | None
    """Null: nothing is wrong, or nothing can be done."""
    is_failure: bool
    """No agent came, or the conversation broke."""


class SessionAnswer(Answer):
    session_id: str
    user_id: str
    status: State
    reason: str | None
    """Why it ended or failed; null while it lives."""
    detail: str | None
    agent: str
    room: str
    task_id: str | None
    attempt: int
    """How often an agent was asked for."""
    position: int | None
    """Place in the queue, from 1; null when the session does not wait."""
    estimated_wait_s: float | None
    """As in a start's answer; null when the session does not wait, or nobody knows."""
    max_duration_s: float
    times: Times
    timeline: list[TimelineEntry] | None
    """What happened, oldest first; null for publishable keys."""
    verdict: VerdictAnswer | None
    """Null for publishable keys."""
    muted: list[Side] | None = None
    """Who is not heard by the other side, by a command; null for publishable keys."""

    @classmethod
    def of(
        cls,
        session: Session,
        position: int | None,
        estimated_wait_s: float | None,
        timeline: list[TimelineEntry] | None,
        muted: Iterable[Side] | None = None,
    ) -> "SessionAnswer":
        return cls(
            session_id=session.id,
            user_id=session.user_id,
            status=session.state,
            reason=session.reason,
            detail=session.detail,
            agent=session.agent,
            room=session.room,
            task_id=session.task_id,
            attempt=session.attempt,
            position=position,
            estimated_wait_s=estimated_wait_s,
            max_duration_s=session.max_duration_s,
            times=Times(
                created=session.created_at,
                queued=session.queued_at,
                seeking=session.seeking_at,
                dispatched=session.dispatched_at,
                accepted=session.accepted_at,
                claimed=session.claimed_at,
                joined=session.joined_at,
                active=session.active_at,
                user_joined=session.user_joined_at,
                user_left=session.user_left_at,
                ending=session.ending_at,
                ended=session.ended_at,
            ),
            timeline=timeline,
            verdict=None if timeline is None else _verdict(session, position),
            muted=None if muted is None else list(muted),
        )


def _verdict(session: Session, position: int | None) -> VerdictAnswer:
    times = {
        "claimed": session.claimed_at,
        "accepted": session.accepted_at,
        "dispatched": session.dispatched_at,
    }
    found = verdict_of(
        {
            "status": session.state,
            "reason": session.reason,
            "detail": session.detail,
            "attempt": session.attempt,
            "position": position,
            "times": times,
        }
    )
    return VerdictAnswer(
        sentence=str(found), cause=found.cause, remedy=found.remedy, is_failure=found.is_failure
    )


class SessionSummary(Answer):
    """A session in a list."""

    session_id: str
    user_id: str
    status: State
    reason: str | None
    """Why it ended or failed; null while it lives."""
    agent: str
    """Whom it was started with; `agent` of the query means this."""
    talking: str | None
    """Whom the conversation was given to since; null: to nobody."""
    attempt: int
    created: float
    queued: float | None
    active: float | None
    ended: float | None


class SessionsAnswer(Answer):
    sessions: list[SessionSummary]
    """Newest first. A page may be short, even empty, though there is a next one."""
    cursor: str | None
    """Asks for the next page; null: there is none."""

    @classmethod
    def of(cls, entries: Iterable[Entry], cursor: str | None) -> "SessionsAnswer":
        found = [
            SessionSummary(
                session_id=entry.id,
                user_id=entry.user_id,
                status=entry.status,
                reason=entry.reason,
                agent=entry.agent,
                talking=entry.talking,
                attempt=entry.attempt,
                created=entry.created_at,
                queued=entry.queued_at,
                active=entry.active_at,
                ended=entry.ended_at,
            )
            for entry in entries
        ]
        return cls(sessions=found, cursor=cursor)


class EventAnswer(Answer):
    """An event as event streams tell it."""

    session_id: str
    name: str
    at: float
    data: dict[str, Any]


class ErasedAnswer(Answer):
    success: Literal[True] = True


class AttemptAnswer(Answer):
    at: float
    duration_s: float
    status: int | None
    """The receiver's HTTP status; null: it did not answer."""
    error: str | None
    """What went wrong; null: the receiver took it."""


class DeliveryAnswer(Answer):
    id: str
    webhook_id: str
    """The `webhook-id` that the receiver gets, the same at every attempt."""
    endpoint: str
    session_id: str
    event: str
    status: DeliveryStatus
    attempts: int
    created_at: float
    next_at: float | None
    """When it is tried again; null: it does not wait for that."""
    finished_at: float | None
    """When it was taken or given up; null while it is pending."""
    error: str | None
    """Why it was given up; null: it was not."""
    log: list[AttemptAnswer]
    """The latest attempts, oldest first."""

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryAnswer":
        last = delivery.log[-1].error if delivery.log else None
        is_dead = delivery.status is DeliveryStatus.DEAD
        return cls(
            id=delivery.id,
            webhook_id=webhook_id(delivery.id),
            endpoint=delivery.endpoint,
            session_id=delivery.session,
            event=delivery.event,
            status=delivery.status,
            attempts=delivery.attempts,
            created_at=delivery.created_at,
            next_at=delivery.next_at,
            finished_at=delivery.finished_at,
            error=(delivery.error or last) if is_dead else None,
            log=[
                AttemptAnswer(at=a.at, duration_s=a.duration_s, status=a.status, error=a.error)
                for a in delivery.log
            ],
        )


class DeliveriesAnswer(Answer):
    deliveries: list[DeliveryAnswer]
    """Those of the newest events first."""
    cursor: str | None
    """Asks for the next page; null: there is none."""


class LiveKitTokenAnswer(BaseModel):
    """LiveKit's own names, as its client SDKs read them."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    server_url: str
    participant_token: str = Field(repr=False)


class TalkAgent(Answer):
    name: str
    title: str
    voices: tuple[str, ...]
    """Those that the page may choose from."""
    voice: str | None
    """The one of them that the agent speaks with unasked; null: its own is none of them."""
    default: bool


class TalkAnswer(Answer):
    key: str | None = Field(repr=False)
    """The publishable key that the page shows; null where none is needed, or one was shown."""
    url: str
    """LiveKit's address for clients, for a page to greet before anybody clicks."""
    agents: list[TalkAgent]
    start_timeout: float
    """Seconds within which an agent comes, or the start has failed."""


class StatusAnswer(Answer):
    status: Literal["ok", "ready"]


class WebhookAnswer(Answer):
    success: Literal[True] = True


class ProblemField(Answer):
    field: str
    message: str


class ProblemAnswer(Answer):
    """Every error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable; what programs should look at."""
    success: Literal[False]
    errors: list[ProblemField] | None = None
    """The wrong fields of an invalid body."""
