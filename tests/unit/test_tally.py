"""What changes of sessions add to the deployment's figures."""

from collections import Counter
from dataclasses import replace

from assistant.sessions import events as ev
from assistant.sessions import lifecycle, tally
from assistant.sessions.record import Reason, Session, State

NEW = Session(
    id="s",
    user_id="u",
    room="va-s",
    state=State.CREATED,
    created_at=0.0,
    agent="assistant",
    spec="{}",
    max_duration_s=60.0,
    user_join_timeout_s=60.0,
    user_return_timeout_s=20.0,
)
COURSE = (
    ev.Started(at=10.0, task_id="t"),
    ev.Admitted(at=12.0),
    ev.Dispatched(at=12.01, attempt=1),
    ev.Accepted(at=12.1, attempt=1, worker="w"),
    ev.Claimed(at=12.15, attempt=1, worker="w", pid=1),
    ev.AgentJoined(at=12.4, attempt=1),
    ev.AgentLost(at=40.0, attempt=1, detail="gone", reason=Reason.AGENT_LOST),
    ev.Dispatched(at=40.5, attempt=2),
    ev.AgentJoined(at=41.0, attempt=2),
    ev.EndRequested(at=60.0, reason=Reason.USER_REQUESTED),
    ev.Closed(at=60.5),
)


def counted(steps: list[tuple[ev.Event, ...]]) -> Counter[str]:
    """The totals after a course whose events come in these steps."""
    totals: Counter[str] = Counter(tally.tally(None, NEW))
    session = NEW
    for events in steps:
        after = session
        for event in events:
            after = lifecycle.apply(after, event)
        totals.update(tally.tally(session, after))
        session = after
    return totals


def test_a_whole_course() -> None:
    """Each stage counts once an attempt, in the bucket of its length; each end once."""
    totals = counted([(event,) for event in COURSE])
    assert totals[tally.CREATED] == totals[tally.STARTED] == 1
    assert totals[tally.ATTEMPTS] == 2
    assert totals["lost:agent_lost"] == 1
    assert totals[tally.over_field("ended", "user_requested")] == 1
    assert totals[tally.bucket_field("queued", "2.0")] == 1
    assert totals[tally.bucket_field("accept", "0.1")] == 1
    assert totals[tally.bucket_field("start", "2.5")] == 1
    assert abs(totals[tally.bucket_field("start", "sum")] - 2.4) < 1e-6
    dispatches = [n for name, n in totals.items() if name.startswith("stage:dispatch:0")]
    assert sum(dispatches) == 2


def test_steps_do_not_matter_for_the_first_attempt() -> None:
    """Events that are stored together count as if they came one by one."""
    assert counted([COURSE[:2], COURSE[2:5], COURSE[5:6]]) == counted(
        [(event,) for event in COURSE[:6]]
    )


def test_clocks_that_disagree_count_as_nothing() -> None:
    """A stage never takes less than no time."""
    before = replace(NEW, state=State.DISPATCHING, attempt=1, dispatched_at=5.0)
    totals = tally.tally(before, replace(before, accepted_at=4.9))
    assert totals == {"stage:accept:0.05": 1, "stage:accept:sum": 0.0}


def test_buckets() -> None:
    """A bound belongs to its bucket; what is longer than all of them is not lost."""
    assert [tally.bucket_of(s) for s in (0.0, 0.05, 0.051, 300.0, 301.0)] == [
        "0.05",
        "0.05",
        "0.1",
        "300.0",
        "+Inf",
    ]
