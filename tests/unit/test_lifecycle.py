"""The rules of a session's life, driven with any events in any order."""

from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.sessions import actions as act
from assistant.sessions import events as ev
from assistant.sessions import lifecycle
from assistant.sessions.record import HOLDS_SLOT, Reason, Session, State, agent_identity
from tests.unit.lifecycle_world import LIMITS, created

_SECONDS = st.floats(min_value=0, max_value=4000, allow_nan=False)
_AT = _SECONDS.map(lambda s: 1000 + s) | st.sampled_from([0.0, 999.0, 1000.0])
_ATTEMPT = st.integers(0, 4)
_REASON = st.sampled_from(Reason)

any_event: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(ev.Created, at=_AT),
    st.builds(ev.Started, at=_AT, task_id=st.just("t"), max_duration_s=st.none() | st.just(5.0)),
    st.builds(ev.Admitted, at=_AT),
    st.builds(ev.Dispatched, at=_AT, attempt=_ATTEMPT),
    st.builds(ev.Accepted, at=_AT, attempt=_ATTEMPT, worker=st.just("w")),
    st.builds(ev.Claimed, at=_AT, attempt=_ATTEMPT, worker=st.just("w"), pid=st.integers(1, 3)),
    st.builds(ev.AgentJoined, at=_AT, attempt=_ATTEMPT),
    st.builds(ev.AgentUnseen, at=_AT, attempt=_ATTEMPT),
    st.builds(
        ev.AgentLost,
        at=_AT,
        attempt=_ATTEMPT,
        detail=st.just("d"),
        reason=st.none() | _REASON,
    ),
    st.builds(ev.UserJoined, at=_AT),
    st.builds(ev.UserLeft, at=_AT),
    st.builds(ev.EndRequested, at=_AT, reason=_REASON),
    st.builds(ev.Closed, at=_AT),
    st.builds(ev.Failed, at=_AT, reason=_REASON, detail=st.just("d")),
)
# Mostly the ways that lives go, so that every state is reached often.
_usual = st.sampled_from(
    [
        ev.Started(at=1001.0, task_id="t"),
        ev.Admitted(at=1002.0),
        ev.Dispatched(at=1003.0, attempt=1),
        ev.Claimed(at=1004.0, attempt=1, worker="w", pid=1),
        ev.AgentJoined(at=1005.0, attempt=1),
    ]
)
histories = st.lists(_usual | any_event, max_size=25)
new_sessions = st.booleans().map(lambda on_join: created(starts_on_join=on_join))

_IDENTITIES = st.frozensets(
    st.sampled_from(["u", "guest", "agent-a-1", "agent-a-2", "agent-a-3", "agent-other-1"])
)
_MAYBE = st.none() | _IDENTITIES
looks = st.builds(
    act.Observed,
    room_exists=st.none() | st.booleans(),
    users=_MAYBE,
    agents=_MAYBE,
    arriving=_MAYBE,
    workers=st.none() | st.integers(0, 2),
    free_slots=st.none() | st.integers(0, 2),
    free_jobs=st.none() | st.integers(0, 2),
    ahead=st.none() | st.integers(0, 2),
)


def _lived(session: Session, history: list[ev.Event]) -> Session:
    for event in history:
        session = lifecycle.apply(session, event)
    return session


@settings(deadline=None)
@given(new_sessions, histories)
def test_terminal_states_are_final(session: Session, history: list[ev.Event]) -> None:
    """Once ended or failed, no event of any kind changes anything."""
    for event in history:
        after = lifecycle.apply(session, event)
        if session.terminal:
            assert after is session
        session = after


@settings(deadline=None)
@given(new_sessions, histories)
def test_attempts_only_grow_and_one_is_live(session: Session, history: list[ev.Event]) -> None:
    """The attempt's number never falls, and grows by one at a time."""
    for event in history:
        after = lifecycle.apply(session, event)
        assert after.attempt - session.attempt in {0, 1}
        if after.attempt > session.attempt:
            assert after.state is State.DISPATCHING
            assert after.dispatched_at is None
            assert after.claimed_at is None
        session = after


@settings(deadline=None)
@given(new_sessions, histories)
def test_a_slot_is_held_from_admission_to_the_end(
    session: Session, history: list[ev.Event]
) -> None:
    """A slot is held exactly while dispatching, active, or ending after an attempt; once."""
    freed = False
    for event in history:
        before, session = session, lifecycle.apply(session, event)
        assert session.holds_slot == (session.state in HOLDS_SLOT and session.attempt > 0)
        if session.state in {State.DISPATCHING, State.ACTIVE}:
            assert session.attempt > 0
        freed = freed or (before.holds_slot and not session.holds_slot)
        assert not (freed and session.holds_slot)


@settings(deadline=None)
@given(new_sessions, histories, any_event)
def test_an_event_twice_is_an_event_once(
    session: Session, history: list[ev.Event], event: ev.Event
) -> None:
    """Repeated news changes nothing, and says so by giving the same object back."""
    once = lifecycle.apply(_lived(session, history), event)
    assert lifecycle.apply(once, event) is once


@settings(deadline=None)
@given(new_sessions, histories)
def test_events_do_not_touch_who_it_is(session: Session, history: list[ev.Event]) -> None:
    """Id, user, room and time of making are for ever."""
    fixed = ("id", "user_id", "room", "created_at", "session_key_hash")
    lived = asdict(_lived(session, history))
    assert {name: lived[name] for name in fixed} == {name: asdict(session)[name] for name in fixed}


@settings(deadline=None, max_examples=300)
@given(new_sessions, histories, looks, _AT)
def test_a_plan_always_has_a_next_step(
    session: Session, history: list[ev.Event], look: act.Observed, now: float
) -> None:
    """No session is ever left alone, and no plan turns on the spot."""
    session = _lived(session, history)
    actions = lifecycle.plan(session, look, LIMITS, now)
    last = actions[-1]
    if session.terminal:
        assert isinstance(last, act.Forget)
        return
    assert isinstance(last, act.Record | act.CheckAt | act.Dispatch)
    for action in actions:
        if isinstance(action, act.Record):
            assert lifecycle.apply(session, action.event) is not session
        if isinstance(action, act.CheckAt):
            assert action.at >= now


@settings(deadline=None, max_examples=300)
@given(new_sessions, histories, looks, _AT)
def test_a_plan_never_makes_two_agents_or_touches_others(
    session: Session, history: list[ev.Event], look: act.Observed, now: float
) -> None:
    """No dispatch beside an agent of ours that is there or may be there; no eviction of others."""
    session = _lived(session, history)
    for action in lifecycle.plan(session, look, LIMITS, now):
        if isinstance(action, act.Dispatch):
            present = (look.agents or frozenset()) | (look.arriving or frozenset())
            assert session.state is State.DISPATCHING
            assert action.attempt == session.attempt
            assert session.dispatched_at is None
            assert session.claimed_at is None
            assert not any(identity.startswith("agent-a-") for identity in present)
            assert session.attempt == 1 or look.agents is not None
        if isinstance(action, act.Evict):
            assert all(identity.startswith("agent-a-") for identity in action.identities)
            there = action.identities & (look.agents or frozenset())
            assert agent_identity("a", session.attempt) not in there


@settings(deadline=None, max_examples=300)
@given(new_sessions, histories, _AT)
def test_not_knowing_ends_nothing(session: Session, history: list[ev.Event], now: float) -> None:
    """While LiveKit does not answer, nobody is taken to have left, and no room to be deleted."""
    session = _lived(session, history)
    for action in lifecycle.plan(session, act.Observed(workers=1, free_slots=1), LIMITS, now):
        if isinstance(action, act.Record):
            assert not isinstance(action.event, ev.UserLeft | ev.AgentUnseen | ev.UserJoined)
            if isinstance(action.event, ev.EndRequested):
                assert action.event.reason in {
                    Reason.SESSION_TIMEOUT,
                    Reason.MAX_DURATION,
                    Reason.NEVER_STARTED,
                }
