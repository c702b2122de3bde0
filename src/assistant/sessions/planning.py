"""What to do for a session now: `plan`, the half of the lifecycle that looks. Pure.

It compares the record with what was observed, and forgets nothing that was missed before: however
often it is asked, and in whatever order news came, the same look at the same record gives the same
answer. Every answer ends with a next step, so no session is ever left alone.
"""

from assistant.sessions import events as ev
from assistant.sessions.actions import (
    Action,
    CheckAt,
    DeleteRoom,
    Dispatch,
    EnsureRoom,
    Evict,
    Forget,
    Limits,
    Observed,
    Record,
)
from assistant.sessions.record import AGENT_IDENTITY_PREFIX, Reason, Session, State, agent_identity

# A job request lives 3 s in livekit-server (psrpc's default), so an attempt that no worker has
# accepted after 4 s never will be. Source: livekit-server 1.13.5, pkg/agent/client.go.
ACCEPT_TIMEOUT_S = 4.0
# An accepted job may have to wait for a job process to start on a busy machine.
LAUNCH_TIMEOUT_S = 15.0
# A process that is ready claims its job within 0.1 s; one that is stuck never does.
CLAIM_TIMEOUT_S = 5.0
JOIN_TIMEOUT_S = 10.0  # A claimed job joins in under a second; the rest is a broken network.
JOIN_LISTING_GRACE_S = 3.0  # The worker's report may be ahead of LiveKit's list.
# After a restart of LiveKit its rooms are empty until everybody has come back, for up to 4 s
# (measured); whoever is still not there then, is gone.
UNSEEN_GRACE_S = 5.0
UNSEEN_RECHECK_S = 1.0  # So that a restart, or a silence, in that time is noticed.
CREATED_TIMEOUT_S = 3600.0  # A token was minted, and nobody ever started the session.
RECHECK_S = 10.0  # How stale an unchanged live session may become without any event.
# A user who has just got a token is about to join, and waits for the agent.
NEW_RECHECK_S = 2.0
NEW_S = 60.0
DISPATCHING_RECHECK_S = 1.0
CLAIMED_RECHECK_S = 0.3  # The agent joins any moment; its report and LiveKit's may both be lost.
UNKNOWN_RECHECK_S = 1.0  # LiveKit did not say; it may just be restarting.
ENDING_RECHECK_S = 0.1
# LiveKit may list people that it cannot remove (its own Redis was flushed). The session does not
# wait for them; deleting its room goes on after its end.
ENDING_TIMEOUT_S = 30.0
EVICTION_RECHECK_S = 0.05
# A session's slot is free when its agent was seen gone; its worker is rid of the job a moment
# later, and says so at once. LiveKit would meanwhile send the next session's dispatch to nobody.
FREE_JOB_WAIT_S = 1.5
FREE_JOB_RECHECK_S = 0.12
QUEUE_RECHECK_S = 0.5
# Who is not first in the queue is woken when the one before is admitted.
QUEUE_BEHIND_RECHECK_S = 2.0
# Further back it takes longer, so that a long queue costs hardly more looks than a short one.
QUEUE_FRONT = 10
# The first retry is immediate, because a caller listens; a job that always fails must not spin.
RETRY_BASE_S = 0.25
RETRY_MAX_S = 4.0
# How much longer than our own graces LiveKit keeps an empty room; longer than a token lives.
ROOM_MARGIN_S = 600.0


def room_timeouts(session: Session, limits: Limits) -> tuple[float, float]:
    """How long LiveKit keeps the room if no user ever comes, and after the last one left."""
    agent_comes_s = limits.queue_timeout_s + limits.startup_timeout_s
    return (
        agent_comes_s + session.user_join_timeout_s + ROOM_MARGIN_S,
        agent_comes_s + session.user_return_timeout_s + ROOM_MARGIN_S,
    )


def queue_recheck_s(ahead: int) -> float:
    """When to look again at a session with so many before it in the queue."""
    return QUEUE_BEHIND_RECHECK_S * max(1.0, ahead / QUEUE_FRONT) if ahead else QUEUE_RECHECK_S


def needs_observation(session: Session) -> bool:
    """Whether `plan` gains from looking at LiveKit; the first dispatch need not wait for a look."""
    if session.state is State.CREATED:
        return session.starts_on_join
    if session.state is State.QUEUED:
        return False
    first_attempt = session.state is State.DISPATCHING and session.attempt == 1
    return not first_attempt or _is_underway(session)


def plan(session: Session, observed: Observed, limits: Limits, now: float) -> list[Action]:
    """What to do now, in order; the last action is always Record, CheckAt, Dispatch or Forget."""
    if session.terminal:
        gone = observed.room_exists is False and _nobody_in(observed)
        return [Forget()] if gone else [DeleteRoom(), Forget()]
    longest = limits.queue_timeout_s + limits.startup_timeout_s + limits.session_timeout_s
    if session.state is not State.ENDING and now >= (
        session.created_at + CREATED_TIMEOUT_S + longest
    ):
        return [_end(now, Reason.SESSION_TIMEOUT)]
    match session.state:
        case State.CREATED:
            return _plan_created(session, observed, now)
        case State.QUEUED:
            return _plan_queued(session, observed, limits, now)
        case State.DISPATCHING:
            return _plan_dispatching(session, observed, limits, now)
        case State.ACTIVE:
            return _plan_active(session, observed, limits, now)
        case _:
            return _plan_ending(session, observed, now)


def _end(now: float, reason: Reason) -> Record:
    return Record(ev.EndRequested(at=now, reason=reason))


def _since(at: float | None, now: float) -> float:
    return now if at is None else at


def _nobody_in(observed: Observed) -> bool:
    """Whether LiveKit said that the room is empty; not having said anything is a no."""
    return observed.users == observed.agents == frozenset() and not observed.arriving


def _own_agents(session: Session, observed: Observed) -> frozenset[str]:
    """Agents of any attempt of the session that are in the room, or on their way."""
    prefix = f"{AGENT_IDENTITY_PREFIX}{session.id}-"
    present = (observed.agents or frozenset()) | (observed.arriving or frozenset())
    return frozenset(identity for identity in present if identity.startswith(prefix))


def _plan_created(session: Session, observed: Observed, now: float) -> list[Action]:
    deadline = session.created_at + CREATED_TIMEOUT_S
    if now >= deadline:
        return [_end(now, Reason.NEVER_STARTED)]
    if not session.starts_on_join:
        return [CheckAt(deadline)]
    if session.user_id in (observed.users or ()):
        return [Record(ev.Started(at=now, task_id=session.id))]
    recheck_s = NEW_RECHECK_S if now < session.created_at + NEW_S else RECHECK_S
    return [CheckAt(min(deadline, now + recheck_s))]


def _plan_queued(session: Session, observed: Observed, limits: Limits, now: float) -> list[Action]:
    deadline = _since(session.queued_at, now) + limits.queue_timeout_s
    if now >= deadline:
        reason, detail = Reason.QUEUE_TIMEOUT, f"no slot was free for {limits.queue_timeout_s:g} s"
        if observed.workers == 0:
            reason, detail = Reason.NO_WORKER_REGISTERED, "no worker is running"
        return [Record(ev.Failed(at=now, reason=reason, detail=detail))]
    ahead = observed.ahead or 0
    if observed.free_slots is not None and observed.free_slots <= ahead:
        return [CheckAt(min(now + queue_recheck_s(ahead), deadline))]
    return [Record(ev.Admitted(at=now))]


def _is_underway(session: Session) -> bool:
    """Whether the current attempt was dispatched; its job may tell before the dispatcher does."""
    stages = (
        session.dispatched_at,
        session.accepted_at,
        session.launched_at,
        session.claimed_at,
    )
    return any(at is not None for at in stages)


def _attempt_deadline(session: Session, now: float) -> tuple[float, Reason, str]:
    """Until when the current stage of the attempt may last, and what it means when it does not."""
    if session.claimed_at is not None:
        return (
            session.claimed_at + JOIN_TIMEOUT_S,
            Reason.AGENT_DID_NOT_JOIN,
            "a job process took the job, but its agent did not join the room",
        )
    if session.launched_at is not None:
        return (
            session.launched_at + CLAIM_TIMEOUT_S,
            Reason.JOB_INITIALIZATION_FAILED,
            "a job process was given the job, but did not begin it",
        )
    if session.accepted_at is not None:
        return (
            session.accepted_at + LAUNCH_TIMEOUT_S,
            Reason.JOB_INITIALIZATION_FAILED,
            "a worker accepted the job, but no job process was ready for it",
        )
    return (
        _since(session.dispatched_at, now) + ACCEPT_TIMEOUT_S,
        Reason.JOB_NOT_ACCEPTED,
        "no worker accepted the job",
    )


def _plan_dispatching(
    session: Session, observed: Observed, limits: Limits, now: float
) -> list[Action]:
    deadline = _since(session.seeking_at, session.created_at) + limits.startup_timeout_s
    if agent_identity(session.id, session.attempt) in (observed.agents or ()):
        return [Record(ev.AgentJoined(at=now, attempt=session.attempt))]
    if now >= deadline:
        reason, detail = _why_no_agent(session, observed, now)
        return [Record(ev.Failed(at=now, reason=reason, detail=detail))]
    if not _is_underway(session):
        return _plan_dispatch(session, observed, now, deadline)
    attempt_deadline, reason, detail = _attempt_deadline(session, now)
    if now >= attempt_deadline:
        lost = ev.AgentLost(at=now, attempt=session.attempt, detail=detail, reason=reason)
        return [Record(lost)]
    recheck_s = DISPATCHING_RECHECK_S if session.claimed_at is None else CLAIMED_RECHECK_S
    return [CheckAt(min(attempt_deadline, deadline, now + recheck_s))]


def _plan_dispatch(
    session: Session, observed: Observed, now: float, deadline: float
) -> list[Action]:
    """Bring about the current attempt, which was not dispatched yet."""
    old = _own_agents(session, observed)
    if old:
        # Two agents must never be heard: first the old one is seen gone.
        return [Evict(old), CheckAt(min(now + EVICTION_RECHECK_S, deadline))]
    if session.attempt > 1 and observed.agents is None:
        return [CheckAt(min(now + UNKNOWN_RECHECK_S, deadline))]
    if observed.workers == 0:
        # LiveKit forgets a dispatch that no worker takes at once.
        return [CheckAt(min(now + QUEUE_RECHECK_S, deadline))]
    attempt_at = _since(session.attempt_at, now)
    if observed.free_jobs == 0 and now < attempt_at + FREE_JOB_WAIT_S:
        return [CheckAt(min(now + FREE_JOB_RECHECK_S, deadline))]
    retry_at = attempt_at + _retry_delay_s(session.setbacks)
    if now < retry_at:
        return [CheckAt(min(retry_at, deadline))]
    if session.attempt == 1:
        return [EnsureRoom(), Dispatch(1)]
    return [Evict(frozenset()), EnsureRoom(), Dispatch(session.attempt)]


def _retry_delay_s(setbacks: int) -> float:
    if setbacks <= 1:
        return 0.0
    doublings = min(setbacks - 2, 10)  # far beyond RETRY_MAX_S, and no overflow
    return min(RETRY_BASE_S * 2.0**doublings, RETRY_MAX_S)


def _why_no_agent(session: Session, observed: Observed, now: float) -> tuple[Reason, str]:
    if not _is_underway(session):
        if observed.workers == 0:
            return Reason.NO_WORKER_REGISTERED, "no worker is running"
        if observed.room_exists is None:
            return Reason.LIVEKIT_UNREACHABLE, "LiveKit did not answer"
        return (
            session.setback or Reason.AGENT_LOST,
            session.setback_detail or "no agent could be brought back",
        )
    _, reason, detail = _attempt_deadline(session, now)
    if reason is not Reason.JOB_NOT_ACCEPTED:
        return reason, detail
    if observed.workers == 0:
        return Reason.NO_WORKER_REGISTERED, "no worker is running"
    if session.setback not in {None, Reason.JOB_NOT_ACCEPTED}:
        return session.setback or reason, session.setback_detail or detail
    if observed.free_slots == 0:
        return Reason.ALL_WORKERS_FULL, "every worker is at its limit of jobs"
    return reason, detail


def _plan_active(session: Session, observed: Observed, limits: Limits, now: float) -> list[Action]:
    active_at = _since(session.active_at, now)
    max_duration_end = active_at + session.max_duration_s
    timeout_end = _since(session.queued_at, active_at) + limits.session_timeout_s
    if now >= max_duration_end:
        return [_end(now, Reason.MAX_DURATION)]
    if now >= timeout_end:
        return [_end(now, Reason.SESSION_TIMEOUT)]
    superseded = _own_agents(session, observed) - {session.agent_identity or ""}
    # One that was removed, and came back: its worker was frozen, and did not hear of it.
    evictions: list[Action] = [Evict(superseded)] if superseded else []
    news = _plan_agent(session, observed, now) or _plan_presence(session, observed, now)
    if news is not None:
        return [*evictions, news]
    deadlines = [max_duration_end, timeout_end, now + RECHECK_S]
    listed_from = _since(session.joined_at, now) + JOIN_LISTING_GRACE_S
    if listed_from > now:
        deadlines.append(listed_from)
    if session.unseen_at is not None:
        deadlines.append(now + UNSEEN_RECHECK_S)
        deadlines.append(_unseen_until(session.unseen_at, observed))
    if session.user_left_at is not None:
        deadlines.append(session.user_left_at + session.user_return_timeout_s)
    elif session.user_joined_at is None:
        deadlines.append(active_at + session.user_join_timeout_s)
    # A deadline may have passed while LiveKit did not say who is there.
    unknown = observed.agents is None or observed.users is None
    if superseded:
        deadlines.append(now + UNKNOWN_RECHECK_S)
    soonest_s = UNKNOWN_RECHECK_S if unknown else EVICTION_RECHECK_S
    return [*evictions, CheckAt(max(min(deadlines), now + soonest_s))]


def _plan_agent(session: Session, observed: Observed, now: float) -> Record | None:
    """What the agent's being in the room, or not, asks for; None: nothing new."""
    listed_from = _since(session.joined_at, now) + JOIN_LISTING_GRACE_S
    if observed.agents is None or now < listed_from:
        return None
    if agent_identity(session.id, session.attempt) in _own_agents(session, observed):
        if session.unseen_at is None:
            return None
        return Record(ev.AgentJoined(at=now, attempt=session.attempt))
    if session.unseen_at is None:
        return Record(ev.AgentUnseen(at=now, attempt=session.attempt))
    if now < _unseen_until(session.unseen_at, observed):
        return None
    if observed.room_exists is False:
        return _end(now, Reason.ROOM_DELETED)
    detail = "the agent is no longer in the room"
    return Record(
        ev.AgentLost(at=now, attempt=session.attempt, detail=detail, reason=Reason.AGENT_LOST)
    )


def _unseen_until(unseen_at: float, observed: Observed) -> float:
    """Until when an agent that is not listed may come back.

    While LiveKit was silent it may have restarted once more, so that time does not count.
    """
    return max(unseen_at, observed.answering_since or unseen_at) + UNSEEN_GRACE_S


def _plan_presence(session: Session, observed: Observed, now: float) -> Record | None:
    """What the user's coming and going asks for; None: nothing new."""
    if observed.users is None:
        return None
    if session.user_id in observed.users:
        if session.user_joined_at is None or session.user_left_at is not None:
            return Record(ev.UserJoined(at=now))
        return None
    if session.user_joined_at is None:
        if now >= _since(session.active_at, now) + session.user_join_timeout_s:
            return _end(now, Reason.USER_NEVER_JOINED)
        return None
    if session.user_left_at is None:
        return Record(ev.UserLeft(at=now))
    if now >= session.user_left_at + session.user_return_timeout_s:
        return _end(now, Reason.USER_LEFT)
    return None


def _plan_ending(session: Session, observed: Observed, now: float) -> list[Action]:
    if observed.room_exists is False and _nobody_in(observed):
        return [Record(ev.Closed(at=now))]
    if now >= _since(session.ending_at, now) + ENDING_TIMEOUT_S:
        return [Record(ev.Closed(at=now))]
    if observed.users is None or observed.agents is None:
        return [DeleteRoom(), CheckAt(now + UNKNOWN_RECHECK_S)]
    if not _nobody_in(observed):
        return [DeleteRoom(), CheckAt(now + ENDING_RECHECK_S)]
    return [DeleteRoom(), Record(ev.Closed(at=now))]
