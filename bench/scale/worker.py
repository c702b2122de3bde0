"""A worker: slots, warm job processes, what it reports as its load, and its bad days.

Sources: src/assistant/worker (server.py, process/slots.py, process/pool.py), livekit-agents 1.8.9
(worker.py, ipc/proc_pool.py). When the pool fills up again is the worker's own rule, imported.
"""

from bench.scale.host import Cpu
from bench.scale.loop import Loop, Places, Process, Signal, Wait
from bench.scale.model import Costs, Fleet
from bench.scale.standbys import Standbys

from assistant.refilling import Refilling
from assistant.sessions.store.workers import BEAT_INTERVAL_S

TARGET_LOAD = 0.7
# Our worker holds an offer so long for a slot to come free.
SLOT_WAIT_S = 1.5
SLOT_POLL_S = 0.02
POOL_POLL_S = 0.1
MAX_CONCURRENT_INITIALIZATIONS = 4
REPORT_EVERY_S = 2.5
CPU_SAMPLES = 5
CPU_SAMPLE_S = 0.5


class Worker:
    """One worker process on a host of its own."""

    def __init__(self, loop: Loop, fleet: Fleet, costs: Costs, *, phase_s: float) -> None:
        self.loop = loop
        self.fleet = fleet
        self.costs = costs
        self.cpu = Cpu(loop, cores=fleet.cores, other_cores=fleet.other_cores)
        #: Jobs by what must be told when the worker dies; promised ones and those that run.
        self.jobs: dict[int, Signal] = {}
        self.promised = 0
        self.standbys = Standbys(min(fleet.standby, fleet.pool - 1))
        #: Idle processes to keep beside those that stand by, and those that there are.
        self.pool = self.warm = fleet.pool - self.standbys.limit
        self.missing_s = 0.0
        self._missing_at = 0.0
        self.lacking = 0
        self.draining = False
        self.frozen = False
        self.frozen_at: float | None = None
        self.gone = False
        self.cold_starts = 0
        #: What LiveKit last heard.
        self.reported_load = 0.0
        self.reported_full = False
        self._initializing = Places(loop, min(fleet.cores, MAX_CONCURRENT_INITIALIZATIONS))
        self._waiting: list[Signal] = []
        self._refilling = Refilling()
        #: Until then processes are made for jobs that wait, and none for the pool.
        self._held_until = 0.0
        self._areas: list[float] = [0.0] * (CPU_SAMPLES + 1)
        self._sampled_at = 0.0
        loop.at(loop.now + phase_s, self._report)
        if fleet.load_report == "cpu":
            loop.at(loop.now + phase_s / CPU_SAMPLES, self._sample)
        if self.standbys.limit:
            loop.at(loop.now + phase_s % BEAT_INTERVAL_S, self._beat)

    @property
    def held(self) -> int:
        return len(self.jobs) + self.promised

    @property
    def counted(self) -> int:
        """The same as far as the worker knows."""
        return max(self.held - self.standbys.unheard, 0)

    @property
    def is_listed(self) -> bool:
        """Whether LiveKit may choose it."""
        at_once = self.fleet.load_report == "jobs-at-once" and not self.frozen
        return not self.gone and not (self.is_full() if at_once else self.reported_full)

    def freeze(self) -> None:
        """Its host stops: no beat, no answer, and its jobs do not say any more that they wait."""
        self.frozen, self.frozen_at = True, self.loop.now

    def drain(self) -> None:
        self.draining = True
        self.reported_full = True
        while self.standbys.give_way():
            pass

    def load(self) -> float:
        if self.fleet.load_report == "cpu":
            return self._cpu_average()
        # As src/assistant/worker/process/slots.py has it; without a slot, `is_full` tells.
        waiting = min(self.standbys.believed, max(self.fleet.max_jobs - 0.5 - self.counted, 0))
        return TARGET_LOAD * (self.counted + waiting) / self.fleet.max_jobs

    def _effective_load(self) -> float:
        """The SDK's own guess of what promised jobs will add."""
        load = self.load()
        each = load / len(self.jobs) if self.jobs else TARGET_LOAD / max(self.fleet.pool, 1)
        return load + self.promised * each

    def is_full(self) -> bool:
        if self.draining:
            return True
        if self.fleet.load_report == "cpu":
            return self._effective_load() >= TARGET_LOAD
        return self.fleet.load_report != "jobs" and self.counted >= self.fleet.max_jobs

    def answer(self, deadline: float) -> Process:
        """LiveKit's offer: True when taken, which promises a slot."""
        if self.draining:
            return False
        if self.fleet.load_report == "cpu":
            if self._effective_load() >= TARGET_LOAD:
                return False
        else:
            give_up_at = self.loop.now + SLOT_WAIT_S
            while not self._has_slot():
                if self.loop.now >= give_up_at or self.draining:
                    return False
                yield SLOT_POLL_S
        if self.loop.now >= deadline:
            return False
        self.promised += 1
        return True

    def _has_slot(self) -> bool:
        """Whether one is free, or was a moment ago that of a job that stood by."""
        free = self.fleet.max_jobs - self.held
        return free > len(self.standbys.since) or (free >= 0 and self.standbys.give_way())

    def wanted(self) -> int:
        """How many more jobs it would have stand by."""
        if self.draining or self.gone:
            return 0
        free = self.fleet.max_jobs - self.counted
        return self.standbys.wanted(self.loop.now, free=free, warm=self.warm)

    def answer_ahead(self) -> bool:
        """LiveKit's offer of a job that is to stand by: True when taken, and a process has it."""
        if not self.wanted():
            return False
        self._add_warm(-1)
        self.stand_by(self.loop.now + self.costs.start_wait_s)
        # Nobody waits for it, so that the pool is filled again at once.
        self.loop.at(self.loop.now + POOL_POLL_S / 2, self._refill)
        return True

    def stand_by(self, since: float) -> None:
        self._add_warm(0)
        self.standbys.since.append(since)

    def take_process(self) -> Process:
        """A job process for a promised job; True if it was warm."""
        was_warm = self.warm > 0
        if was_warm:
            self._add_warm(-1)
        else:
            self.cold_starts += 1
            turn = Signal(self.loop)
            self._waiting.append(turn)
            self._refill()
            yield Wait(turn)
        self._refill_later()
        return was_warm

    def _refill_later(self) -> None:
        """A job has its process: the pool fills up once its agent could join."""
        now = self.loop.now
        until = self._refilling.started(now, emptied=not self.warm)
        if until is not None:
            self._held_until = until
        self.loop.at(max(self._held_until, now) + POOL_POLL_S / 2, self._refill)

    def _refill(self) -> None:
        """Start as many processes as jobs wait for, or as idle ones are missing, unless held."""
        if self.gone:
            return
        idle = self.pool if self.loop.now >= self._held_until else 0
        target = max(idle, len(self._waiting))
        for _ in range(target - self.warm - self.lacking):
            self.lacking += 1
            self.loop.spawn(self._initialize())

    def _initialize(self) -> Process:
        yield from self._initializing.take()
        yield self.costs.refill_wait_s
        yield from self.cpu.compute(self.costs.refill_cpu_s)
        self._initializing.give()
        self.lacking -= 1
        if self._waiting:
            self._waiting.pop(0).fire()
            self._refill()
        else:
            self._add_warm(1)

    def _add_warm(self, change: int) -> None:
        missing = max(self.fleet.pool - self.warm - self.standbys.believed, 0)
        self.missing_s += missing * (self.loop.now - self._missing_at)
        self._missing_at = self.loop.now
        self.warm += change

    def _report(self) -> None:
        if self.gone:
            return
        if not self.frozen:
            self.reported_load = self.load()
            self.reported_full = self.is_full()
        self.loop.at(self.loop.now + REPORT_EVERY_S, self._report)

    def _beat(self) -> None:
        if self.gone:
            return
        if not self.frozen:
            self._add_warm(0)
            self.standbys.learn(self.loop.now)
            self.standbys.wanted_told = self.wanted()
            self.standbys.beat_at = self.loop.now
        self.loop.at(self.loop.now + BEAT_INTERVAL_S, self._beat)

    def _sample(self) -> None:
        if self.gone:
            return
        self._areas = [*self._areas[1:], self.cpu.busy_area()]
        self._sampled_at = self.loop.now
        self.loop.at(self.loop.now + CPU_SAMPLE_S, self._sample)

    def _cpu_average(self) -> float:
        return (self._areas[-1] - self._areas[0]) / (CPU_SAMPLES * CPU_SAMPLE_S)
