"""What can go wrong in a rehearsal, each with a message for the person at the terminal.

RehearsalError
├── ServiceUnreachableError    nothing answers at the service's address
├── ServiceRefusedError        the service answered with an error
├── ServiceAnswerInvalidError  the service answered something that is not its API
├── SessionFailedError         the session ended before the call did
├── RoomRefusedError           LiveKit did not let the caller in
├── CallerDisconnectedError    LiveKit put the caller out of the room
├── CallerBrokenError          the caller's microphone or ear failed
├── WaitTimedOutError          what the caller waited for did not come
└── SpeechError
    ├── SpeechFileInvalidError     a WAV file cannot be spoken
    └── SpeechUnavailableError     a text cannot be turned into speech
"""

from pathlib import Path

from assistant.errors import AssistantError


class RehearsalError(AssistantError):
    """The base of all errors of this package."""


class ServiceUnreachableError(RehearsalError):
    def __init__(self, url: str, cause: str) -> None:
        super().__init__(url, cause)
        self.url = url
        self.cause = cause

    def __str__(self) -> str:
        return (
            f"no token service answers at {self.url} ({self.cause}); "
            "start everything with `make up`, or name the service with --url"
        )


class ServiceRefusedError(RehearsalError):
    """The service answered with an error.

    `code` is the stable code of its problem document, None when the body held none;
    `retry_after_s` is what the `Retry-After` header asked for.
    """

    def __init__(
        self,
        *,
        request: str,
        status: int,
        code: str | None,
        detail: str,
        retry_after_s: float | None,
    ) -> None:
        super().__init__(request, status, code, detail)
        self.request = request
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        code = f" {self.code}" if self.code else ""
        later = f"; try again in {self.retry_after_s:g} s" if self.retry_after_s is not None else ""
        return f"{self.request} was refused with {self.status}{code}: {self.detail}{later}"


class ServiceAnswerInvalidError(RehearsalError):
    def __init__(self, *, request: str, reason: str) -> None:
        super().__init__(request, reason)
        self.request = request
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.request} was answered by something that is not the token service: {self.reason}"
        )


class SessionFailedError(RehearsalError):
    """The session ended or failed before the call did.

    `status`, `reason` and `detail` are the session record's; None where the record has none.
    """

    def __init__(
        self, *, session_id: str, status: str, reason: str | None, detail: str | None
    ) -> None:
        super().__init__(session_id, status, reason, detail)
        self.session_id = session_id
        self.status = status
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        because = f" ({self.reason})" if self.reason else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"session {self.session_id} {self.status}{because}{detail}"


class RoomRefusedError(RehearsalError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"the caller could not join its room at {self.url}: {self.reason}"


class CallerDisconnectedError(RehearsalError):
    """`reason` is LiveKit's name for it, such as `ROOM_DELETED`."""

    def __init__(self, reason: str, *, waiting_for: str) -> None:
        super().__init__(reason, waiting_for)
        self.reason = reason
        self.waiting_for = waiting_for

    def __str__(self) -> str:
        return f"the caller was put out of its room ({self.reason}) while {self.waiting_for}"


class CallerBrokenError(RehearsalError):
    """Part of the caller itself failed, so that nothing it measures can be trusted."""

    def __init__(self, *, waiting_for: str, cause: BaseException) -> None:
        super().__init__(waiting_for, cause)
        self.waiting_for = waiting_for
        self.cause = cause

    def __str__(self) -> str:
        cause = str(self.cause) or type(self.cause).__name__
        return f"the caller broke while {self.waiting_for}: {cause}"


class WaitTimedOutError(RehearsalError):
    """`seen` says what the room looked like when the caller gave up."""

    def __init__(self, waiting_for: str, *, timeout_s: float, seen: str) -> None:
        super().__init__(waiting_for, timeout_s, seen)
        self.waiting_for = waiting_for
        self.timeout_s = timeout_s
        self.seen = seen

    def __str__(self) -> str:
        return f"gave up after {self.timeout_s:g} s {self.waiting_for} ({self.seen})"


class SpeechError(RehearsalError):
    """There is nothing to say, because the speech could not be made."""


class SpeechFileInvalidError(SpeechError):
    def __init__(self, path: Path, *, reason: str, remedy: str) -> None:
        super().__init__(path, reason, remedy)
        self.path = path
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path} cannot be spoken: {self.reason}; {self.remedy}"


class SpeechUnavailableError(SpeechError):
    def __init__(self, *, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"the text cannot be spoken: {self.reason}; {self.remedy}"
