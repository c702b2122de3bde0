"""The simulated jobs that stand by: who has them, who takes them, who asks for them."""

import random
from dataclasses import replace

import pytest
from bench.scale.figures import COSTS
from bench.scale.livekit import LEARNING_S, LiveKit
from bench.scale.loop import Loop, Process
from bench.scale.model import Course, Fleet, Taking
from bench.scale.service import Service
from bench.scale.standby import Keeper, take
from bench.scale.worker import Worker
from bench.scale.world import World

from assistant.refilling import AFTER_START_S
from assistant.sessions.store.standby import ASK_S, FRESH_S, WORD_S
from assistant.sessions.store.workers import BEAT_INTERVAL_S
from token_service.standby_keeper import MOST_AT_ONCE

HOST = Fleet(workers=1, max_jobs=4, pool=3, cores=2, replicas=2, standby=2)


class Deployment:
    """Workers of one LiveKit node, with nobody who asks yet."""

    def __init__(self, fleet: Fleet) -> None:
        self.loop = Loop()
        rng = random.Random(3)  # noqa: S311 - a simulation
        self.livekit = LiveKit(self.loop, nodes=1, naming=fleet.naming, rng=rng)
        self.workers = [Worker(self.loop, fleet, COSTS, phase_s=0.3) for _ in range(fleet.workers)]
        for worker in self.workers:
            self.livekit.register(worker)
        self.keeper = Keeper(self.loop, self.livekit, self.workers, rng)
        self.service = Service(
            self.loop,
            fleet,
            COSTS,
            livekit=self.livekit,
            workers=self.workers,
            rng=rng,
            talk_s=1e6,
        )


@pytest.mark.parametrize(
    ("taking", "order"),
    [("longest there", "abc"), ("spoke last", "bca"), ("most free", "cab")],
)
def test_a_start_takes_one_by_the_rule(taking: Taking, order: str) -> None:
    """They speak once a second from when they came; each is taken once, and then there is none."""
    three = Deployment(replace(HOST, workers=3))
    a, b, c = three.workers
    for worker, since, jobs in ((a, 0.2, 2), (b, 1.9, 3), (c, 2.6, 1)):
        worker.stand_by(since)
        worker.promised = jobs
    taken = [take(three.workers, taking, 2.95) for _ in range(4)]
    assert taken == [{"a": a, "b": b, "c": c}[name] for name in order] + [None]


def test_one_that_fell_silent_comes_last_and_then_lapses() -> None:
    """For FRESH_S a frozen worker's job has its turn; then others come first, until WORD_S."""
    two = Deployment(replace(HOST, workers=2))
    frozen, other = two.workers
    two.loop.run(0.1)
    for since in (0.0, 0.01):
        frozen.stand_by(since)
    other.stand_by(0.05)
    frozen.freeze()
    assert take(two.workers, "longest there", 0.2) is frozen
    assert take(two.workers, "longest there", 0.05 + FRESH_S) is other
    assert take(two.workers, "longest there", WORD_S) is frozen
    frozen.stand_by(0.01)
    assert take(two.workers, "longest there", 0.01 + WORD_S) is None


def test_a_worker_wants_no_other_for_a_moment_after_a_start() -> None:
    """It learns of the start by its beat, and asks a second later, for as many as are warm."""
    one = Deployment(HOST).workers[0]
    loop = one.loop
    for _ in range(2):
        one.stand_by(0.0)
    assert one.wanted() == 0
    assert take([one], "longest there", 0.1) is one
    loop.run(0.3)
    learnt_at = 0.3
    assert one.standbys.believed == 1
    loop.run(learnt_at + AFTER_START_S - 0.01)
    assert one.wanted() == 0
    loop.run(learnt_at + AFTER_START_S + BEAT_INTERVAL_S)
    assert (one.wanted(), one.standbys.wanted_told) == (1, 1)
    one.warm = 0
    assert one.wanted() == 0


def test_one_that_waits_gives_way_to_another_job() -> None:
    """Sessions and those that wait are never more than the slots."""
    one = Deployment(HOST).workers[0]
    one.promised = 2
    for _ in range(2):
        one.stand_by(0.0)
    answers: list[bool] = []

    def offers() -> Process:
        for _ in range(3):
            answers.append((yield from one.answer(deadline=9.0)))
            assert one.held + len(one.standbys.since) <= HOST.max_jobs

    one.loop.spawn(offers())
    one.loop.run(5)
    assert answers == [True, True, False]
    assert one.standbys.since == []
    assert not one.answer_ahead()


def test_a_draining_worker_sends_them_home() -> None:
    """No start gets one of its jobs any more, and it wants none."""
    one = Deployment(HOST).workers[0]
    one.stand_by(0.0)
    one.drain()
    assert take([one], "longest there", 0.1) is None
    assert one.wanted() == 0


def test_one_replica_asks_at_a_time_and_not_for_all_at_once() -> None:
    """Of two that look, one asks, for MOST_AT_ONCE; ASK_S later the next of them."""
    many = Deployment(replace(HOST, workers=3 * MOST_AT_ONCE))
    # Beats that nobody renews, so that the second one is asked for as many as the first.
    for worker in many.workers:
        worker.standbys.beat_at, worker.standbys.wanted_told = 0.0, 1
    for _ in range(2):
        many.loop.spawn(many.keeper.run())
    many.loop.run(ASK_S - 0.1)
    assert many.livekit.asked_ahead == MOST_AT_ONCE
    many.loop.run(2 * ASK_S)
    assert many.livekit.asked_ahead == 2 * MOST_AT_ONCE


def test_jobs_come_to_stand_by_where_they_are_missing() -> None:
    """As many as each worker is to have, one process being left; nobody is asked for more then."""
    four = Deployment(replace(HOST, workers=4))
    four.loop.spawn(four.keeper.run())
    four.loop.run(12)
    assert [len(worker.standbys.since) for worker in four.workers] == [2] * 4
    assert [worker.warm for worker in four.workers] == [1] * 4
    asked = four.livekit.asked_ahead
    four.loop.run(30)
    assert four.livekit.asked_ahead == asked


@pytest.mark.parametrize("burst", [2, 5])
def test_a_start_that_finds_one_does_not_wait_for_livekit(burst: int) -> None:
    """Not even while its node learns anew; those for whom none is left go LiveKit's way."""
    one = Deployment(replace(HOST, max_jobs=9))
    for _ in range(2):
        one.workers[0].stand_by(0.0)
    one.livekit._launchers[0].known_until = 0.0
    for _ in range(burst):
        one.service.start(counts=True)
    one.loop.run(LEARNING_S)
    outcome = one.service.outcome
    assert outcome.ahead == 2
    assert len(outcome.latencies_s) == len(outcome.learning_s) == burst
    assert sum(took < 0.2 for took in outcome.latencies_s) == 2


def test_a_start_that_got_a_frozen_one_is_tried_again() -> None:
    """Nobody claims the attempt, and the next one finds another worker."""
    two = Deployment(replace(HOST, workers=2))
    frozen, other = two.workers
    frozen.stand_by(0.0)
    other.stand_by(0.01)
    two.loop.run(0.1)
    frozen.freeze()
    two.service.start(counts=True)
    two.loop.run(6)
    outcome = two.service.outcome
    assert (outcome.repeated, outcome.ahead, other.held) == (1, 1, 1)
    assert 4.0 < outcome.latencies_s[0] < 4.5


def test_a_fleet_whose_jobs_stand_by_starts_sooner() -> None:
    """Steadily, nearly all find one, and no worker ever has more than its slots."""
    course = Course(starts_per_s=2, lasts_s=120, talk_s=30, sessions=60, warm_up_s=5)
    fleet = replace(HOST, workers=12, max_jobs=8)
    with_them, without = (
        World(each, COSTS, course).run() for each in (fleet, replace(fleet, standby=0))
    )
    starts = with_them.outcome.latencies_s
    assert with_them.outcome.ahead > 0.9 * len(starts)
    assert sorted(starts)[len(starts) // 2] < 0.12
    assert without.outcome.ahead == without.asked_ahead == 0
    assert min(without.outcome.latencies_s) > 0.28
    assert with_them.fullest <= fleet.max_jobs
