"""Whether the workers' silence can be believed."""

from token_service.judge import OVERDUE_S, PATIENCE_S, Attendance

FRESH_S = 0.5
START = 100.0


def _listening(*workers: str) -> Attendance:
    """An attendance that has listened long enough to judge."""
    attendance = Attendance()
    for now in (START - PATIENCE_S - 1, START):
        attendance.heard(dict.fromkeys(workers, FRESH_S), now)
    assert attendance.can_judge(START)
    return attendance


def test_a_judge_that_has_just_begun_waits_for_two_beats() -> None:
    """Nobody can be missed by somebody who has not listened yet."""
    attendance = Attendance()
    assert not attendance.can_judge(START)
    attendance.heard({"a": FRESH_S}, START)
    assert not attendance.can_judge(START + PATIENCE_S - 0.1)
    assert attendance.can_judge(START + PATIENCE_S)


def test_one_silent_worker_of_several_is_judged_at_once() -> None:
    """The others are heard, so it is the worker and not our Redis."""
    for others in (("b",), ("b", "c")):
        attendance = _listening("a", *others)
        attendance.heard(dict.fromkeys(others, FRESH_S), START + 1)
        assert attendance.can_judge(START + 1)


def test_most_workers_silent_together_are_judged_after_two_beats() -> None:
    """Our Redis may have been away; who lives beats again meanwhile. The wait is not renewed."""
    attendance = _listening("a", "b", "c")
    attendance.heard({"a": FRESH_S}, START + 1)
    assert not attendance.can_judge(START + 1)
    attendance.heard({"a": FRESH_S}, START + 1 + PATIENCE_S / 2)
    assert not attendance.can_judge(START + 1 + PATIENCE_S / 2)
    attendance.heard({"a": FRESH_S}, START + 1 + PATIENCE_S)
    assert attendance.can_judge(START + 1 + PATIENCE_S)


def test_workers_whose_beats_are_late_count_as_silent() -> None:
    """Beats that stop together do not expire in the same moment."""
    attendance = _listening("a", "b", "c")
    attendance.heard({"b": OVERDUE_S + 0.1, "c": OVERDUE_S + 0.1}, START + 1)
    assert not attendance.can_judge(START + 1)


def test_a_lone_worker_is_judged_after_two_beats() -> None:
    """Where there is only one, nothing tells its silence from that of Redis but time."""
    attendance = _listening("a")
    attendance.heard({}, START + 1)
    assert not attendance.can_judge(START + 1)
    attendance.heard({}, START + 1 + PATIENCE_S)
    assert attendance.can_judge(START + 1 + PATIENCE_S)


def test_a_look_that_failed_begins_the_wait_anew() -> None:
    """The wait counts from the first look that succeeds, however long Redis was away."""
    attendance = _listening("a", "b")
    attendance.missed()
    assert not attendance.can_judge(START + 50)
    attendance.heard({"a": FRESH_S}, START + 50)
    assert not attendance.can_judge(START + 50 + PATIENCE_S - 0.1)
    attendance.heard({"a": FRESH_S}, START + 50 + PATIENCE_S)
    assert attendance.can_judge(START + 50 + PATIENCE_S)
