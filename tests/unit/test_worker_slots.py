"""A worker's slots are counted exactly."""

import pytest

from assistant.worker.process.slots import FULL_LOAD, TARGET_LOAD, Slots


def test_a_promised_job_counts_until_its_process_has_it() -> None:
    """Between accepting and launching a job its slot is taken; nothing is counted twice."""
    running: set[str] = set()
    slots = Slots(2, lambda: running)
    with slots.promise("a"):
        assert (slots.jobs, slots.free) == (1, 1)
        running.add("a")
        assert slots.jobs == 1
    assert slots.jobs == 1
    running.clear()
    assert slots.free == 2


def test_a_promise_that_came_to_nothing_frees_its_slot() -> None:
    """An assignment that never came raises out of `accept`."""
    slots = Slots(1, set)
    with pytest.raises(TimeoutError), slots.promise("a"):
        raise TimeoutError
    assert slots.free == 1


def test_jobs_that_stand_by_count_for_livekit_and_leave_the_slot_free() -> None:
    """A worker that lacks them has the lower load; one that has a slot is never at the target."""
    running = {"a"}
    slots = Slots(4, lambda: running)
    assert slots.load < slots.load_with(1) < slots.load_with(2)
    assert slots.load_with(3) < TARGET_LOAD
    running |= {"b", "c", "d"}
    assert slots.load_with(2) == FULL_LOAD


def test_only_a_worker_without_a_slot_reports_that_it_is_full() -> None:
    """LiveKit weighs workers by 1 - load, and stops choosing a node's at its target load."""
    running: set[str] = set()
    slots = Slots(4, lambda: running)
    assert slots.load == 0
    running |= {"a", "b"}
    assert slots.load == TARGET_LOAD / 2
    running |= {"c"}
    assert slots.load < TARGET_LOAD
    running |= {"d"}
    assert (slots.load, slots.free) == (FULL_LOAD, 0)
    running |= {"e"}
    assert (slots.load, slots.free) == (FULL_LOAD, 0)
