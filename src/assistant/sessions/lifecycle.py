"""The life of a session, without I/O and without a clock: `apply` what happened, `plan` what to do.

`apply` is total: every event in every state has a defined result, and an event that says nothing
new leaves the session as it is. `plan` is level-triggered: it compares the record with what was
observed and says what to do next, however often it is asked and whatever was missed before.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from assistant.sessions import events as ev
from assistant.sessions.planning import NEW_RECHECK_S, needs_observation, plan, room_timeouts
from assistant.sessions.record import Reason, Session, State

__all__ = ["NEW_RECHECK_S", "apply", "needs_observation", "plan", "room_timeouts"]

# An agent that stayed so long was a good one: what happens to it later is a new story, with the
# whole BOT_STARTUP_TIMEOUT to find another.
STABLE_S = 10.0
_STARTED_MAY_CHANGE = (
    "agent",
    "spec",
    "config",
    "max_duration_s",
    "user_join_timeout_s",
    "user_return_timeout_s",
)


def apply(session: Session, event: ev.Event) -> Session:
    """The session after `event`; the same object if the event changes nothing."""
    if session.terminal:
        return session
    return _APPLY.get(type(event), _ignore)(session, event)


def _ignore(session: Session, _event: ev.Event) -> Session:
    return session


def _started(session: Session, event: ev.Started) -> Session:
    if session.state is not State.CREATED:
        return session
    given = {name: getattr(event, name) for name in _STARTED_MAY_CHANGE}
    return replace(
        session,
        state=State.QUEUED,
        queued_at=event.at,
        task_id=event.task_id,
        **{name: value for name, value in given.items() if value is not None},
    )


def _admitted(session: Session, event: ev.Admitted) -> Session:
    if session.state is not State.QUEUED:
        return session
    return replace(
        session,
        state=State.DISPATCHING,
        attempt=session.attempt + 1,
        attempt_at=event.at,
        seeking_at=event.at,
    )


def _is_current(session: Session, attempt: int, *states: State) -> bool:
    return session.state in states and attempt == session.attempt


def _dispatched(session: Session, event: ev.Dispatched) -> Session:
    if not _is_current(session, event.attempt, State.DISPATCHING):
        return session
    if session.dispatched_at is not None:
        return session
    return replace(session, dispatched_at=event.at)


def _accepted(session: Session, event: ev.Accepted) -> Session:
    if not _is_current(session, event.attempt, State.DISPATCHING):
        return session
    if session.accepted_at is not None:
        return session
    return replace(session, accepted_at=event.at, worker=session.worker or event.worker)


def _launched(session: Session, event: ev.Launched) -> Session:
    # The job itself may have told of its claim, and of its joining, before its worker tells this.
    if not _is_current(session, event.attempt, State.DISPATCHING, State.ACTIVE):
        return session
    if session.launched_at is not None:
        return session
    return replace(session, launched_at=event.at, worker=session.worker or event.worker)


def _claimed(session: Session, event: ev.Claimed) -> Session:
    if not _is_current(session, event.attempt, State.DISPATCHING):
        return session
    if session.claimed_at is not None:
        return session
    return replace(session, claimed_at=event.at, worker=event.worker, agent_pid=event.pid)


def _agent_joined(session: Session, event: ev.AgentJoined) -> Session:
    if _is_current(session, event.attempt, State.ACTIVE) and session.unseen_at is not None:
        return replace(session, unseen_at=None)
    if not _is_current(session, event.attempt, State.DISPATCHING):
        return session
    return replace(
        session,
        state=State.ACTIVE,
        joined_at=event.at,
        active_at=event.at if session.active_at is None else session.active_at,
    )


def _agent_unseen(session: Session, event: ev.AgentUnseen) -> Session:
    if not _is_current(session, event.attempt, State.ACTIVE) or session.unseen_at is not None:
        return session
    return replace(session, unseen_at=event.at)


def _agent_lost(session: Session, event: ev.AgentLost) -> Session:
    if not _is_current(session, event.attempt, State.DISPATCHING, State.ACTIVE):
        return session
    claimed_by = (session.worker, session.agent_pid)
    of_another = session.claimed_at is not None and (event.worker, event.pid) != claimed_by
    if event.worker is not None and of_another:
        return session
    seeking_at, setbacks = session.seeking_at, session.setbacks + 1
    if session.joined_at is not None:
        # Only the time without an agent counts towards BOT_STARTUP_TIMEOUT.
        lived_s = max(event.at - session.joined_at, 0.0)
        seeking_at = (session.joined_at if seeking_at is None else seeking_at) + lived_s
        if lived_s >= STABLE_S:
            seeking_at, setbacks = event.at, 1
    setback, setback_detail = event.reason or Reason.AGENT_LOST, event.detail
    if setback is Reason.JOB_NOT_ACCEPTED and session.setback is not None and setbacks > 1:
        # That nobody took a job tells less than what became of one that was taken.
        setback, setback_detail = session.setback, session.setback_detail or event.detail
    return replace(
        session,
        state=State.DISPATCHING,
        attempt=session.attempt + 1,
        attempt_at=event.at,
        seeking_at=seeking_at,
        setbacks=setbacks,
        setback=setback,
        setback_detail=setback_detail,
        dispatched_at=None,
        accepted_at=None,
        launched_at=None,
        claimed_at=None,
        joined_at=None,
        unseen_at=None,
        worker=None,
        agent_pid=None,
    )


def _user_joined(session: Session, event: ev.UserJoined) -> Session:
    if session.user_joined_at is not None and session.user_left_at is None:
        return session
    first = session.user_joined_at is None
    return replace(
        session, user_joined_at=event.at if first else session.user_joined_at, user_left_at=None
    )


def _user_left(session: Session, event: ev.UserLeft) -> Session:
    if session.user_joined_at is None or session.user_left_at is not None:
        return session
    return replace(session, user_left_at=event.at)


def _end_requested(session: Session, event: ev.EndRequested) -> Session:
    if session.state is State.ENDING:
        return session
    return replace(
        session,
        state=State.ENDING,
        ending_at=event.at,
        reason=event.reason,
        detail=event.detail,
    )


def _closed(session: Session, event: ev.Closed) -> Session:
    if session.state is not State.ENDING:
        return session
    return replace(session, state=State.ENDED, ended_at=event.at)


def _failed(session: Session, event: ev.Failed) -> Session:
    if session.state not in {State.QUEUED, State.DISPATCHING}:
        return session
    return replace(
        session,
        state=State.FAILED,
        ended_at=event.at,
        reason=event.reason,
        detail=event.detail,
    )


_APPLY: dict[type[ev.Event], Callable[[Session, Any], Session]] = {
    ev.Started: _started,
    ev.Admitted: _admitted,
    ev.Dispatched: _dispatched,
    ev.Accepted: _accepted,
    ev.Launched: _launched,
    ev.Claimed: _claimed,
    ev.AgentJoined: _agent_joined,
    ev.AgentUnseen: _agent_unseen,
    ev.AgentLost: _agent_lost,
    ev.UserJoined: _user_joined,
    ev.UserLeft: _user_left,
    ev.EndRequested: _end_requested,
    ev.Closed: _closed,
    ev.Failed: _failed,
}
