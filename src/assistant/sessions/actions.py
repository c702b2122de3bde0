"""What `plan` sees and what it asks for. Pure."""

from dataclasses import dataclass

from assistant.sessions import events as ev


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The deployment's bounds on every session, in seconds."""

    startup_timeout_s: float
    queue_timeout_s: float
    session_timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen just now; None: LiveKit (or Redis) did not say, which is not "absent"."""

    room_exists: bool | None = None
    users: frozenset[str] | None = None
    agents: frozenset[str] | None = None
    #: Agents that are on their way into the room.
    arriving: frozenset[str] | None = None
    #: When LiveKit answered again after it had been silent (Unix seconds); None: it was not.
    answering_since: float | None = None
    #: Workers whose beat is fresh, the sessions that could still be admitted, and the jobs that the
    #: workers say they could take.
    workers: int | None = None
    free_slots: int | None = None
    free_jobs: int | None = None
    #: Sessions that wait before this one.
    ahead: int | None = None


@dataclass(frozen=True)
class Record:
    """Write down that this happened, and plan again."""

    event: ev.Event


@dataclass(frozen=True)
class EnsureRoom:
    """Make the session's room, if it is not there."""


@dataclass(frozen=True)
class Dispatch:
    """Ask LiveKit for an agent with this attempt's number; then plan again."""

    attempt: int


@dataclass(frozen=True)
class Evict:
    """Delete the room's dispatches that are ours, and remove these agents from it."""

    identities: frozenset[str]


@dataclass(frozen=True)
class DeleteRoom:
    """Delete the room; everybody in it is disconnected."""


@dataclass(frozen=True)
class CheckAt:
    """Nothing more to do before this time (Unix seconds)."""

    at: float


@dataclass(frozen=True)
class Forget:
    """Nothing more to do, ever."""


Action = Record | EnsureRoom | Dispatch | Evict | DeleteRoom | CheckAt | Forget
