"""LiveKit's choice of a worker.

Sources: livekit-server 1.13.5, pkg/service/agentservice.go (JobRequest, JobRequestAffinity,
selectWorkerWeightedByLoad), pkg/agent/client.go (LaunchJob), pkg/rtc/room.go
(createAgentDispatchesFromRoomAgent); psrpc 0.7.2, pkg/client/rpc.go
(selectServer), client.go (the time limits).
"""

import random
from collections import Counter
from collections.abc import Sequence

from bench.scale.loop import Loop, Places, Process, Signal, Wait
from bench.scale.model import Naming
from bench.scale.worker import TARGET_LOAD, Worker

REQUEST_TIMEOUT_S = 3.0
# After the first node has answered, others are waited for.
SHORT_CIRCUIT_S = 0.2
AFFINITY_TIMEOUT_S = 1.0
# A node launches jobs with so many goroutines: one asks, one waits for the answer, and while the
# node learns which agents there are, one more holds on to the end of that.
GOROUTINES = 50
LAUNCHES_AT_ONCE = GOROUTINES // 2
# What a node knows of the agents is good for a minute, or until a worker registers. Learning it
# anew takes as long as it waits for answers.
KNOWN_FOR_S = 60.0
LEARNING_S = 5.0
# One way over the worker's socket, and its answer.
OFFER_S = 0.005


class Launcher:
    """What launches the jobs of a node's rooms."""

    def __init__(self, loop: Loop, *, known_until: float) -> None:
        self.loop = loop
        self.known_until = known_until
        self._learns_until = 0.0
        self._goroutines = Places(loop, GOROUTINES)

    def launch(self, request: Process, *, is_named: bool) -> Process:
        """Send a request for a job; returns what that returns."""
        if is_named:
            yield from self.look_up()
        learns_until = self._learned_at()
        done = Signal(self.loop)
        yield from self._ask(done, learns_until)
        result = yield from request
        self._goroutines.give()
        done.fire()
        return result

    @property
    def learns(self) -> bool:
        return self.loop.now < self._learns_until

    def look_up(self) -> Process:
        """Whether there is an agent of a name."""
        learns_until = self._learned_at()
        yield from self._goroutines.take()
        self.loop.spawn(self._hold_until(learns_until))

    def _learned_at(self) -> float:
        """When the node knows, or knew, which agents there are."""
        if self.loop.now >= self.known_until:
            self.known_until = self.loop.now + KNOWN_FOR_S
            self._learns_until = self.loop.now + LEARNING_S
        return self._learns_until

    def _ask(self, done: Signal, learns_until: float) -> Process:
        """Take a place for the request, with the one that waits for its answer behind it."""
        places = self._goroutines
        if places.has_free:
            yield from places.take()
            self.loop.spawn(self._wait_for(done, learns_until))
            return
        turn = places.line_up()
        self.loop.spawn(self._wait_for(done, learns_until))
        yield Wait(turn)

    def _wait_for(self, done: Signal, learns_until: float) -> Process:
        if self.loop.now < learns_until:
            yield learns_until - self.loop.now
        yield from self._goroutines.take()
        yield Wait(done)
        self._goroutines.give()

    def _hold_until(self, moment: float) -> Process:
        if self.loop.now < moment:
            yield moment - self.loop.now
        self._goroutines.give()


class LiveKit:
    """A cluster; each worker is connected to one node. `lost` counts dispatches by their end."""

    def __init__(self, loop: Loop, *, nodes: int, naming: Naming, rng: random.Random) -> None:
        self.loop = loop
        self.rng = rng
        self._naming = naming
        self.nodes: list[list[Worker]] = [[] for _ in range(nodes)]
        self.lost: Counter[str] = Counter()
        self.dispatched = 0
        #: Of jobs that were to stand by: asked for, and taken by a worker.
        self.asked_ahead = 0
        self.stood_by = 0
        self.offers_ahead = 0
        self._launchers = [
            Launcher(loop, known_until=rng.uniform(0, KNOWN_FOR_S)) for _ in range(nodes)
        ]

    def register(self, worker: Worker) -> None:
        min(self.nodes, key=len).append(worker)
        if self.loop.now > 0:
            for launcher in self._launchers:
                launcher.known_until = self.loop.now

    def deregister(self, worker: Worker) -> None:
        for workers in self.nodes:
            if worker in workers:
                workers.remove(worker)

    def choose_node(self) -> int:
        """A new room's node; it launches the room's jobs."""
        return self.rng.randrange(len(self._launchers))

    def make_room(self, node: int) -> None:
        """A room that names no agent has the node look for one without a name, in vain."""
        launcher = self._launchers[node]
        if self._naming == "no agent":
            self.loop.spawn(launcher.launch(self._find_nobody(), is_named=False))
        elif self._naming == "none there is":
            self.loop.spawn(launcher.look_up())

    def _find_nobody(self) -> Process:
        yield AFFINITY_TIMEOUT_S

    def dispatch(self, node: int) -> Process:
        """One dispatch; returns the worker that took it, its slot promised, or None: lost."""
        self.dispatched += 1
        launcher = self._launchers[node]
        worker, why = yield from launcher.launch(self._request(), is_named=True)
        if worker is None:
            self.lost[why] += 1
        return worker

    def stand_by(self, node: int) -> Process:
        """A job ahead of any session, in a new room whose request names its agent."""
        self.asked_ahead += 1
        worker, _ = yield from self._launchers[node].launch(
            self._request(ahead=True), is_named=True
        )
        self.stood_by += worker is not None

    def learns(self, node: int) -> bool:
        """Whether the node learns anew which agents there are."""
        return self._launchers[node].learns

    def _request(self, *, ahead: bool = False) -> Process:
        deadline = self.loop.now + REQUEST_TIMEOUT_S
        yield SHORT_CIRCUIT_S
        node = self._node_with_most_room()
        if node is None:
            yield AFFINITY_TIMEOUT_S - SHORT_CIRCUIT_S
            return None, "all full"
        attempted: set[int] = set()
        while True:
            worker = self._select(node, attempted)
            if worker is None:
                return None, "all full"
            attempted.add(id(worker))
            self.offers_ahead += ahead
            if worker.frozen:
                yield max(deadline - self.loop.now, 0.0)
                return None, "frozen worker"
            yield OFFER_S
            taken = worker.answer_ahead() if ahead else (yield from worker.answer(deadline))
            if self.loop.now >= deadline:
                return None, "time ran out"
            if taken and not worker.gone:
                return worker, ""

    def _node_with_most_room(self) -> Sequence[Worker] | None:
        best, most = None, 0.0
        for workers in self.nodes:
            room = sum(max(0.0, TARGET_LOAD - w.reported_load) for w in workers if w.is_listed)
            if room > most:
                best, most = workers, room
        return best

    def _select(self, workers: Sequence[Worker], attempted: set[int]) -> Worker | None:
        """At random, weighted by 1 - the load that was last reported."""
        able = [w for w in workers if w.is_listed and id(w) not in attempted]
        weights = [max(0.0, 1.0 - w.reported_load) for w in able]
        if not able or sum(weights) <= 0:
            return None
        return self.rng.choices(able, weights)[0]
