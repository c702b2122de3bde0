"""One simulated run: a fleet, a course of starts, and what came of it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench.scale.livekit import LiveKit
from bench.scale.loop import Loop, Process
from bench.scale.model import Costs, Course, Fleet
from bench.scale.service import BEAT_TTL_S, Outcome, Service
from bench.scale.standby import Keeper
from bench.scale.worker import REPORT_EVERY_S, Worker

JUDGE_EVERY_S = 0.25
WATCH_EVERY_S = 1.0
# Between two looks at whether a restart of the fleet, if one goes on, is over.
STRETCH_S = 60.0
# Our default; a worker is killed after it.
DRAIN_TIMEOUT_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run's counts. `lost`: dispatches by why LiveKit lost them. `overloaded`: the share of
    conversation time on hosts of which more CPU was wanted than they have. `fullest`, `emptiest`:
    jobs of a worker, at the end. `spread`: the standard deviation of those, on average over time;
    `full`: the share of workers without a free slot, likewise. `asked_ahead`: jobs that LiveKit was
    asked for to stand by; `stood_by`: those that a worker took; `offers_ahead`: how often one was
    offered to a worker; `waiting`: those that stood by, on average over time. `restarted_s`: until
    the last worker had been restarted, None: none was, or not all. `missing_s`: how long job
    processes were missing from pools, added up.
    """

    outcome: Outcome
    dispatched: int
    lost: dict[str, int]
    cold_starts: int
    overloaded: float
    fullest: int
    emptiest: int
    spread: float
    full: float
    asked_ahead: int
    stood_by: int
    offers_ahead: int
    waiting: float
    restarted_s: float | None
    missing_s: float


class World:
    """`run` may be called once."""

    def __init__(self, fleet: Fleet, costs: Costs, course: Course) -> None:
        self._fleet = fleet
        self._costs = costs
        self._course = course
        self._rng = random.Random(course.seed)  # noqa: S311 - a simulation
        self._loop = Loop()
        self._livekit = LiveKit(
            self._loop,
            nodes=fleet.livekit_nodes,
            naming=fleet.naming,
            rng=self._rng,
        )
        self._workers: list[Worker] = []
        self._retired_cold_starts = 0
        self._service = Service(
            self._loop,
            fleet,
            costs,
            livekit=self._livekit,
            workers=self._workers,
            rng=self._rng,
            talk_s=course.talk_s,
        )
        self._talk_time = 0.0
        self._overloaded_time = 0.0
        self._spreads: list[float] = []
        self._full: list[float] = []
        self._waiting: list[int] = []
        self._restarted_s: float | None = None
        self._restarting = 0

    def run(self) -> Result:
        course, loop, rng = self._course, self._loop, self._rng
        for _ in range(self._fleet.workers):
            self._add_worker()
        self._fill()
        if self._fleet.standby:
            self._have_stood_by()
        at = 0.0
        while course.starts_per_s > 0:
            at += rng.expovariate(course.starts_per_s)
            if at >= course.lasts_s:
                break
            loop.at(at, partial(self._service.start, counts=at >= course.warm_up_s))
        for _ in range(course.burst):
            when = course.event_at_s + rng.uniform(0, course.burst_within_s)
            loop.at(when, partial(self._service.start, counts=True))
        if course.frozen:
            loop.at(course.event_at_s, self._freeze)
        if course.restart_at_once:
            loop.at(course.event_at_s, self._restart_all)
        loop.at(0.0, self._look)
        while loop.now < course.lasts_s and self._restarted_s is None:
            loop.run(min(loop.now + STRETCH_S, course.lasts_s))
        return self._result()

    def _add_worker(self) -> Worker:
        phase_s = self._rng.uniform(0, REPORT_EVERY_S)
        worker = Worker(self._loop, self._fleet, self._costs, phase_s=phase_s)
        self._workers.append(worker)
        self._livekit.register(worker)
        return worker

    def _fill(self) -> None:
        """The sessions that are there already, as LiveKit's rule would have spread them."""
        limit = self._fleet.max_jobs
        for _ in range(self._course.sessions):
            able = [w for w in self._workers if w.held < limit]
            weights = [1 - 0.7 * w.held / limit for w in able]
            self._service.put(self._rng.choices(able, weights)[0])

    def _have_stood_by(self) -> None:
        """Jobs that stand by from the beginning, and the replicas that ask for others."""
        for worker in self._workers:
            for _ in range(min(worker.standbys.limit, self._fleet.max_jobs - worker.held)):
                worker.stand_by(-self._rng.random())
        keeper = Keeper(self._loop, self._livekit, self._workers, self._rng)
        for _ in range(self._fleet.replicas):
            self._loop.spawn(keeper.run())

    def _freeze(self) -> None:
        for worker in self._rng.sample(self._workers, self._course.frozen):
            worker.freeze()
            self._loop.spawn(self._fate_of_frozen(worker))

    def _fate_of_frozen(self, worker: Worker) -> Process:
        """The judge moves its sessions; the watchdog kills it; it comes back later."""
        judged_s = BEAT_TTL_S + self._rng.uniform(0, JUDGE_EVERY_S)
        yield judged_s
        if self._fleet.redispatches:
            self._lose_jobs(worker)
        if self._fleet.watchdog_s is None:
            return
        yield max(self._fleet.watchdog_s - judged_s, 0.0)
        self._retire(worker)
        yield self._costs.restart_s
        self._add_worker()
        self._service.wake_queue()

    def _lose_jobs(self, worker: Worker) -> None:
        for lost in list(worker.jobs.values()):
            lost.fire()
        worker.jobs.clear()

    def _retire(self, worker: Worker) -> None:
        self._lose_jobs(worker)
        worker.gone = True
        self._retired_cold_starts += worker.cold_starts
        self._workers.remove(worker)
        self._livekit.deregister(worker)

    def _restart_all(self) -> None:
        left = list(self._workers)
        self._restarting = len(left)
        for _ in range(self._course.restart_at_once):
            self._loop.spawn(self._restart(left))

    def _restart(self, left: list[Worker]) -> Process:
        began_at = self._course.event_at_s
        while left:
            worker = left.pop()
            if self._course.surge:
                yield self._costs.restart_s
                self._add_worker()
                self._service.wake_queue()
            worker.drain()
            drained_by = self._loop.now + DRAIN_TIMEOUT_S
            while worker.held and self._loop.now < drained_by:
                yield WATCH_EVERY_S
            self._retire(worker)
            if not self._course.surge:
                yield self._costs.restart_s
                self._add_worker()
                self._service.wake_queue()
            self._restarting -= 1
            if not self._restarting:
                self._restarted_s = self._loop.now - began_at

    def _look(self) -> None:
        """Once a second: how loaded the hosts are."""
        talking = sum(len(w.jobs) for w in self._workers)
        overloaded = sum(len(w.jobs) for w in self._workers if w.cpu.is_overloaded)
        if self._loop.now >= self._course.warm_up_s:
            self._talk_time += talking
            self._overloaded_time += overloaded
            held = [w.held for w in self._workers]
            mean = sum(held) / max(len(held), 1)
            variance = sum((jobs - mean) ** 2 for jobs in held) / max(len(held), 1)
            self._spreads.append(variance**0.5)
            full = sum(jobs >= self._fleet.max_jobs for jobs in held)
            self._full.append(full / max(len(held), 1))
            self._waiting.append(sum(len(w.standbys.since) for w in self._workers))
        self._loop.at(self._loop.now + WATCH_EVERY_S, self._look)

    def _result(self) -> Result:
        held: Sequence[int] = [w.held for w in self._workers] or [0]
        return Result(
            outcome=self._service.outcome,
            dispatched=self._livekit.dispatched,
            lost=dict(sorted(self._livekit.lost.items())),
            cold_starts=self._retired_cold_starts + sum(w.cold_starts for w in self._workers),
            overloaded=self._overloaded_time / self._talk_time if self._talk_time else 0.0,
            fullest=max(held),
            emptiest=min(held),
            spread=sum(self._spreads) / max(len(self._spreads), 1),
            full=sum(self._full) / max(len(self._full), 1),
            asked_ahead=self._livekit.asked_ahead,
            stood_by=self._livekit.stood_by,
            offers_ahead=self._livekit.offers_ahead,
            waiting=sum(self._waiting) / max(len(self._waiting), 1),
            restarted_s=self._restarted_s,
            missing_s=sum(w.missing_s for w in self._workers),
        )
