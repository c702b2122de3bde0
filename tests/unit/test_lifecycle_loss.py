"""What a lost agent does to its session's record, and what the stages before say."""

import pytest

from assistant.sessions import actions as act
from assistant.sessions import events as ev
from assistant.sessions import lifecycle
from assistant.sessions.planning import CLAIM_TIMEOUT_S, UNSEEN_GRACE_S
from assistant.sessions.record import Reason, Session, State
from tests.unit.lifecycle_world import LIMITS, created
from token_service.hearing import BREAK_S, Hearing

NOW = 1000.0


def _claimed(*, joined: bool = True) -> Session:
    happened: list[ev.Event] = [
        ev.Started(at=NOW, task_id="t"),
        ev.Admitted(at=NOW),
        ev.Dispatched(at=NOW, attempt=1),
        ev.Accepted(at=NOW, attempt=1, worker="w"),
        ev.Launched(at=NOW, attempt=1, worker="w", pid=7),
        ev.Claimed(at=NOW, attempt=1, worker="w", pid=7),
    ]
    if joined:
        happened.append(ev.AgentJoined(at=NOW, attempt=1))
    session = created()
    for event in happened:
        session = lifecycle.apply(session, event)
    return session


@pytest.mark.parametrize(
    ("worker", "pid", "is_lost"),
    [("w", 7, True), (None, None, True), ("w", 8, False), ("v", 7, False), ("v", None, False)],
)
def test_only_the_process_that_has_the_attempt_can_lose_it(
    worker: str | None, pid: int | None, *, is_lost: bool
) -> None:
    """An attempt that was dispatched twice is not lost with the process that was refused."""
    lost = ev.AgentLost(at=NOW + 1, attempt=1, detail="gone", worker=worker, pid=pid)
    session = lifecycle.apply(_claimed(), lost)
    assert session.attempt == (2 if is_lost else 1)


def test_an_attempt_that_nobody_claimed_is_lost_with_any_process() -> None:
    """Its process is gone before it could claim."""
    session = lifecycle.apply(created(), ev.Started(at=NOW, task_id="t"))
    session = lifecycle.apply(session, ev.Admitted(at=NOW))
    lost = ev.AgentLost(at=NOW, attempt=1, detail="gone", worker="w", pid=7)
    assert lifecycle.apply(session, lost).attempt == 2


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_loss_that_is_reported_again_is_one_loss(repeats: int) -> None:
    """Job, worker and judge may all tell of it."""
    session = _claimed()
    lost = ev.AgentLost(at=NOW + 1, attempt=1, detail="gone", worker="w", pid=7)
    for _ in range(repeats):
        session = lifecycle.apply(session, lost)
    assert (session.state, session.attempt) == (State.DISPATCHING, 2)
    assert session.launched_at is None


def test_a_loss_after_the_end_is_none() -> None:
    """A job process ends after every session, and its worker reports each."""
    ending = lifecycle.apply(_claimed(), ev.EndRequested(at=NOW, reason=Reason.USER_REQUESTED))
    lost = ev.AgentLost(at=NOW + 1, attempt=1, detail="gone", worker="w", pid=7)
    assert lifecycle.apply(ending, lost) is ending


def test_a_process_that_does_not_begin_its_job_is_given_up() -> None:
    """A ready process claims at once; one that was given the job and does not is stuck."""
    session = created()
    for event in (
        ev.Started(at=NOW, task_id="t"),
        ev.Admitted(at=NOW),
        ev.Dispatched(at=NOW, attempt=1),
        ev.Launched(at=NOW, attempt=1, worker="w", pid=7),
    ):
        session = lifecycle.apply(session, event)
    observed = act.Observed(workers=1, agents=frozenset(), users=frozenset(), room_exists=True)
    (action,) = lifecycle.plan(session, observed, LIMITS, NOW + CLAIM_TIMEOUT_S)
    assert isinstance(action, act.Record)
    assert isinstance(action.event, ev.AgentLost)
    assert action.event.reason is Reason.JOB_INITIALIZATION_FAILED


def test_an_agent_that_comes_back_after_it_was_replaced_is_removed() -> None:
    """Its worker was frozen, and joins again when it goes on: the current one stays alone."""
    session = _claimed()
    session = lifecycle.apply(session, ev.AgentLost(at=NOW + 1, attempt=1, detail="gone"))
    session = lifecycle.apply(session, ev.AgentJoined(at=NOW + 2, attempt=2))
    observed = act.Observed(
        room_exists=True,
        users=frozenset({"u"}),
        agents=frozenset({"agent-a-1", "agent-a-2"}),
        arriving=frozenset(),
    )
    actions = lifecycle.plan(session, observed, LIMITS, NOW + 20)
    assert actions[0] == act.Evict(frozenset({"agent-a-1"}))


def test_the_time_in_which_livekit_was_silent_does_not_count() -> None:
    """An agent that is not listed may come back for as long after LiveKit's silence as ever."""
    unseen = lifecycle.apply(_claimed(), ev.AgentUnseen(at=NOW + 10, attempt=1))
    answers_again = NOW + 60

    def seen_at(now: float) -> list[act.Action]:
        empty = act.Observed(
            room_exists=True,
            users=frozenset({unseen.user_id}),
            agents=frozenset(),
            arriving=frozenset(),
            answering_since=answers_again,
        )
        return lifecycle.plan(unseen, empty, LIMITS, now)

    def loses(actions: list[act.Action]) -> bool:
        return any(isinstance(a, act.Record) and isinstance(a.event, ev.AgentLost) for a in actions)

    assert not loses(seen_at(answers_again + UNSEEN_GRACE_S - 0.1))
    assert loses(seen_at(answers_again + UNSEEN_GRACE_S))


@pytest.mark.parametrize(("silent_s", "breaks"), [(BREAK_S / 2, False), (BREAK_S * 2, True)])
def test_only_a_long_silence_is_a_break(silent_s: float, *, breaks: bool) -> None:
    """One look without an answer puts nothing off, and no looks at all are no silence."""
    hearing = Hearing()
    hearing.looked(NOW, answered=True)
    hearing.looked(NOW + 100, answered=True)
    hearing.looked(NOW + 100 + silent_s / 2, answered=False)
    hearing.looked(NOW + 100 + silent_s, answered=True)
    assert (hearing.since is not None) is breaks
