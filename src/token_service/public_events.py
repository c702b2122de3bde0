"""Which events leave the house, under which name, and with which of their facts. Pure.

Only what is listed here goes out: never a prompt or a configuration; what was said goes out in
`conversation.item` alone, and, where somebody asks for it, while it is said in PARTIAL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from assistant.sessions.words import Words

ENDS = frozenset({"session.ended", "session.failed"})


@dataclass(frozen=True, slots=True)
class _Rule:
    """The facts that backends see, those that pages see too, and the public name if it differs.

    `backends_only`: pages do not learn that it happened.
    """

    backend: tuple[str, ...] = ()
    page: tuple[str, ...] = ()
    name: str | None = None
    backends_only: bool = False


_LATENCIES = (
    "transcription_delay_s",
    "end_of_turn_delay_s",
    "llm_ttft_s",
    "tts_ttfb_s",
    "e2e_latency_s",
)
_RULES: Mapping[str, _Rule] = {
    "session.created": _Rule(),
    "session.queued": _Rule(("task_id",), ("agent", "max_duration_s")),
    "session.admitted": _Rule(),
    "session.dispatched": _Rule((), ("attempt",)),
    "session.active": _Rule(),
    "session.ending": _Rule(("detail",), ("reason",)),
    "session.ended": _Rule((), ("reason",)),
    "session.failed": _Rule(("detail",), ("reason",)),
    "agent.accepted": _Rule(("worker",), ("attempt",)),
    "agent.joined": _Rule((), ("attempt",)),
    "agent.spoke": _Rule((), ("attempt",)),
    # It may come back; `agent.lost` is what says that another one is sought.
    "agent.unseen": _Rule((), ("attempt",), name="agent.left"),
    "agent.lost": _Rule(("detail", "reason"), ("attempt",)),
    "agent.transferred": _Rule((), ("agent", "attempt")),
    "user.joined": _Rule(),
    "user.left": _Rule(),
    "provider.failed": _Rule(("provider", "kind"), ("stage",)),
    "provider.recovered": _Rule(("provider",), ("stage",)),
    "dead_air": _Rule(("apologized",), ("silence_s",)),
    "conversation.item": _Rule(
        ("attempt", "started_at", "ended_at", "tool", "arguments", "output", "is_error", "cut"),
        ("id", "role", "text", "interrupted"),
    ),
    "control.requested": _Rule(("id", "kind", "by"), backends_only=True),
    "control.settled": _Rule(("id", "kind", "outcome", "attempt"), backends_only=True),
    "report.ready": _Rule((), ("judged",)),
    "recording.stored": _Rule(("attempt", "bytes")),
    "recording.failed": _Rule(("attempt", "detail")),
    "operator.listening": _Rule(("by",), backends_only=True),
    "turn.completed": _Rule(("attempt",), ("turn", "interrupted", *_LATENCIES)),
}
#: How a job is handed over inside; of no use to anybody else.
INTERNAL = frozenset({"agent.received", "agent.launched", "agent.claimed"})

#: Words while they are spoken: told by a session's stream alone, and stored nowhere.
PARTIAL = "conversation.partial"
RECORDED = frozenset(_RULES)
NAMES = frozenset(rule.name or name for name, rule in _RULES.items())


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """An event as others see it; `at` in Unix seconds."""

    session_id: str
    name: str
    at: float
    data: dict[str, Any] = field(default_factory=dict)

    def streamed(self) -> dict[str, Any]:
        """What an event stream says."""
        return {
            "sessionId": self.session_id,
            "name": self.name,
            "at": self.at,
            "data": self.data,
        }

    def posted(self) -> dict[str, Any]:
        """What a webhook says.

        Source: the Standard Webhooks specification, "Payload structure".
        """
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds")
        return {
            "type": self.name,
            "timestamp": at.replace("+00:00", "Z"),
            "data": {"sessionId": self.session_id, **self.data},
        }


def published(
    session_id: str, recorded: str, data: Mapping[str, Any], *, page: bool = False
) -> PublicEvent | None:
    """A recorded event as others see it; None: they do not. `page`: as web pages see it."""
    rule = _RULES.get(recorded)
    if rule is None or (page and (rule.backends_only or data.get("role") == "tool")):
        # What tools are given and answer is between the backend and its agent; so are orders.
        return None
    shown = rule.page if page else (*rule.page, *rule.backend)
    facts = {name: data[name] for name in shown if data.get(name) is not None}
    return PublicEvent(session_id, rule.name or recorded, float(data["at"]), facts)


def spoken(session_id: str, words: Words) -> PublicEvent:
    """Words while they are spoken, as backends that ask for them see them."""
    facts = {"id": words.id, "role": words.role, "text": words.text, "attempt": words.attempt}
    if words.item is not None:
        facts["item"] = words.item
    return PublicEvent(session_id, PARTIAL, words.at, facts)
