"""The session record: its states, its reasons, and the names derived from it. Pure."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_USER_ID_CHARS = 128
AGENT_IDENTITY_PREFIX = "agent-"
#: Of operators who listen in: hidden participants, who are neither user nor agent.
LISTENER_IDENTITY_PREFIX = "listener-"


class State(StrEnum):
    """Where a session stands; see docs/architecture.md for the diagram."""

    CREATED = "created"
    QUEUED = "queued"
    DISPATCHING = "dispatching"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


TERMINAL = frozenset({State.ENDED, State.FAILED})
#: Over, or about to be: nothing new begins.
OVER = TERMINAL | {State.ENDING}
#: The attempt's job may be at work.
AT_WORK = frozenset({State.DISPATCHING, State.ACTIVE})
HOLDS_SLOT = frozenset({State.DISPATCHING, State.ACTIVE, State.ENDING})


class Reason(StrEnum):
    """Why a session ended or failed."""

    USER_REQUESTED = "user_requested"
    USER_LEFT = "user_left"
    USER_NEVER_JOINED = "user_never_joined"
    NEVER_STARTED = "never_started"
    SESSION_TIMEOUT = "session_timeout"
    MAX_DURATION = "max_duration"
    INACTIVITY = "inactivity"
    USER_AWAY = "user_away"
    NO_ANSWER = "no_answer"
    BUDGET = "budget"
    ROOM_DELETED = "room_deleted"
    AGENT_ENDED = "agent_ended"
    ERROR = "error"

    QUEUE_TIMEOUT = "queue_timeout"
    NO_WORKER_REGISTERED = "no_worker_registered"
    ALL_WORKERS_FULL = "all_workers_full"
    JOB_NOT_ACCEPTED = "job_not_accepted"
    JOB_INITIALIZATION_FAILED = "job_initialization_failed"
    AGENT_DID_NOT_JOIN = "agent_did_not_join"
    AGENT_LOST = "agent_lost"
    LIVEKIT_UNREACHABLE = "livekit_unreachable"


@dataclass(frozen=True, kw_only=True)
class Session:
    """One conversation: one room, one user, one agent at a time.

    Times are Unix seconds (float); None means that it has not happened.
    """

    id: str
    user_id: str
    room: str
    state: State
    created_at: float
    version: int = 0
    #: Agent of agents.yaml; its resolved AgentSpec as JSON, without secrets.
    agent: str
    spec: str
    #: The `config` object as the caller gave it.
    config: dict[str, Any] = field(default_factory=dict)
    #: Names the start; None before the session was started.
    task_id: str | None = None
    #: True: the session starts when its user is seen in the room.
    starts_on_join: bool = False
    #: Hash of the key that a publishable caller must show; None: no such key.
    session_key_hash: str | None = None
    #: The n-th dispatch, from 1; 0 before the first. Only ever grows.
    attempt: int = 0
    max_duration_s: float
    #: How long an agent waits for the user to come, and to come back.
    user_join_timeout_s: float
    user_return_timeout_s: float
    queued_at: float | None = None
    #: Since when an agent is sought; BOT_STARTUP_TIMEOUT counts from here.
    seeking_at: float | None = None
    #: The current attempt's stages.
    attempt_at: float | None = None
    dispatched_at: float | None = None
    accepted_at: float | None = None
    launched_at: float | None = None
    claimed_at: float | None = None
    joined_at: float | None = None
    #: Since when the current attempt's agent is not in the room though it had joined.
    unseen_at: float | None = None
    #: Attempts that came to nothing since an agent last stayed, and the most telling of the whys.
    setbacks: int = 0
    setback: Reason | None = None
    setback_detail: str | None = None
    #: When an agent was first in the room; kept over later attempts.
    active_at: float | None = None
    user_joined_at: float | None = None
    user_left_at: float | None = None
    ending_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    agent_pid: int | None = None
    reason: Reason | None = None
    detail: str | None = None

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def holds_slot(self) -> bool:
        return self.state in HOLDS_SLOT and self.attempt > 0

    @property
    def agent_identity(self) -> str | None:
        """The identity of the current attempt's agent; None before the first attempt."""
        return agent_identity(self.id, self.attempt) if self.attempt else None


def agent_identity(session_id: str, attempt: int) -> str:
    """Identity of an attempt's agent; never a fixed one, since equal identities end each other."""
    return f"{AGENT_IDENTITY_PREFIX}{session_id}-{attempt}"


def room_name(prefix: str, session_id: str) -> str:
    return f"{prefix}{session_id}"


def session_of_room(prefix: str, room: str) -> str | None:
    """The id of the session whose room this is; None: the room is not ours."""
    session_id = room.removeprefix(prefix)
    if session_id == room or not SESSION_ID.fullmatch(session_id):
        return None
    return session_id


def is_session_id(text: str) -> bool:
    return SESSION_ID.fullmatch(text) is not None


def is_user_id(text: str) -> bool:
    """1-128 printable characters, and never the identity of an agent or a listener of ours."""
    return (
        0 < len(text) <= MAX_USER_ID_CHARS
        and text.isprintable()
        and not text.startswith((AGENT_IDENTITY_PREFIX, LISTENER_IDENTITY_PREFIX))
    )
