"""Why did my agent not join: one sentence for the cause, one for what to do. Pure."""

from dataclasses import dataclass
from typing import Any

from assistant.sessions.record import Reason, State

# Reasons of the kind "no agent", with what to do about each.
_REMEDIES: dict[Reason, tuple[str, str]] = {
    Reason.QUEUE_TIMEOUT: (
        "every slot was taken for as long as a session may wait",
        (
            "run more workers, raise ASSISTANT_MAX_JOBS or MAX_BOTS, or let sessions wait longer "
            "(ASSISTANT_QUEUE_TIMEOUT)"
        ),
    ),
    Reason.NO_WORKER_REGISTERED: (
        "no worker was there to take the job",
        (
            "start one, with the service's REDIS_URL, LIVEKIT_URL and ASSISTANT_AGENT_NAME; "
            "`python -m assistant workers` lists those that are there"
        ),
    ),
    Reason.ALL_WORKERS_FULL: (
        "every worker ran as many jobs as it may",
        "run more workers, or raise ASSISTANT_MAX_JOBS if their hosts have room",
    ),
    Reason.JOB_NOT_ACCEPTED: (
        "LiveKit offered the job to nobody, or nobody took it",
        (
            "compare LIVEKIT_URL and ASSISTANT_AGENT_NAME of service and workers, and see whether "
            "the workers are registered (`python -m assistant workers`)"
        ),
    ),
    Reason.JOB_INITIALIZATION_FAILED: (
        "a worker took the job, but no job process began it",
        (
            "read that worker's log: a wrong key, a missing package or a host without free memory "
            "stops job processes"
        ),
    ),
    Reason.AGENT_DID_NOT_JOIN: (
        "the job began, but its agent did not come into the room",
        "see whether the worker's host reaches LiveKit's media ports (UDP, or TCP as a way round)",
    ),
    Reason.AGENT_LOST: (
        "the agent vanished from the conversation, and no other came in time",
        "read the log of the worker that ran it, around the time of agent.lost",
    ),
    Reason.LIVEKIT_UNREACHABLE: (
        "LiveKit's API did not answer the service",
        (
            "check LIVEKIT_URL and its keys as the service sees them; `python -m assistant doctor` "
            "does"
        ),
    ),
}
_ENDS: dict[Reason, tuple[str, str | None]] = {
    Reason.USER_REQUESTED: ("somebody asked for its end", None),
    Reason.USER_LEFT: (
        "its user left and did not come back",
        "limits.user_return_timeout_s in agents.yaml is how long the agent waits",
    ),
    Reason.USER_NEVER_JOINED: (
        "the agent was there, and its user never came",
        "does the client join with the token of this session, and can it reach LiveKit?",
    ),
    Reason.NEVER_STARTED: (
        "a token was made, and no start followed within an hour",
        "call POST /api/session/start, or use /api/livekit/token, which starts by itself",
    ),
    Reason.SESSION_TIMEOUT: (
        "it reached SESSION_TIMEOUT",
        "raise SESSION_TIMEOUT if that is short",
    ),
    Reason.MAX_DURATION: (
        "it reached its longest duration",
        "maxDuration of the start, or limits.max_duration_s in agents.yaml, sets it",
    ),
    Reason.INACTIVITY: (
        "nobody spoke for too long",
        "the agent's limits in agents.yaml say how long that is",
    ),
    Reason.USER_AWAY: (
        "the user did not answer the agent's prompts",
        "the agent's `away` in agents.yaml says what it asks, and that it ends then",
    ),
    Reason.BUDGET: (
        "it used up its budget of tokens or money",
        "maxTokens and maxCost of the start, or the agent's `budget` in agents.yaml, set it",
    ),
    Reason.NO_ANSWER: (
        "the user waited for an answer that never came",
        "provider.failed in the timeline names the vendor, `fallbacks` in agents.yaml another one",
    ),
    Reason.ROOM_DELETED: (
        "its room was deleted by somebody else",
        "look for another client of LiveKit's API; rooms with our prefix are ours alone",
    ),
    Reason.AGENT_ENDED: ("the agent ended the conversation", None),
    Reason.ERROR: (
        "a stage of the conversation failed for good",
        "read the worker's log; a vendor that refuses its key or its quota looks like this",
    ),
}
# What the stage that was reached last says of a session that still waits for its agent.
_WAITS = (
    ("claimed", "a job process has it, and its agent is about to join"),
    ("accepted", "a worker has accepted it, and readies a job process"),
    ("dispatched", "LiveKit was asked for an agent, and no worker has accepted yet"),
)


@dataclass(frozen=True)
class Verdict:
    """`remedy` is None where nothing is wrong, or nothing can be done.

    `is_failure`: no agent came, or the conversation broke.
    """

    cause: str
    remedy: str | None
    is_failure: bool

    def __str__(self) -> str:
        sentence = self.cause[:1].upper() + self.cause[1:] + "."
        return (
            f"{sentence} {self.remedy[:1].upper()}{self.remedy[1:]}." if self.remedy else sentence
        )


def verdict_of(session: dict[str, Any]) -> Verdict:
    """What became of a session, from its JSON as `GET /api/sessions/{id}` gives it."""
    status, detail = session.get("status"), session.get("detail")
    if status in {State.ENDED, State.FAILED, State.ENDING}:
        return _of_reason(session.get("reason"), detail)
    times = session.get("times") or {}
    attempt = session.get("attempt") or 0
    nth = f"attempt {attempt}: " if attempt > 1 else ""
    match status:
        case State.CREATED:
            return Verdict("it was never started", "call POST /api/session/start", is_failure=False)
        case State.QUEUED:
            place = session.get("position")
            cause = "it waits for a free slot" + (f", at place {place}" if place else "")
            return Verdict(cause, None, is_failure=False)
        case State.DISPATCHING:
            for stage, says in _WAITS:
                if times.get(stage) is not None:
                    return Verdict(nth + says, None, is_failure=False)
            return Verdict(f"{nth}an agent is about to be asked for", None, is_failure=False)
        case _:
            return Verdict("its agent is in the room", None, is_failure=False)


def _of_reason(reason: Any, detail: str | None) -> Verdict:
    try:
        known = Reason(reason)
    except ValueError:
        return Verdict(f"it is over: {reason}", None, is_failure=False)
    seen = f" ({detail})" if detail else ""
    if known in _REMEDIES:
        cause, remedy = _REMEDIES[known]
        return Verdict(cause + seen, remedy, is_failure=True)
    cause, advice = _ENDS[known]
    return Verdict(cause + seen, advice, is_failure=known is Reason.ERROR)
