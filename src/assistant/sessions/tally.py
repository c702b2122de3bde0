"""What a change of a session adds to the figures of the whole deployment. Pure.

The names are fields of one Redis hash, which the step that stores the change counts up: so the
figures are exact whichever process made the change, and survive them all. Another hash counts the
same of each minute; minutes.py reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from assistant.sessions.events import Event, TurnCompleted
from assistant.sessions.record import Session, State

#: Upper bounds of the histograms' buckets, in seconds; a start should take less than one, and the
#: pause before an answer is short at half a second and long at two.
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """The time between two fields of the record; `name` is a label of the metric."""

    name: str
    begin: str
    end: str
    meaning: str


STAGES = (
    Stage("queued", "queued_at", "seeking_at", "start until a slot was taken"),
    Stage("dispatch", "attempt_at", "dispatched_at", "attempt begun until LiveKit was asked"),
    Stage("accept", "dispatched_at", "accepted_at", "LiveKit asked until a worker accepted"),
    Stage("claim", "accepted_at", "claimed_at", "accepted until a job process claimed it"),
    Stage("join", "claimed_at", "joined_at", "claimed until the agent was in the room"),
    Stage("start", "queued_at", "active_at", "start until an agent was first in the room"),
)
CREATED = "created"
STARTED = "started"
ATTEMPTS = "attempts"
OVER = "over:"
LOST = "lost:"
#: Before the agent's name and `|`, in the fields that count turns and usage.
TURN = "turn:"
USAGE = "usage:"
LATENCIES = (
    "e2e_latency_s",
    "end_of_turn_delay_s",
    "transcription_delay_s",
    "llm_ttft_s",
    "tts_ttfb_s",
)


def over_field(state: str, reason: str) -> str:
    return f"{OVER}{state}:{reason}"


def bucket_field(stage: str, bucket: str) -> str:
    return f"stage:{stage}:{bucket}"


def bucket_of(seconds: float) -> str:
    """The bound of the first bucket that holds `seconds`, as Prometheus writes it."""
    return next((str(bound) for bound in BUCKETS_S if seconds <= bound), "+Inf")


def tally(before: Session | None, after: Session) -> dict[str, float]:
    """What the change from `before` (None: there was no record) to `after` adds."""
    return dict(_tally(before, after))


def _tally(before: Session | None, after: Session) -> Iterator[tuple[str, float]]:
    if before is None:
        yield CREATED, 1
    if after.queued_at is not None and (before is None or before.queued_at is None):
        yield STARTED, 1
    attempts = after.attempt - (before.attempt if before else 0)
    if attempts:
        yield ATTEMPTS, attempts
    if before is not None and before.attempt and attempts:
        yield f"{LOST}{after.setback or 'unknown'}", attempts
    if after.terminal and (before is None or not before.terminal):
        reason = after.reason or "unknown"
        yield over_field(State(after.state).value, reason), 1
    for stage in STAGES:
        seconds = _seconds(stage, after)
        if seconds is not None and (before is None or _seconds(stage, before) is None):
            yield bucket_field(stage.name, bucket_of(seconds)), 1
            yield bucket_field(stage.name, "sum"), seconds


def tally_of_turn(event: Event) -> dict[str, float]:
    """What an event adds to its agent's turns; the fields lack `TURN` and the agent."""
    if not isinstance(event, TurnCompleted):
        return {}
    added: dict[str, float] = {"count": 1}
    if event.interrupted:
        added["interrupted"] = 1
    for name in LATENCIES:
        seconds = getattr(event, name)
        if seconds is not None:
            added[f"{name}|{bucket_of(seconds)}"] = 1
            added[f"{name}|sum"] = seconds
    return added


def _seconds(stage: Stage, session: Session) -> float | None:
    begin, end = getattr(session, stage.begin), getattr(session, stage.end)
    # A later attempt begins after the agent was first in the room; two hosts' clocks differ a bit.
    return None if begin is None or end is None else max(end - begin, 0.0)
