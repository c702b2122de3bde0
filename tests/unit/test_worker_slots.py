"""A worker's slots are counted exactly."""

import pytest

from assistant.worker.process.slots import TARGET_LOAD, Slots


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


def test_load_reaches_the_target_exactly_when_full() -> None:
    """LiveKit stops choosing a worker at its target load."""
    running: set[str] = set()
    slots = Slots(4, lambda: running)
    assert slots.load == 0
    running |= {"a", "b"}
    assert slots.load == TARGET_LOAD / 2
    running |= {"c", "d", "e"}
    assert slots.load >= TARGET_LOAD
    assert slots.free == 0
