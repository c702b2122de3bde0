"""What a session's report says: made from what is stored, whichever of its jobs still lived."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assistant.sessions import events as ev
from assistant.sessions.item import Item
from assistant.sessions.record import Session, State
from assistant.sessions.store.archive import Kept
from assistant.sessions.tally import LATENCIES
from assistant.sessions.usage import together, total_cost
from token_service.answers import Answer, TimelineEntry
from token_service.transcript import ItemAnswer

PERCENTILES = (50, 90, 99)
MAX_ERRORS = 100
_ERRORS = frozenset({ev.AgentLost.name, ev.Failed.name, "provider.failed", ev.RecordingFailed.name})


class Percentiles(Answer):
    count: int
    p50: float
    p90: float
    p99: float
    max: float


class ModelAnswer(Answer):
    kind: str
    """`llm`, `stt` or `tts`."""
    provider: str
    model: str
    input_tokens: int
    cached_input_tokens: int
    """Among the input tokens."""
    output_tokens: int
    audio_s: float
    """Seconds of speech, heard or made."""
    characters: int
    cost: float | None
    """Null: there is no price for it."""


class UsageAnswer(Answer):
    models: list[ModelAnswer]
    currency: str | None
    """Of the costs; null: there is no price table."""
    cost: float | None
    """All together; null as soon as one model has no price."""


class CriterionAnswer(Answer):
    criterion: str
    met: bool | None
    """Null: it could not be told."""
    reason: str


class OutcomeAnswer(Answer):
    """What the agent's language model makes of the conversation."""

    summary: str | None
    criteria: list[CriterionAnswer]
    success: bool | None
    """Whether all criteria are met; null: there are none, or one could not be told."""
    extracted: dict[str, Any] | None
    """Valid against the agent's schema; null: nothing was asked for, or it could not be had."""
    missing: dict[str, str]
    """What could not be had, by part (`judgement`, `extract`), and why."""


class TurnsAnswer(Answer):
    count: int
    interrupted: int
    latencies: dict[str, Percentiles]
    """By the names of `turn.completed`, in seconds; what was never measured is absent."""


class RecordingAnswer(Answer):
    attempt: int
    address: str
    """Where it lies; `/recording` gives its sound."""
    bytes: int
    started_at: float | None
    """When it began; null: its job died, and could not say."""
    stored_at: float


class ReportAnswer(Answer):
    session_id: str
    user_id: str
    agent: str
    status: State
    reason: str | None
    """Why it ended or failed; null while it lives."""
    detail: str | None
    ready: bool
    """Whether anything may still be added; `report.ready` is told once it may not."""
    started: float | None
    """When an agent was first in the room."""
    ended: float | None
    duration_s: float | None
    """From the one to the other; null: it did not begin, or lives."""
    attempts: int
    turns: TurnsAnswer
    user_messages: int | None
    """Null: the session has no words written down."""
    agent_messages: int | None
    usage: UsageAnswer
    tool_calls: list[ItemAnswer]
    errors: list[TimelineEntry]
    """Lost agents and failed vendors, oldest first, at most 100."""
    outcome: OutcomeAnswer | None
    """Null: nothing was asked for, or `outcomeMissing` says why."""
    outcome_missing: str | None
    recordings: list[RecordingAnswer]
    """One an attempt, the caller left and the agent right; those that are stored so far."""
    sdk: dict[str, dict[str, Any]]
    """LiveKit's own session report by attempt, without events and history; none of an attempt
    whose job was killed."""


def report_of(
    session: Session,
    timeline: Sequence[Mapping[str, Any]],
    items: Sequence[Item],
    kept: Kept,
    *,
    asks: bool,
    words: bool = True,
) -> ReportAnswer:
    """The report as far as it is known.

    `asks`: the agent wants a language model's part; `words`: what is said is written down.
    """
    said = [item.role for item in items]
    ended = session.ended_at
    started = session.active_at
    return ReportAnswer(
        session_id=session.id,
        user_id=session.user_id,
        agent=session.agent,
        status=session.state,
        reason=session.reason,
        detail=session.detail,
        ready=kept.ready,
        started=started,
        ended=ended,
        duration_s=None if started is None or ended is None else max(ended - started, 0.0),
        attempts=session.attempt,
        turns=_turns([entry["data"] for entry in timeline if entry["name"] == "turn.completed"]),
        user_messages=said.count("user") if words else None,
        agent_messages=said.count("assistant") if words else None,
        usage=_usage(kept),
        tool_calls=[ItemAnswer.of(item) for item in items if item.tool is not None],
        errors=list(_errors(timeline))[:MAX_ERRORS],
        outcome=_outcome(kept.analysis),
        outcome_missing=_why_no_outcome(session, kept, asks=asks, words=words),
        recordings=[
            RecordingAnswer(attempt=attempt, **stored)
            for attempt, stored in kept.recordings.items()
        ],
        sdk={str(attempt): told for attempt, told in kept.sdk.items()},
    )


def _why_no_outcome(session: Session, kept: Kept, *, asks: bool, words: bool) -> str | None:
    if kept.analysis is not None or not asks:
        return None
    if not words:
        return "no word of the conversation is written down"
    if not session.terminal or not kept.ready:
        return "the conversation is not over, or its report is being made"
    if session.active_at is None:
        return "no agent ever joined"
    return "the agent's process was gone before it could be asked"


def _turns(turns: Sequence[Mapping[str, Any]]) -> TurnsAnswer:
    latencies = {}
    for name in LATENCIES:
        known = sorted(turn[name] for turn in turns if turn.get(name) is not None)
        if known:
            latencies[name] = percentiles(known)
    interrupted = sum(1 for turn in turns if turn.get("interrupted"))
    return TurnsAnswer(count=len(turns), interrupted=interrupted, latencies=latencies)


def percentiles(known: Sequence[float]) -> Percentiles:
    """Of sorted values, at least one, by nearest rank: each is a value that was measured."""
    p50, p90, p99 = (known[math.ceil(len(known) * p / 100) - 1] for p in PERCENTILES)
    return Percentiles(count=len(known), p50=p50, p90=p90, p99=p99, max=known[-1])


def _usage(kept: Kept) -> UsageAnswer:
    spent = together(kept.usage.values())
    return UsageAnswer(
        models=[ModelAnswer(**usage.model_dump()) for usage in spent.models],
        currency=spent.currency,
        cost=total_cost(spent) if spent.models else None,
    )


def _errors(timeline: Iterable[Mapping[str, Any]]) -> Iterable[TimelineEntry]:
    for entry in timeline:
        if entry["name"] in _ERRORS:
            data = {k: v for k, v in entry["data"].items() if k != "at" and v is not None}
            yield TimelineEntry(
                id=entry["id"], name=entry["name"], at=entry["data"]["at"], data=data
            )


def _outcome(analysis: Mapping[str, Any] | None) -> OutcomeAnswer | None:
    if analysis is None:
        return None
    criteria = [CriterionAnswer(**verdict) for verdict in analysis["criteria"]]
    met = [verdict.met for verdict in criteria]
    success = None
    if met:
        success = False if False in met else None if None in met else True
    return OutcomeAnswer(
        summary=analysis["summary"],
        criteria=criteria,
        success=success,
        extracted=analysis["extracted"],
        missing=analysis["missing"],
    )
