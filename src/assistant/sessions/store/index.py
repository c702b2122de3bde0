"""Where a session stands in the index, and the lines and the pid that the older backend kept."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from assistant.sessions.events import Event, told_fields
from assistant.sessions.record import Session, State

MAX_LINE_CHARS = 500


def user_label(user_id: str) -> str:
    """A user in a key's name: hashed, so that user ids do not stand in key listings."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:32]


def entry(session: Session, *, expires_at: float) -> dict[str, str]:
    """What index.lua needs to know of a session."""
    return {
        "status": session.state,
        "live": "0" if session.terminal else "1",
        "agent": session.agent,
        "user": user_label(session.user_id),
        "created": repr(session.created_at),
        "expires": repr(expires_at),
    }


def active_pid(session: Session) -> str:
    """The process of the agent that is in the room; empty: there is none."""
    in_room = session.state is State.ACTIVE and session.agent_pid is not None
    return str(session.agent_pid) if in_room else ""


def line(event: Event) -> str:
    """An event as a person reads it: `2026-05-01T12:00:00.000Z agent.claimed attempt=1 pid=77`."""
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")
    words = [at.replace("+00:00", "Z"), event.name]
    for name in told_fields(type(event)):
        value: Any = getattr(event, name)
        if name != "at" and value is not None:
            words.append(f"{name}={_plain(value)}")
    return " ".join(words)[:MAX_LINE_CHARS]


def _plain(value: Any) -> str:
    # A caller's text must not look like a line of ours.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
