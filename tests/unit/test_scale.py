"""The simulation of a fleet: its clock, its CPU, LiveKit's rule, and the page that tells of it."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from bench.scale.__main__ import problems
from bench.scale.figures import COSTS, NEAR, TALK_CORES, far_off
from bench.scale.host import Cpu
from bench.scale.hosts import SHARED_MB, Carried, hosts_for
from bench.scale.livekit import LAUNCHES_AT_ONCE, LiveKit
from bench.scale.loop import Loop, Places, Process, Signal, Wait
from bench.scale.model import Costs, Course, Fleet, Naming
from bench.scale.scenarios import SMALL
from bench.scale.worker import Worker
from bench.scale.world import World

from assistant.rehearsal.load.advice import advise_pool_size
from assistant.rehearsal.load.refill import Refill

HOST = Fleet(workers=1, max_jobs=4, pool=1, cores=2, replicas=1)


def livekit(loop: Loop, *, nodes: int = 1, naming: Naming = "its agent") -> LiveKit:
    rng = random.Random(3)  # noqa: S311 - a simulation
    return LiveKit(loop, nodes=nodes, naming=naming, rng=rng)


def worker(loop: Loop, fleet: Fleet = HOST, costs: Costs = COSTS) -> Worker:
    return Worker(loop, fleet, costs, phase_s=2.5)


def test_a_wait_ends_by_its_signal_or_its_time() -> None:
    """Whichever comes first, once, and the process is told which."""
    loop, seen = Loop(), list[tuple[float, bool, float]]()
    signal = Signal(loop)

    def waits(timeout_s: float) -> Process:
        came = yield Wait(signal, timeout_s)
        seen.append((timeout_s, came, loop.now))

    loop.spawn(waits(1.0))
    loop.spawn(waits(9.0))
    loop.at(2.0, signal.fire)
    loop.run(20)
    assert seen == [(1.0, False, 1.0), (9.0, True, 2.0)]


def test_places_are_given_in_the_order_of_the_line() -> None:
    """Two at once; the third goes on when one of them is through."""
    loop, ends = Loop(), list[tuple[int, float]]()
    places = Places(loop, 2)

    def takes(number: int) -> Process:
        yield from places.take()
        yield 1.0
        places.give()
        ends.append((number, loop.now))

    for number in range(5):
        loop.spawn(takes(number))
    loop.run(10)
    assert ends == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)]


def test_a_host_shares_its_cores_evenly() -> None:
    """Four tasks of a core-second on two cores take two seconds; with a steady core beside, 2.5."""
    for steady, expected_s in ((0.0, 2.0), (1.0, 2.5)):
        loop, ends = Loop(), list[float]()
        cpu = Cpu(loop, cores=2, other_cores=steady)

        def computes(cpu: Cpu, loop: Loop, ends: list[float]) -> Process:
            yield from cpu.compute(1.0)
            ends.append(loop.now)

        for _ in range(4):
            loop.spawn(computes(cpu, loop, ends))
        loop.run(10)
        assert ends == pytest.approx([expected_s] * 4)
        assert cpu.busy_area() == pytest.approx(expected_s + (10 - expected_s) * steady / 2)


def test_livekit_chooses_by_what_the_load_leaves() -> None:
    """Weighted by 1 - load, never one that is full or was asked, and stale reports count."""
    loop = Loop()
    chooser = livekit(loop)
    late = replace(HOST, load_report="jobs-full")
    idle, busy, full = (worker(loop, late) for _ in range(3))
    busy.reported_load, full.reported_full = 0.7, True
    workers = [idle, busy, full]
    chosen = Counter(id(chooser._select(workers, set())) for _ in range(4000))
    assert chosen[id(full)] == 0
    assert chosen[id(busy)] / chosen[id(idle)] == pytest.approx(0.3, abs=0.05)
    assert chooser._select(workers, {id(idle)}) is busy
    assert chooser._select([full], set()) is None


def test_the_node_with_most_room_gets_the_job() -> None:
    """A job goes to the node whose workers have most left below the target load."""
    loop = Loop()
    chooser = livekit(loop, nodes=2)
    for _ in range(4):
        chooser.register(worker(loop))
    assert [len(node) for node in chooser.nodes] == [2, 2]
    for found in chooser.nodes[0]:
        found.reported_load = 0.5
    assert chooser._node_with_most_room() is chooser.nodes[1]
    for found in (*chooser.nodes[0], *chooser.nodes[1]):
        found.reported_load = 0.7
    assert chooser._node_with_most_room() is None


@pytest.mark.parametrize(
    ("naming", "last_s"), [("no agent", 4.82), ("none there is", 0.82), ("its agent", 0.82)]
)
def test_a_node_launches_so_many_jobs_at_once(naming: Naming, last_s: float) -> None:
    """A hundred dispatches: four rounds of 0.2 s, after four of a second for the unnamed agent.

    A real server took 0.8 s and 4.7 s (bench/scale/launches.jsonl).
    """
    loop, ends = Loop(), list[float]()
    chooser = livekit(loop, naming=naming)
    chooser.register(worker(loop, replace(HOST, max_jobs=200)))

    def asks() -> Process:
        yield from chooser.dispatch(0)
        ends.append(loop.now)

    for _ in range(4 * LAUNCHES_AT_ONCE):
        chooser.make_room(0)
    for _ in range(4 * LAUNCHES_AT_ONCE):
        loop.spawn(asks())
    loop.run(20)
    assert len(ends) == 100
    assert max(ends) == pytest.approx(last_s, abs=0.03)


def test_a_full_worker_holds_an_offer_and_a_frozen_one_loses_it() -> None:
    """1.5 s for a slot, while LiveKit does not know that there is none; 3 s until it gives up."""
    loop = Loop()
    chooser = livekit(loop)
    only = worker(loop, replace(HOST, load_report="jobs"))
    chooser.register(only)
    taken: list[tuple[Worker | None, float]] = []

    def asks() -> Process:
        found = yield from chooser.dispatch(0)
        taken.append((found, loop.now))

    loop.run(1)
    only.promised = HOST.max_jobs
    loop.spawn(asks())
    loop.run(6)
    # Now LiveKit knows, and gives up when no other node has answered.
    loop.spawn(asks())
    loop.run(8)
    only.promised = 0
    loop.run(11)
    only.frozen = True
    loop.spawn(asks())
    loop.run(20)
    assert [found for found, _ in taken] == [None, None, None]
    assert [at for _, at in taken] == pytest.approx([2.7, 7.0, 14.0], abs=0.03)
    assert chooser.lost == {"all full": 2, "frozen worker": 1}


def test_a_worker_that_tells_at_once_is_asked_again_as_soon_as_a_slot_is_free() -> None:
    """Its periodic report would be 2.5 s late, both ways; a frozen worker tells nothing."""
    loop = Loop()
    only = worker(loop)
    only.promised = HOST.max_jobs
    assert not only.is_listed
    only.promised -= 1
    assert only.is_listed
    only.frozen, only.promised = True, HOST.max_jobs
    assert only.is_listed


def test_a_lost_start_is_tried_again_and_a_burst_waits_for_slots() -> None:
    """Nobody is forgotten: who finds no slot queues, and who meets a frozen worker is moved."""
    course = Course(
        starts_per_s=0, lasts_s=200, talk_s=20, event_at_s=10, burst=30, frozen=1, seed=2
    )
    fleet = Fleet(workers=3, max_jobs=6, pool=2, cores=4, replicas=1)
    result = World(fleet, COSTS, course).run()
    outcome = result.outcome
    assert outcome.asked == 30
    assert len(outcome.latencies_s) + outcome.failed == 30
    assert max(outcome.queue_waits_s) > 1
    assert result.lost.get("frozen worker", 0) > 0
    assert outcome.repeated >= result.lost["frozen worker"]


def test_draining_workers_finish_and_come_back() -> None:
    """All of them, a few at a time; with room to spare nobody waits."""
    course = Course(
        starts_per_s=0.5, lasts_s=4000, talk_s=30, event_at_s=10, restart_at_once=1, sessions=15
    )
    fleet = Fleet(workers=4, max_jobs=20, pool=2, cores=8, replicas=1)
    result = World(fleet, COSTS, course).run()
    assert result.restarted_s is not None
    assert result.outcome.failed == 0
    assert max(result.outcome.queue_waits_s) == 0


def test_a_run_repeats_with_its_seed() -> None:
    """The same seed, the same figures; another one, others."""
    same = [World(SMALL.fleet, COSTS, SMALL.course).run() for _ in range(2)]
    other = World(SMALL.fleet, COSTS, replace(SMALL.course, seed=8)).run()
    assert same[0] == same[1]
    assert same[0] != other


CARRIED = Carried(cores=0.07, idle_mb=200, each_mb=50, first_mb=50)
SHARED = replace(CARRIED, each_mb=5, first_mb=60, seats=8)


def test_hosts_leave_room_for_one_that_is_lost() -> None:
    """A sixth of the slots free, and never fewer than one host more than needed."""
    assert CARRIED.max_jobs(6) == 60
    assert hosts_for(60, 60) == 2
    assert hosts_for(10_000, 60) == 200


def test_memory_counts_what_conversations_share_once() -> None:
    """The turn model once a worker; in shared processes the first of each costs more."""
    assert CARRIED.memory_mb(10) == 200 + SHARED_MB + 10 * 50
    assert SHARED.memory_mb(10) == 200 + SHARED_MB + 2 * 60 + 8 * 5


def test_the_simulation_is_near_what_was_measured() -> None:
    """A conversation that costs much more, or less, than it is simulated with, is told."""
    assert far_off(CARRIED) is None
    for factor in (1 - NEAR - 0.01, 1 + NEAR + 0.01):
        told = far_off(replace(CARRIED, cores=TALK_CORES * factor))
        assert told is not None
        assert "TALK_CORES" in told


@pytest.mark.parametrize(("starts", "refilled_s"), [(1, 1.16), (3, 2.16), (5, 2.16)])
def test_a_pool_fills_up_once_the_agents_could_join(starts: int, refilled_s: float) -> None:
    """A second after a start, two after a burst that emptied it; who finds none gets one made."""
    loop, costs = Loop(), replace(COSTS, refill_cpu_s=0.09, refill_wait_s=0.02)
    taker = worker(loop, replace(HOST, pool=3, max_jobs=10, cores=8), costs)
    for _ in range(starts):
        loop.spawn(taker.take_process())
    loop.run(refilled_s - 0.01)
    assert taker.warm == max(3 - starts, 0)
    assert taker.cold_starts == max(starts - 3, 0)
    loop.run(refilled_s + 0.01)
    assert taker.warm == 3


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_the_advised_pool_has_a_process_for_99_of_100_starts(rate: float) -> None:
    """What `python -m assistant load` advises, tried on a worker whose starts are random."""
    advice = advise_pool_size(
        refill=Refill(mean_s=0.9, taken=100, ran_dry=False),
        starts_per_s=rate,
        max_jobs=100,
        call_s=None,
        workers=1,
    )
    assert advice.value is not None
    loop, rng, at, starts = Loop(), random.Random(5), 0.0, 3000  # noqa: S311 - a simulation
    one = worker(loop, replace(HOST, pool=advice.value, max_jobs=100, cores=6))
    for _ in range(starts):
        at += rng.expovariate(rate)
        loop.at(at, lambda: loop.spawn(one.take_process()))
    loop.run(at + 10)
    assert one.cold_starts <= starts / 100


def test_the_page_tells_what_the_simulation_gave() -> None:
    """docs/scaling.md has the tables of results.json, which a small run gives again."""
    assert problems() == []
