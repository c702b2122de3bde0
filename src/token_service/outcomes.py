"""What the use cases come to; the routes make answers of it."""

from dataclasses import dataclass, field
from typing import Any

from assistant.sessions.direction import Side
from assistant.sessions.record import Session


@dataclass(frozen=True, slots=True)
class Minted:
    """A token; `session_key` is set if this call made the session for a publishable key."""

    session_id: str
    room: str
    token: str = field(repr=False)
    session_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The place in the queue, from 1, and the probable wait; None: nobody knows."""

    position: int
    estimated_wait_s: float | None


@dataclass(frozen=True, slots=True)
class Started:
    """A start; `waiting` is None if it does not wait."""

    session: Session
    task_id: str
    waiting: Waiting | None
    session_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """`timeline` and `muted` are None where the caller may not see them."""

    session: Session
    waiting: Waiting | None
    timeline: list[dict[str, Any]] | None
    muted: tuple[Side, ...] | None
