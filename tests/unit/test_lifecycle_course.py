"""Whole lives of sessions, against worlds that behave and worlds that do not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.sessions import events as ev
from assistant.sessions import lifecycle
from assistant.sessions.planning import ENDING_TIMEOUT_S, UNSEEN_GRACE_S
from assistant.sessions.record import Reason, Session, State
from tests.unit.lifecycle_world import LIMITS, World, created
from tests.unit.test_lifecycle import histories


def _started(**changes: object) -> Session:
    return lifecycle.apply(created(**changes), ev.Started(at=1000.0, task_id="t"))


def _until(world: World, session: Session, *states: State) -> Session:
    if session.state in states:
        return session
    return next(after for after in world.live(session) if after.state in states)


def _to_the_end(world: World, session: Session) -> Session:
    for after in world.live(session):
        session = after
    return session


def _conversation(world: World, **changes: object) -> Session:
    """A session whose agent and user are in the room."""
    session = _until(world, _started(**changes), State.ACTIVE)
    world.users = {"u"}
    return next(s for s in world.live(session) if s.user_joined_at is not None)


def test_the_usual_life() -> None:
    """Started, admitted, dispatched once, active; ended on request with nothing left."""
    world = World()
    session = _conversation(world)
    assert (session.attempt, world.dispatched) == (1, [1])
    ending = ev.EndRequested(at=world.now, reason=Reason.USER_REQUESTED)
    session = _to_the_end(world, lifecycle.apply(session, ending))
    assert (session.state, session.reason) == (State.ENDED, Reason.USER_REQUESTED)
    assert not world.room
    assert not world.agents


def test_without_workers_a_session_waits_and_says_why() -> None:
    """No worker: nothing is dispatched, and after the queue's time-out the reason is named."""
    world = World(workers=0, free_slots=0)
    session = _to_the_end(world, _started())
    assert (session.state, session.reason) == (State.FAILED, Reason.NO_WORKER_REGISTERED)
    assert world.now == pytest.approx(1000 + LIMITS.queue_timeout_s, abs=1)
    assert world.dispatched == []


def test_a_worker_that_goes_is_waited_for() -> None:
    """Admitted when the last worker goes: no dispatch is thrown away, a new worker gets it."""
    world = World()
    session = next(s for s in world.live(_started()) if s.state is State.DISPATCHING)
    world.workers = 0
    for _ in range(5):
        stepped = world.step(session)
        assert stepped is not None
        session = stepped
    assert world.dispatched == []
    world.workers = 1
    came_at = world.now
    session = _until(world, session, State.ACTIVE)
    assert world.now - came_at < 2


@pytest.mark.parametrize("told", [True, False])
def test_a_dispatch_waits_for_a_worker_with_a_slot_but_not_for_long(told: bool) -> None:
    """The session before has ended, its worker has not said yet that it could take another job.

    A worker that says nothing may know better than its last word.
    """
    world = World(free_jobs=0)
    session = next(s for s in world.live(_started()) if s.state is State.DISPATCHING)
    began_at = world.now
    while not world.dispatched:
        if told and world.now >= began_at + 0.3:
            world.free_jobs = 1
        assert world.now < began_at + 2
        stepped = world.step(session)
        assert stepped is not None
        session = stepped
    waited_s = world.now - began_at
    assert waited_s == pytest.approx(0.36 if told else 1.5, abs=0.13)
    assert _until(world, session, State.ACTIVE).attempt == 1


def test_lost_dispatches_are_made_again_until_the_deadline() -> None:
    """Nobody takes the job: attempt after attempt, then failed with what was seen."""
    world = World(loses_dispatches=True)
    session = _to_the_end(world, _started())
    assert (session.state, session.reason) == (State.FAILED, Reason.JOB_NOT_ACCEPTED)
    assert world.dispatched == list(range(1, len(world.dispatched) + 1))
    assert 3 <= len(world.dispatched) <= 8
    assert session.ended_at == pytest.approx(1000 + LIMITS.startup_timeout_s, abs=1)


def test_one_lost_dispatch_costs_seconds() -> None:
    """The next attempt brings the agent, without an old one beside it."""
    world = World(loses_dispatches=True)
    session = next(s for s in world.live(_started()) if s.attempt == 2)
    world.loses_dispatches = False
    session = _until(world, session, State.ACTIVE)
    assert (session.attempt, world.most_agents) == (2, 1)
    assert world.now < 1000 + 6


def test_a_reason_that_was_seen_survives_a_later_attempt() -> None:
    """Jobs that were accepted but never began are the reason, even if the last was lost."""
    world = World(loses_dispatches=True)
    session = next(s for s in world.live(_started()) if s.dispatched_at is not None)
    session = lifecycle.apply(session, ev.Accepted(at=world.now, attempt=1, worker="w"))
    session = _to_the_end(world, session)
    assert session.reason is Reason.JOB_INITIALIZATION_FAILED


def test_livekit_away_is_named() -> None:
    """LiveKit never answers: failed with that reason, and cleaned up only when it is back."""
    world = World(is_away=True)
    session = _until(world, _started(), State.FAILED)
    assert session.reason is Reason.LIVEKIT_UNREACHABLE
    assert world.step(session) is session  # never forgotten before the room is known to be gone
    world.is_away = False
    assert world.step(session) is None


def test_a_dead_agent_is_replaced_after_it_is_gone() -> None:
    """The loss is reported while the old one is still listed: out with it, then the new one."""
    world = World()
    session = _conversation(world)
    lost_at = world.now
    session = lifecycle.apply(session, ev.AgentLost(at=lost_at, attempt=1, detail="died"))
    session = _until(world, session, State.ACTIVE)
    assert (session.attempt, world.most_agents) == (2, 1)
    assert world.now - lost_at < 1.6


def test_a_ghost_that_cannot_be_removed_fails_the_session() -> None:
    """Two agents are never heard: with the old one still there, no new one is sent."""
    world = World()
    session = _conversation(world)
    world.keeps_ghosts = True
    session = lifecycle.apply(session, ev.AgentLost(at=world.now, attempt=1, detail="died"))
    session = _until(world, session, State.FAILED)
    assert world.dispatched == [1]
    assert session.reason is Reason.AGENT_LOST


def test_a_job_that_always_dies_does_not_spin() -> None:
    """Claimed and dead, again and again: attempts are spaced, and end with the start's time."""
    world = World(join_delay_s=0.0)
    session, deaths = _started(), 0
    while not session.terminal:
        session = next(s for s in world.live(session) if s.terminal or s.state is State.ACTIVE)
        if session.state is State.ACTIVE:
            world.now += 0.1
            deaths += 1
            lost = ev.AgentLost(at=world.now, attempt=session.attempt, detail="died")
            session = lifecycle.apply(session, lost)
            world.agents.clear()
    assert session.state is State.FAILED
    assert 5 <= deaths <= 20
    assert world.now < 1000 + LIMITS.startup_timeout_s + 20


def test_a_late_death_gets_the_whole_time_again() -> None:
    """An agent that stayed long was a good one: its loss is a new story."""
    world = World()
    session = _conversation(world)
    world.now += 300
    session = lifecycle.apply(session, ev.AgentLost(at=world.now, attempt=1, detail="died"))
    assert (session.seeking_at, session.setbacks) == (world.now, 1)


def test_a_restart_of_livekit_costs_no_agent() -> None:
    """Everybody is gone from the list for some seconds and comes back: nothing is dispatched."""
    world = World()
    session = _conversation(world)
    world.now += 60
    agents, users, world.agents, world.users = world.agents, world.users, set(), set()
    back_at = world.now + UNSEEN_GRACE_S - 1
    while world.now < back_at:
        stepped = world.step(session)
        assert stepped is not None
        session = stepped
        world.now = min(world.now, back_at)
    world.agents, world.users = agents, users
    for _ in range(8):
        stepped = world.step(session)
        assert stepped is not None
        session = stepped
    assert (session.state, session.attempt) == (State.ACTIVE, 1)
    assert (session.unseen_at, session.user_left_at) == (None, None)
    assert world.dispatched == [1]


def test_a_room_deleted_by_others_ends_the_session() -> None:
    """Gone for longer than a restart takes: ended, with that reason."""
    world = World()
    session = _conversation(world)
    world.now += 60
    world.room, world.agents, world.users = False, set(), set()
    session = _to_the_end(world, session)
    assert (session.state, session.reason) == (State.ENDED, Reason.ROOM_DELETED)


def test_users_come_and_go() -> None:
    """Never came, left for good, left and returned: each has its own end, or none."""
    world = World()
    session = _to_the_end(world, _started())
    assert session.reason is Reason.USER_NEVER_JOINED

    world = World()
    session = _conversation(world)
    world.users = set()
    session = next(s for s in world.live(session) if s.user_left_at is not None)
    left_at = world.now
    world.users = {"u"}
    session = next(s for s in world.live(session) if s.user_left_at is None)
    world.users = set()
    session = _to_the_end(world, session)
    assert session.reason is Reason.USER_LEFT
    assert world.now >= left_at + session.user_return_timeout_s


def test_no_session_outlives_its_limits() -> None:
    """Its own longest duration, and the deployment's."""
    for max_duration_s, reason in ((600.0, Reason.MAX_DURATION), (1e9, Reason.SESSION_TIMEOUT)):
        world = World()
        session = _to_the_end(world, _conversation(world, max_duration_s=max_duration_s))
        assert session.reason is reason


def test_a_session_that_is_never_started_ends() -> None:
    """A token alone keeps a record for an hour, not for ever."""
    session = _to_the_end(World(), created())
    assert session.reason is Reason.NEVER_STARTED


def test_a_session_that_starts_on_join_starts_then() -> None:
    """It waits for its own user, not for anybody."""
    world = World(room=True, users={"guest"})
    session = created(starts_on_join=True)
    for _ in range(3):
        assert world.step(session) is session
    world.users = {"u"}
    assert _until(world, session, State.ACTIVE).task_id == "a"


def test_the_end_does_not_wait_for_ghosts() -> None:
    """LiveKit lists people that it cannot remove: the session ends after a while all the same."""
    world = World()
    session = _conversation(world)
    world.keeps_ghosts = True
    ending = ev.EndRequested(at=world.now, reason=Reason.USER_REQUESTED)
    session = _until(world, lifecycle.apply(session, ending), State.ENDED)
    assert session.ended_at == pytest.approx((session.ending_at or 0) + ENDING_TIMEOUT_S, abs=1.5)


def test_the_end_does_not_wait_for_livekit() -> None:
    """Nor for a LiveKit that is away: the slot is free again after a while."""
    world = World()
    session = _conversation(world)
    world.is_away = True
    ending = ev.EndRequested(at=world.now, reason=Reason.USER_REQUESTED)
    session = _until(world, lifecycle.apply(session, ending), State.ENDED)
    assert not session.holds_slot


@settings(deadline=None, max_examples=150)
@given(histories, st.sampled_from(["well", "lost", "ghosts", "away", "alone"]))
def test_every_life_ends(history: list[ev.Event], manner: str) -> None:
    """From whatever point, in whatever world: after bounded time and steps it is over."""
    world = World(
        loses_dispatches=manner == "lost",
        keeps_ghosts=manner == "ghosts",
        is_away=manner == "away",
        workers=0 if manner == "alone" else 1,
    )
    session = created()
    for event in history:
        session = lifecycle.apply(session, replace(event, at=min(event.at, 2000.0)))
    for after in world.live(session):
        session = after
        if session.terminal:
            break
    assert session.terminal
    assert session.reason is not None
