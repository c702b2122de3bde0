"""A pool is not filled while the agents that took its processes join."""

from assistant.refilling import (
    AFTER_BURST_S,
    AFTER_START_S,
    OPEN_S,
    Refilling,
)


def test_a_pool_waits_for_the_agent_that_joins() -> None:
    """And those that come meanwhile do not make it wait longer."""
    refilling = Refilling()
    assert refilling.started(100.0, emptied=False) == 100.0 + AFTER_START_S
    assert refilling.started(100.2, emptied=False) == 100.0 + AFTER_START_S


def test_a_pool_that_was_emptied_waits_for_the_whole_burst() -> None:
    """However many follow, it is counted from the first one."""
    refilling = Refilling()
    refilling.started(100.0, emptied=False)
    for later_s in (0.1, 0.2, 0.9):
        until = refilling.started(100.0 + later_s, emptied=True)
        assert until == 100.0 + AFTER_BURST_S


def test_a_pool_is_filled_however_many_starts_follow_each_other() -> None:
    """Between two waits there is time for the SDK to see that processes are missing."""
    refilling, held_until, longest_open_s = Refilling(), 0.0, 0.0
    for step in range(1, 5000):
        now = step / 100
        until = refilling.started(now, emptied=True)
        if until is None:
            longest_open_s = max(longest_open_s, now - held_until)
        else:
            assert until - now <= AFTER_BURST_S + 1e-9
            held_until = until
    assert longest_open_s > OPEN_S - 0.02
