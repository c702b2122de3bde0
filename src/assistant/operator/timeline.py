"""A session's timeline as stages: what happened, when, and after how long. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_SAYS = {
    "session.created": "the record was made",
    "session.queued": "an agent was asked for",
    "session.admitted": "it got a slot",
    "session.dispatched": "LiveKit was asked for an agent",
    "agent.received": "a worker was offered the job",
    "agent.accepted": "a worker accepted the job",
    "agent.launched": "a job process got the job",
    "agent.claimed": "the job process claimed the attempt",
    "agent.joined": "the agent is in the room",
    "agent.spoke": "the agent was heard",
    "agent.unseen": "LiveKit no longer lists the agent",
    "agent.lost": "the attempt came to nothing",
    "user.joined": "the user is in the room",
    "user.left": "the user left",
    "session.active": "the conversation runs",
    "agent.transferred": "another agent has the conversation",
    "provider.failed": "a vendor did not do its part",
    "provider.recovered": "the vendor answers again",
    "dead_air": "the caller waited in silence",
    "operator.listening": "an operator listens in",
    "recording.stored": "the recording is stored",
    "recording.failed": "the recording could not be stored",
    "report.ready": "the report is complete",
    "control.requested": "a backend gave a command",
    "control.settled": "a command came to this",
    "session.ending": "its end began",
    "session.ended": "everybody is gone",
    "session.failed": "no agent could be brought",
}
# Told beside the stage, where the event has them.
_SHOWN = ("worker", "pid", "detail", "reason", "stage", "provider", "kind", "outcome")
#: The conversation itself, of which the timeline has a line for each sentence.
_OF_THE_TALK = frozenset({"turn.completed", "conversation.item"})


@dataclass(frozen=True)
class Stage:
    """`after_s`: seconds since the stage before; None: it is the first."""

    attempt: int
    name: str
    says: str
    at: float
    after_s: float | None
    facts: str


def stages_of(timeline: Iterable[dict[str, Any]]) -> list[Stage]:
    """The stages of `GET /api/sessions/{id}`'s timeline, but for the conversation itself.

    `attempt` of a stage that names none is the one that was under way: 0 before the first.
    """
    stages: list[Stage] = []
    attempt, before = 0, None
    for entry in timeline:
        name, at, data = entry["name"], float(entry["at"]), entry.get("data") or {}
        if name in _OF_THE_TALK:
            continue
        named = data.get("attempt")
        if name == "session.admitted":
            attempt += 1
        elif isinstance(named, int):
            attempt = max(attempt, named)
        facts = ", ".join(f"{key} {data[key]}" for key in _SHOWN if data.get(key) is not None)
        stages.append(
            Stage(
                attempt=named if isinstance(named, int) else attempt,
                name=name,
                says=_SAYS.get(name, name),
                at=at,
                after_s=None if before is None else at - before,
                facts=facts,
            )
        )
        before = at
        if name == "agent.lost":
            attempt += 1
    return stages
