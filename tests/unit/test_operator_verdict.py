"""What the operator's commands say of a session, from its JSON alone."""

from typing import Any

import pytest

from assistant.operator.timeline import stages_of
from assistant.sessions.record import Reason, Session, State
from assistant.sessions.verdict import verdict_of
from token_service.answers import SessionAnswer

NO_AGENT = (
    Reason.QUEUE_TIMEOUT,
    Reason.NO_WORKER_REGISTERED,
    Reason.ALL_WORKERS_FULL,
    Reason.JOB_NOT_ACCEPTED,
    Reason.JOB_INITIALIZATION_FAILED,
    Reason.AGENT_DID_NOT_JOIN,
    Reason.AGENT_LOST,
    Reason.LIVEKIT_UNREACHABLE,
)


def session(status: State, **changes: Any) -> dict[str, Any]:
    times = dict.fromkeys(("queued", "dispatched", "accepted", "claimed", "joined"))
    return {"status": str(status), "reason": None, "detail": None, "times": times} | changes


@pytest.mark.parametrize("reason", NO_AGENT)
def test_a_failed_start_has_a_cause_and_a_remedy(reason: Reason) -> None:
    """Every reason for which no agent came is explained, with what was seen, and what to do."""
    verdict = verdict_of(session(State.FAILED, reason=str(reason), detail="seen this"))
    assert verdict.is_failure
    assert "seen this" in verdict.cause
    assert verdict.remedy
    assert str(verdict).endswith(".")
    assert len(str(verdict).splitlines()) == 1


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in NO_AGENT])
def test_an_end_has_a_cause(reason: Reason) -> None:
    """Every other reason is an end; only an error is a failure."""
    verdict = verdict_of(session(State.ENDED, reason=str(reason)))
    assert verdict.cause
    assert verdict.is_failure == (reason is Reason.ERROR)


def test_reasons_have_different_causes() -> None:
    """No two reasons are told in the same words."""
    causes = {verdict_of(session(State.ENDED, reason=str(reason))).cause for reason in Reason}
    assert len(causes) == len(Reason)


@pytest.mark.parametrize(
    ("status", "changes", "says"),
    [
        (State.CREATED, {}, "never started"),
        (State.QUEUED, {"position": 3}, "place 3"),
        (State.DISPATCHING, {"attempt": 1}, "about to be asked for"),
        (State.DISPATCHING, {"attempt": 2, "times": {"dispatched": 1.0}}, "attempt 2: LiveKit was"),
        (
            State.DISPATCHING,
            {"attempt": 1, "times": {"dispatched": 1.0, "claimed": 2.0}},
            "to join",
        ),
        (State.ACTIVE, {"attempt": 1}, "in the room"),
    ],
)
def test_a_live_session_tells_what_it_waits_for(
    status: State, changes: dict[str, Any], says: str
) -> None:
    """Nothing is wrong yet, and the stage that was reached last is named."""
    verdict = verdict_of(session(status, **changes))
    assert says in verdict.cause
    assert not verdict.is_failure


def test_an_unknown_reason_is_passed_on() -> None:
    """A newer service's reason is shown as it is."""
    assert "of_the_future" in verdict_of(session(State.ENDED, reason="of_the_future")).cause


def test_stages_are_grouped_by_attempt_and_timed() -> None:
    """Each stage knows its attempt and its distance from the one before; turns are left out."""
    events = [
        ("session.created", 10.0, {}),
        ("session.admitted", 10.5, {}),
        ("session.dispatched", 10.6, {"attempt": 1}),
        ("agent.lost", 14.6, {"attempt": 1, "detail": "no worker accepted the job"}),
        ("session.dispatched", 14.7, {"attempt": 2}),
        ("agent.joined", 15.0, {"attempt": 2}),
        ("turn.completed", 16.0, {"attempt": 2}),
        ("user.joined", 17.0, {}),
    ]
    stages = stages_of({"name": n, "at": at, "data": data} for n, at, data in events)
    assert [(s.attempt, s.name) for s in stages] == [
        (0, "session.created"),
        (1, "session.admitted"),
        (1, "session.dispatched"),
        (1, "agent.lost"),
        (2, "session.dispatched"),
        (2, "agent.joined"),
        (2, "user.joined"),
    ]
    after = [stage.after_s for stage in stages]
    assert after[0] is None
    assert after[1:] == pytest.approx([0.5, 0.1, 4.0, 0.1, 0.3, 2.0])
    assert stages[3].facts == "detail no worker accepted the job"


def test_the_api_says_what_the_command_line_says() -> None:
    """`verdict` of an answer is the sentence about it, and publishable keys are not told."""
    over = Session(
        id="s",
        user_id="u",
        room="r",
        state=State.FAILED,
        reason=Reason.ALL_WORKERS_FULL,
        detail="12 of 12 jobs",
        created_at=1.0,
        agent="assistant",
        spec="{}",
        max_duration_s=600.0,
        user_join_timeout_s=60.0,
        user_return_timeout_s=20.0,
    )
    answer = SessionAnswer.of(over, None, None, [], ())
    assert answer.verdict is not None
    assert answer.verdict.sentence == str(verdict_of(answer.model_dump(by_alias=True)))
    assert answer.verdict.is_failure
    assert SessionAnswer.of(over, None, None, None).verdict is None
