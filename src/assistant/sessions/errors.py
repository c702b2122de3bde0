"""The errors of sessions.

SessionError
├── SessionNotFoundError     no record of that id (or it expired)
├── SessionTakenError        the id belongs to another user
├── SessionOverError         the session has ended; ids are never used twice
├── CapacityError            no slot and no place in the queue
├── SupersededError          a newer attempt (or the end) took the job's place
├── ConflictError            other writers kept changing the record
├── RecordError              what Redis holds is not a record of ours
└── StoreUnavailableError    Redis did not answer
"""

from assistant.errors import AssistantError


class SessionError(AssistantError):
    """A session cannot do what was asked."""

    def __init__(self, session_id: str, detail: str | None = None) -> None:
        super().__init__(session_id, detail)
        self.session_id = session_id
        self.detail = detail

    def __str__(self) -> str:
        text = f"session {self.session_id!r}: {(self.__doc__ or '').splitlines()[0]}"
        return f"{text} ({self.detail})" if self.detail else text


class SessionNotFoundError(SessionError):
    """There is no such session."""


class SessionTakenError(SessionError):
    """The session's id belongs to another user."""


class SessionOverError(SessionError):
    """The session has ended, and an id is never used twice."""


class CapacityError(SessionError):
    """Every slot is in use and the queue is full."""


class SupersededError(SessionError):
    """A newer attempt, or the session's end, took this job's place."""


class ConflictError(SessionError):
    """Others kept changing the record while this change was tried."""


class RecordError(SessionError):
    """The stored record cannot be read."""


class StoreUnavailableError(AssistantError):
    """Redis did not answer."""
