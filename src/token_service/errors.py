"""What the service refuses. The HTTP status of each stands in problems.py alone.

ServiceError
├── UnauthenticatedError     no key, or none that we know
├── ForbiddenError           a known key that may not do this
├── HostRefusedError         the request names a host that is not ours
├── RateLimitedError         too many tokens and starts in a minute
├── SessionNotLiveError      what needs a session with an agent, of one that has none
├── NoWorkerError            no worker is running, and starts are not queued
├── FullError                no slot, or no place in the queue either
├── IdempotencyMismatchError an idempotency key that was used for another request
├── IdempotencyInFlightError its first request is not answered yet
├── TalkPageOffError         this installation has no talk page
├── TalkPageMissingError     it has one, which is not built
├── ConsoleOffError          this installation has no operator's console
├── ConsoleMissingError      it has one, which is not built
├── WebhookRejectedError     not a webhook of our LiveKit
├── TooManyStreamsError      every place for event streams is taken
├── DeliveryNotFoundError    no such delivery, or it is not kept any more
├── EndpointGoneError        a delivery to an endpoint that is not configured any more
├── AgentAbsentError         the command takes an agent that is in the room
├── CommandsFullError        too many commands wait for an agent
├── CommandNotAppliedError   the agent did not carry a command out
├── QueryInvalidError        a wrong parameter of the query, or of a header
└── BodyError
    ├── BodyTypeError        not application/json
    ├── BodyTooLargeError
    ├── BodySlowError        it did not arrive in time
    ├── BodySyntaxError      not the JSON that we read
    └── BodyInvalidError     JSON, but not what the route takes; names each field
"""

from dataclasses import dataclass

from assistant.catalog import UnknownAgentError
from assistant.sessions.command import Outcome


class ServiceError(Exception):
    """Base of what this package raises on purpose; a docstring's first line is the message."""

    def __str__(self) -> str:
        return (self.__doc__ or "").splitlines()[0]


class UnauthenticatedError(ServiceError):
    """A key is needed, as `Authorization: Bearer <key>`, and none of ours was shown."""


class ForbiddenError(ServiceError):
    """This key may not do that: a secret key is needed."""


class HostRefusedError(ServiceError):
    """The service does not answer under this host name; see ASSISTANT_ALLOWED_HOSTS."""


class RateLimitedError(ServiceError):
    """Too many requests."""

    def __init__(self, limit: int, retry_after_s: float) -> None:
        super().__init__(limit, retry_after_s)
        self.limit = limit
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"more than {self.limit} tokens and starts within a minute"


class SessionNotLiveError(ServiceError):
    """No agent is in this session, nor on its way."""


class NoWorkerError(ServiceError):
    """No worker is running, so no agent could come."""


class FullError(ServiceError):
    """Every slot is in use.

    `queue_full`: so is every place in the queue. `retry_after_s`: when one of them is probably
    free; None: nobody knows.
    """

    def __init__(self, *, queue_full: bool, retry_after_s: float | None) -> None:
        super().__init__(queue_full, retry_after_s)
        self.queue_full = queue_full
        self.retry_after_s = retry_after_s


class IdempotencyMismatchError(ServiceError):
    """This Idempotency-Key was used for another request; choose a new one."""


class IdempotencyInFlightError(ServiceError):
    """The first request with this Idempotency-Key is still being answered."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class TalkPageOffError(ServiceError):
    """There is no talk page here."""


class TalkPageMissingError(ServiceError):
    """The talk page is not built; see ASSISTANT_WEB_DIR."""


class ConsoleOffError(ServiceError):
    """There is no operator's console here; see ASSISTANT_CONSOLE."""


class ConsoleMissingError(ServiceError):
    """The operator's console is not built; see ASSISTANT_WEB_DIR."""


class WebhookRejectedError(ServiceError):
    """This is not a webhook of our LiveKit server.

    `why` is for the log; the sender is told nothing.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class TooManyStreamsError(ServiceError):
    """Too many event streams are open."""


class DeliveryNotFoundError(ServiceError):
    """There is no such delivery."""


class EndpointGoneError(ServiceError):
    """The endpoint of this delivery is not configured any more."""


class AgentAbsentError(ServiceError):
    """No agent is in the room, so there is nothing to interrupt."""


class CommandsFullError(ServiceError):
    """Too many commands wait for this session's agent."""


class CommandNotAppliedError(ServiceError):
    """The agent did not carry the command out."""

    def __init__(self, command_id: str, outcome: Outcome) -> None:
        super().__init__(command_id, outcome)
        self.command_id = command_id
        self.outcome = outcome

    def __str__(self) -> str:
        if self.outcome is Outcome.DROPPED:
            return "the agent was stopped, or had to say something else, before it began"
        return "the agent could not do it; its worker's log says why"


class NoSuchSuccessorError(UnknownAgentError):
    """A command names an agent that agents.yaml does not have."""


class QueryInvalidError(ServiceError):
    """A parameter is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class BodyError(ServiceError):
    """The body cannot be used."""


class BodyTypeError(BodyError):
    """The body must be JSON, sent as Content-Type: application/json."""


class BodyTooLargeError(BodyError):
    """The body is larger than this route takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the body is larger than {self.limit} bytes"


class BodySlowError(BodyError):
    """The body did not arrive in time."""


class BodySyntaxError(BodyError):
    """The body is not valid JSON."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the body is not valid JSON: {self.why}"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: its dotted path, empty for the whole body, and what is wrong with it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class BodyInvalidError(BodyError):
    """The body is not what this route takes."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))
