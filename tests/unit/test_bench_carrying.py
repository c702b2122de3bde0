"""What the rows of memory and CPU make of their readings."""

import os
import time

import psutil
from bench.peers import footprint
from bench.rows import carrying, soak
from bench.rows.carrying import Course, Reading


def course(*, idle_mb: float, first_mb: float, each_mb: float, each_s: float) -> Course:
    """A contender whose first session brings in `first_mb` for all, at 1 s a minute when idle."""
    memory = {0: idle_mb} | {n: idle_mb + first_mb + n * each_mb for n in (1, 2, 4, 8)}
    return Course({n: Reading(mb, 1 + n * each_s) for n, mb in memory.items()})


def test_each_further_session_is_told_from_what_all_share() -> None:
    """Rows 2 and 6: the first session's share is in the note, and in no slope; the idle worker's
    CPU is in row 3, and not in the growth.
    """
    ours = course(idle_mb=200, first_mb=150, each_mb=40, each_s=6)
    theirs = course(idle_mb=500, first_mb=0, each_mb=50, each_s=8)
    found = {r.number: r for r in carrying.rows({"ours": [ours], "D": [theirs, theirs]}, {})}
    assert set(found) == set(carrying.NUMBERS)
    assert round(found["2"].overall("ours"), 6) == 40
    assert round(found["2"].overall("D"), 6) == 50
    assert "ours 190 MB, D 50 MB" in found["2"].note
    assert found["2b"].overall("ours") == 200
    assert found["3"].overall("ours") == 25 / 4
    assert found["3b"].overall("D") == 60 / (33 / 4)
    for number, value in (("6-cpu", 6), ("6-memory", 40)):
        assert found[number].overall("ours at 8") == found[number].overall("ours at 1") == value


def test_the_soak_compares_each_reading_with_one_before() -> None:
    memory, left = soak.rows([[100.0], [101.0]], [[102.0], [103.0]], 0, 3)
    assert memory.by_round("ours at end") == [102.0, 103.0]
    assert "heard nothing: 3." in memory.note
    assert left.overall("ours") == 0


def test_a_processes_footprint_is_what_the_kernel_says() -> None:
    """Memory that is held counts, and so does CPU; a process that is gone has neither."""
    own = os.getpid()
    before = footprint.memory_kb(own)
    held = bytearray(os.urandom(32 * 1024 * 1024))
    assert 30 * 1024 < footprint.memory_kb(own) - before < 40 * 1024
    del held
    ticks, end = footprint.ticks(own), time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert footprint.ticks(own) >= ticks + 10
    gone = max(psutil.pids()) + 1_000_000
    assert footprint.memory_kb(gone) == footprint.ticks(gone) == 0
