"""The service: slots and queue, the reconcilers, and the next attempt when one is lost.

Sources: src/assistant/sessions/planning.py and lifecycle.py, src/token_service/reconciler.py and
judge.py, whose constants are imported where that is possible without a server.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from bench.scale.livekit import LiveKit
from bench.scale.loop import Loop, Places, Process, Signal, Wait
from bench.scale.model import Costs, Fleet
from bench.scale.standby import take
from bench.scale.worker import Worker

from assistant.sessions.planning import (
    ACCEPT_TIMEOUT_S,
    JOIN_TIMEOUT_S,
    LAUNCH_TIMEOUT_S,
    RETRY_BASE_S,
    RETRY_MAX_S,
)

RECONCILES_AT_ONCE = 24  # a replica
POLL_INTERVAL_S = 0.05
STARTUP_TIMEOUT_S = 30.0
QUEUE_TIMEOUT_S = 60.0
# A worker is gone when its beat was missing so long; the judge looks four times a second.
BEAT_TTL_S = 4.0
# A stale attempt's job is refused its claim, and ends.
CLAIM_S = 0.1


@dataclass
class Outcome:
    """What was counted of the starts that count; seconds. `ahead`: those whose job had stood by.
    `learning`: those whose room's node learned anew meanwhile which agents there are. `moved`:
    sessions whose agent was lost amid a conversation, and how long until the next one was there.
    """

    asked: int = 0
    latencies_s: list[float] = field(default_factory=list)
    learning_s: list[float] = field(default_factory=list)
    ahead: int = 0
    queue_waits_s: list[float] = field(default_factory=list)
    attempts: int = 0
    repeated: int = 0
    wasted: int = 0
    failed: int = 0
    unserved: int = 0
    moved_s: list[float] = field(default_factory=list)
    started_at: list[tuple[float, float]] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)


@dataclass
class _Session:
    counts: bool
    node: int
    attempt: int = 0
    ahead: bool = False
    learning: bool = False
    worker: Worker | None = None
    job: int = 0


@dataclass
class _Marks:
    """How far an attempt has come."""

    accepted: Signal
    joined: Signal
    lost: Signal


class Service:
    """Any number of replicas in front of one Redis."""

    def __init__(
        self,
        loop: Loop,
        fleet: Fleet,
        costs: Costs,
        *,
        livekit: LiveKit,
        workers: Sequence[Worker],
        rng: random.Random,
        talk_s: float,
    ) -> None:
        self.loop = loop
        self.fleet = fleet
        self.costs = costs
        self.livekit = livekit
        self.workers = workers
        self.rng = rng
        self.talk_s = talk_s
        self.used = 0
        self.outcome = Outcome()
        self._queue: deque[Signal] = deque()
        self._reconcilers = Places(loop, RECONCILES_AT_ONCE * fleet.replicas)
        self._ids = count()

    def limit(self) -> int:
        """Sessions that may have an agent; of workers that drain, what they still run."""
        jobs = sum(
            w.held if w.draining else self.fleet.max_jobs for w in self.workers if not w.gone
        )
        return min(self.fleet.max_bots, jobs)

    def start(self, *, counts: bool) -> None:
        self.loop.spawn(self._whole(_Session(counts, self.livekit.choose_node())))

    def put(self, worker: Worker) -> None:
        """A conversation that is there from the beginning."""
        session = _Session(counts=False, node=self.livekit.choose_node(), attempt=1)
        self.used += 1
        lost = self._run_on(session, worker)
        self.loop.spawn(self._talk(session, lost))

    def wake_queue(self) -> None:
        if self._queue:
            self.loop.at(self.loop.now + POLL_INTERVAL_S, self._admit)

    def _admit(self) -> None:
        free = self.limit() - self.used
        while self._queue and free > 0:
            self._queue.popleft().fire()
            self.used += 1
            free -= 1

    def _whole(self, session: _Session) -> Process:
        asked_at, outcome = self.loop.now, self.outcome
        outcome.asked += session.counts
        if self._queue or self.used >= self.limit():
            turn = Signal(self.loop)
            self._queue.append(turn)
            if not (yield Wait(turn, QUEUE_TIMEOUT_S)):
                if turn in self._queue:
                    self._queue.remove(turn)
                self._fail(session, asked_at)
                return
        else:
            self.used += 1
        if session.counts:
            outcome.queue_waits_s.append(self.loop.now - asked_at)
        lost = yield from self._seek(session)
        if lost is None:
            self._fail(session, asked_at)
            self._free()
            return
        if session.counts:
            outcome.latencies_s.append(self.loop.now - asked_at)
            outcome.started_at.append((asked_at, self.loop.now - asked_at))
            outcome.ahead += session.ahead
            if session.learning:
                outcome.learning_s.append(self.loop.now - asked_at)
        yield from self._talk(session, lost)

    def _fail(self, session: _Session, asked_at: float) -> None:
        if session.counts:
            self.outcome.failed += 1
            self.outcome.failed_at.append(asked_at)

    def _talk(self, session: _Session, lost: Signal) -> Process:
        """Until the conversation ends, over as many agents as it takes."""
        # Without memory, so what is left after a loss is as long as the whole.
        while (yield Wait(lost, self.rng.expovariate(1 / self.talk_s))):
            since = self.loop.now
            found = yield from self._seek(session)
            if found is None:
                self.outcome.unserved += 1
                self._free()
                return
            self.outcome.moved_s.append(self.loop.now - since)
            lost = found
        self._leave(session)
        self._free()

    def _free(self) -> None:
        self.used -= 1
        self.wake_queue()

    def _seek(self, session: _Session) -> Process:
        """Attempt after attempt; returns what tells of the agent's loss, None: none came."""
        deadline = self.loop.now + STARTUP_TIMEOUT_S
        setbacks = 0
        while self.loop.now < deadline:
            if setbacks > 1:
                yield min(RETRY_BASE_S * 2.0 ** (setbacks - 2), RETRY_MAX_S)
            yield from self._reconcilers.take()
            yield self.costs.record_s
            self._reconcilers.give()
            session.attempt += 1
            self.outcome.attempts += 1
            self.outcome.repeated += setbacks > 0
            marks = _Marks(Signal(self.loop), Signal(self.loop), Signal(self.loop))
            self.loop.spawn(self._attempt(session, session.attempt, marks))
            came = yield Wait(marks.accepted, ACCEPT_TIMEOUT_S)
            if came:
                came = yield Wait(marks.joined, LAUNCH_TIMEOUT_S + JOIN_TIMEOUT_S)
            if came and not marks.lost.fired:
                return marks.lost
            if not self.fleet.redispatches:
                return None
            setbacks += 1
            yield POLL_INTERVAL_S
        return None

    def _attempt(self, session: _Session, attempt: int, marks: _Marks) -> Process:
        if attempt == 1:
            self.livekit.make_room(session.node)
        worker = take(self.workers, self.fleet.taking, self.loop.now)
        session.ahead = worker is not None
        session.learning |= self.livekit.learns(session.node)
        if worker is None:
            worker = yield from self.livekit.dispatch(session.node)
            if worker is None:
                return
            if session.attempt == attempt:
                marks.accepted.fire()
            yield from worker.take_process()
            worker.promised -= 1
        elif worker.frozen:
            return
        else:
            marks.accepted.fire()
        if session.attempt != attempt:
            # The service has gone on to the next attempt: the claim is refused.
            self.outcome.wasted += 1
            yield CLAIM_S
            return
        lost = self._hold(session, worker, marks)
        self.loop.spawn(worker.cpu.compute(self.costs.side_cpu_s))
        yield self.costs.start_wait_s
        yield from worker.cpu.compute(self.costs.start_cpu_s)
        if lost.fired or session.attempt != attempt:
            return
        worker.cpu.begin_talk(self.costs.talk_cores)
        marks.joined.fire()

    def _hold(self, session: _Session, worker: Worker, marks: _Marks) -> Signal:
        session.worker, session.job = worker, next(self._ids)
        worker.jobs[session.job] = marks.lost
        # Whoever waits for the agent to join hears of the loss too.
        marks.lost.then(marks.joined.fire)
        return marks.lost

    def _run_on(self, session: _Session, worker: Worker) -> Signal:
        marks = _Marks(Signal(self.loop), Signal(self.loop), Signal(self.loop))
        self._hold(session, worker, marks)
        worker.cpu.begin_talk(self.costs.talk_cores)
        return marks.lost

    def _leave(self, session: _Session) -> None:
        worker = session.worker
        if worker is not None and worker.jobs.pop(session.job, None) is not None:
            worker.cpu.end_talk(self.costs.talk_cores)
