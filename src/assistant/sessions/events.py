"""What can happen to a session. Times `at` are Unix seconds."""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from assistant.sessions.record import Reason


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a session; `name` is what timelines and webhooks call it."""

    name = "event"
    #: Whether the session wants to be looked at for it at once.
    urgent: ClassVar[bool] = True
    at: float


_told: dict[type[Event], tuple[str, ...]] = {}


def told_fields(kind: type[Event]) -> tuple[str, ...]:
    """The fields of such events that timelines and logs show: all but the private ones."""
    told = _told.get(kind)
    if told is None:
        told = tuple(each.name for each in fields(kind) if not each.metadata.get("private"))
        _told[kind] = told
    return told


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something that timelines show and that changes no record."""

    urgent = False


@dataclass(frozen=True, kw_only=True)
class Created(Event):
    """The record was made. Only ever the first event."""

    name = "session.created"


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """Somebody asked for an agent; the session waits for a slot.

    What is not None replaces what the record holds: a session that was made with a token gets
    its agent only now. A field marked private goes into the record, never into a timeline.
    """

    name = "session.queued"
    task_id: str
    agent: str | None = None
    spec: str | None = field(default=None, repr=False, metadata={"private": True})
    config: dict[str, Any] | None = field(default=None, repr=False, metadata={"private": True})
    max_duration_s: float | None = None
    user_join_timeout_s: float | None = None
    user_return_timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Admitted(Event):
    """The session left the queue, and holds a slot from now on."""

    name = "session.admitted"


@dataclass(frozen=True, kw_only=True)
class Dispatched(Event):
    """LiveKit recorded the dispatch of an attempt; it may still be lost."""

    name = "session.dispatched"
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Received(Note):
    """A worker was offered the attempt's job."""

    name = "agent.received"
    attempt: int
    worker: str


@dataclass(frozen=True, kw_only=True)
class Accepted(Event):
    """A worker accepted the attempt's job; its job process is still to claim it."""

    name = "agent.accepted"
    urgent = False
    attempt: int
    worker: str


@dataclass(frozen=True, kw_only=True)
class Launched(Event):
    """The worker handed the attempt's job to a job process that was ready for it."""

    name = "agent.launched"
    urgent = False
    attempt: int
    worker: str
    pid: int | None


@dataclass(frozen=True, kw_only=True)
class Claimed(Event):
    """A job process took the attempt, before it joins the room."""

    name = "agent.claimed"
    attempt: int
    worker: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class AgentJoined(Event):
    """The attempt's agent is in the room."""

    name = "agent.joined"
    attempt: int


@dataclass(frozen=True, kw_only=True)
class AgentUnseen(Event):
    """LiveKit no longer lists the agent, which may come back after a restart of LiveKit."""

    name = "agent.unseen"
    attempt: int


@dataclass(frozen=True, kw_only=True)
class AgentLost(Event):
    """The attempt came to nothing, or its agent vanished; the next attempt begins."""

    name = "agent.lost"
    attempt: int
    detail: str
    #: Whose process is gone. If another one has claimed the attempt (it was dispatched twice), that
    #: is no loss. None: whichever worker has it; `pid` None: no process had it.
    worker: str | None = None
    pid: int | None = None
    #: What the session fails with if no later attempt does better; None: AGENT_LOST.
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class AgentSpoke(Note):
    """The attempt's agent was audible for the first time."""

    name = "agent.spoke"
    attempt: int


@dataclass(frozen=True, kw_only=True)
class UserJoined(Event):
    name = "user.joined"


@dataclass(frozen=True, kw_only=True)
class UserLeft(Event):
    name = "user.left"


@dataclass(frozen=True, kw_only=True)
class EndRequested(Event):
    """Somebody or some limit wants the session to end."""

    name = "session.ending"
    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class Closed(Event):
    """The room and everybody in it are gone."""

    name = "session.ended"


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """No agent could be brought into the room."""

    name = "session.failed"
    reason: Reason
    detail: str


@dataclass(frozen=True, kw_only=True)
class TurnCompleted(Note):
    """The agent answered the user; durations in seconds, None: not measured."""

    name = "turn.completed"
    attempt: int
    turn: int
    transcription_delay_s: float | None
    end_of_turn_delay_s: float | None
    llm_ttft_s: float | None
    tts_ttfb_s: float | None
    e2e_latency_s: float | None
    interrupted: bool


@dataclass(frozen=True, kw_only=True)
class ProviderFailed(Note):
    """A vendor did not do its part. `stage`: stt, llm or tts; `kind`: what kind of failure."""

    name = "provider.failed"
    attempt: int
    stage: str
    provider: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class ProviderRecovered(Note):
    """A vendor that had failed answers again, and has its place back."""

    name = "provider.recovered"
    attempt: int
    stage: str
    provider: str


@dataclass(frozen=True, kw_only=True)
class DeadAir(Note):
    """The caller waited in silence for an answer; `apologized`: they were told."""

    name = "dead_air"
    attempt: int
    silence_s: float
    apologized: bool


@dataclass(frozen=True, kw_only=True)
class AgentTransferred(Note):
    """An agent of agents.yaml, or a command, gave the conversation to another, `agent`."""

    name = "agent.transferred"
    attempt: int
    agent: str


@dataclass(frozen=True, kw_only=True)
class ItemSaid(Note):
    """Something was said, or a tool was used; as the item, with texts cut to bound an event."""

    name = "conversation.item"
    attempt: int
    id: str
    role: str
    text: str
    interrupted: bool
    started_at: float | None = None
    ended_at: float | None = None
    tool: str | None = None
    arguments: str | None = None
    output: str | None = None
    is_error: bool | None = None
    #: A text was longer than an event may hold; the transcript has more of it.
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class OperatorListening(Note):
    """Somebody got a token to listen in; `by` names their key."""

    name = "operator.listening"
    by: str


@dataclass(frozen=True, kw_only=True)
class ReportReady(Note):
    """The session's report is complete; `judged`: with what a language model made of it."""

    name = "report.ready"
    judged: bool


@dataclass(frozen=True, kw_only=True)
class RecordingStored(Note):
    """The attempt's recording is where recordings lie."""

    name = "recording.stored"
    attempt: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class RecordingFailed(Note):
    """The attempt's recording could not be stored; it is kept on its host, and tried again."""

    name = "recording.failed"
    attempt: int
    detail: str


@dataclass(frozen=True, kw_only=True)
class ControlRequested(Note):
    """A backend gave a command; `by` names its key. Never with the command's text."""

    name = "control.requested"
    id: str
    kind: str
    by: str


@dataclass(frozen=True, kw_only=True)
class ControlSettled(Note):
    """Something became of a command: `applied`, `dropped` or `failed`."""

    name = "control.settled"
    id: str
    kind: str
    outcome: str
    attempt: int
