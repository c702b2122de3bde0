"""One simulated deployment: replicas, workers, callers, over one LiveKit and one Redis."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from assistant.sessions import events as ev
from assistant.sessions.errors import (
    CapacityError,
    SessionError,
    SessionNotFoundError,
    StoreUnavailableError,
)
from assistant.sessions.metadata import Assignment, JobMetadata
from assistant.sessions.record import Reason, Session, State, room_name, session_of_room
from assistant.sessions.store.records import Bounds
from assistant.sessions.store.workers import Heard, fleet_jobs
from tests.simulation.clock import wall
from tests.simulation.fleet import SimJob, SimWorker
from tests.simulation.livekit import SimLiveKit
from tests.simulation.memory_store import Memory, MemoryDue, MemoryStore
from tests.simulation.replica import PREFIX, Replica, SimGateway
from tests.simulation.rules import BrokenRuleError, Rules
from tests.simulation.scenario import Scenario

RETRY_S = 0.5
REDIS_TIMEOUT_S = 1.0
OTHERS_GO_FIRST = 0.3  # How often somebody else acts between a step of Redis and its answer.
CALM_S = 2.5
NEWS_S = 15.0  # How long whoever fell silent is news to the judge.


class SimUser:
    """A session's caller: comes back when its connection breaks."""

    def __init__(self, livekit: SimLiveKit, session_id: str) -> None:
        self.identity = f"user-{session_id}"
        self._room = room_name(PREFIX, session_id)
        self._livekit = livekit
        self._wants_in = False

    def come(self) -> None:
        self._wants_in = True
        self.cut()

    def leave(self) -> None:
        self._wants_in = False
        self._livekit.leave(self._room, self.identity, self)

    def die(self) -> None:
        self._wants_in = False
        self._livekit.died(self._room, self.identity, self)

    def put_out(self) -> None:
        self._wants_in = False

    def cut(self) -> None:
        livekit = self._livekit
        if not self._wants_in or livekit.join(self._room, self.identity, self, is_agent=False):
            return
        if livekit.is_down:
            livekit.try_again(self)


class World:
    """The parts, and what they have around them; `play.py` is what happens to them.

    `store_type` and `gateway_type` may be broken ones, to see that the rules notice.
    """

    store_type = MemoryStore
    gateway_type = SimGateway

    def __init__(self, scenario: Scenario) -> None:
        self.chance = random.Random(scenario.seed ^ 0x5EED)  # noqa: S311 - repeatable, not secret
        self.scenario = scenario
        self.memory = Memory()
        self.livekit = SimLiveKit(self.chance, offer=self._offer, webhook=self.webhook)
        self.livekit.manners = scenario.livekit
        self.job_manners = scenario.jobs
        self.redis_slow = scenario.redis_slow
        self.redis_away = 0
        self._unheard_until = 0.0
        self.replica_died_at = 0.0
        self.workers: list[SimWorker] = []
        self._worker_count = 0
        self.jobs: set[SimJob] = set()
        self.replicas: list[Replica] = []
        self.users: dict[str, SimUser] = {}
        self.background: set[asyncio.Task[None]] = set()
        self.strikes: list[asyncio.Task[None]] = []
        self.failures: list[BaseException | None] = []
        self._bounds = Bounds(max_bots=scenario.max_bots, queue_limit=2, keep_s=3600.0)
        self.rules = Rules(
            self.memory,
            max_bots=scenario.max_bots,
            livekit=self.livekit,
            jobs=lambda: self.jobs,
            excused=lambda: wall() < self._unheard_until,
        )
        self._callers_store = self._store(self._link)
        self._callers_due = MemoryDue(self.memory, clock=wall, link=self._link)

    # What the parts have around them.

    def changed(self, session_id: str) -> None:
        self.rules.speakers(session_id)

    def claimed(self, job: SimJob) -> None:
        self.rules.claimed(job)

    def store_of(self, worker: SimWorker) -> MemoryStore:
        async def link() -> None:
            await worker.runs()
            await self._link(cut_off=worker.is_cut_off)

        return self._store(link)

    def store_for(self, job: SimJob) -> MemoryStore:
        self.jobs.add(job)

        async def link() -> None:
            await job.runs()
            await self._link(cut_off=job.worker.is_cut_off)

        return self._store(link)

    def _store(self, link: Callable[[], Awaitable[None]]) -> MemoryStore:
        def wrote(before: Session | None, after: Session, news: list[ev.Event]) -> None:
            self.rules.wrote(None, before, after, news)

        return self.store_type(self.memory, self._bounds, clock=wall, link=link, watch=wrote)

    async def _link(self, *, cut_off: bool = False) -> None:
        if self.redis_away or cut_off:
            self._unheard_until = wall() + REDIS_TIMEOUT_S * 3
            await asyncio.sleep(REDIS_TIMEOUT_S)
            raise StoreUnavailableError("away")
        if self.redis_slow and self.chance.random() < self.redis_slow:
            await asyncio.sleep(self.chance.uniform(0.0, 0.05))
        elif self.chance.random() < OTHERS_GO_FIRST:
            await asyncio.sleep(0)

    async def _lull(self) -> None:
        """While no worker fell silent of late, the judge has nothing to find."""
        silent = [w.silent_since for w in self.workers if w.silent_since is not None]
        if all(since < wall() - NEWS_S for since in silent):
            await asyncio.sleep(CALM_S)

    def _heard(self) -> list[Heard]:
        return [heard for worker in self.workers if (heard := worker.heard()) is not None]

    def _offer(self, room: str, metadata: str) -> None:
        asked = [worker for worker in self.workers if not worker.is_dead]
        self.chance.shuffle(asked)
        job = JobMetadata.decode(metadata)
        if job is None:
            raise BrokenRuleError(f"a dispatch with {metadata!r}")
        for worker in asked:
            # A frozen worker says nothing, and LiveKit asks nobody else.
            if worker.is_frozen or worker.offered(job, room):
                return

    def _assigned(self, assignment: Assignment) -> bool:
        if self.chance.random() >= self.scenario.standby:
            return False
        waiting = [worker for worker in self.workers if worker.stands_by]
        if waiting:
            self.chance.choice(waiting).assigned(assignment)
        return bool(waiting)

    def webhook(self, room: str) -> None:
        session_id = session_of_room(PREFIX, room)
        if session_id is not None:
            self.spawn(self._look_now(session_id))

    async def _look_now(self, session_id: str) -> None:
        """What the service does with a webhook."""
        try:
            await self._callers_due.check_now(session_id)
        except StoreUnavailableError:
            return
        self.poke(session_id)

    def poke(self, session_id: str) -> None:
        if self.replicas:
            self.chance.choice(self.replicas).reconciler.poke(session_id)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="simulated")
        self.background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures.append(task.exception())

    def loop_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A timer or a task of the simulation failed, and nobody else hears of it."""
        self.failures.append(context.get("exception"))

    # The parts.

    def add_worker(self) -> None:
        self._worker_count += 1
        worker = SimWorker(
            self,
            f"w{self._worker_count}",
            max_jobs=self.scenario.max_jobs,
            manners=self.job_manners,
        )
        self.workers.append(worker)

    def add_replica(self) -> None:
        self.replicas.append(
            Replica(
                memory=self.memory,
                livekit=self.livekit,
                rules=self.rules,
                bounds=self._bounds,
                limits=self.scenario.limits,
                heard=self._heard,
                assigned=self._assigned,
                link=self._link,
                lull=self._lull,
                gateway_type=self.gateway_type,
            )
        )

    # The callers.

    async def start(self, session_id: str) -> None:
        """What a start does: a record, its room at some token, a slot or a place in the queue."""
        session = Session(
            id=session_id,
            user_id=f"user-{session_id}",
            room=room_name(PREFIX, session_id),
            state=State.CREATED,
            created_at=wall(),
            agent="assistant",
            spec="{}",
            max_duration_s=600.0,
            user_join_timeout_s=300.0,
            user_return_timeout_s=20.0,
        )
        self.users[session_id] = SimUser(self.livekit, session_id)
        while True:
            try:
                await self._callers_store.create(session)
                await self.ask_for_agent(session_id)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
                continue
            except CapacityError:
                await self.end(session_id)  # the caller gives up
                return
            except SessionError:
                return
            self.poke(session_id)
            return

    async def ask_for_agent(self, session_id: str) -> None:
        beats = [heard.beat for heard in self._heard() if heard.beat is not None]
        wish = ev.Started(at=wall(), task_id=session_id)
        try:
            await self._callers_store.record(
                session_id, wish, ev.Admitted(at=wish.at), fleet_jobs=fleet_jobs(beats)
            )
        except CapacityError:
            await self._callers_store.record(session_id, wish)

    async def end(self, session_id: str) -> None:
        while True:
            ending = ev.EndRequested(at=wall(), reason=Reason.USER_REQUESTED)
            try:
                await self._callers_store.record(session_id, ending)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
                continue
            except SessionNotFoundError:
                return
            self.poke(session_id)
            return

    def check_parts(self) -> None:
        if self.rules.broken is not None:
            raise self.rules.broken
        for failure in self.failures:
            raise BrokenRuleError("a caller failed") from failure
        for job in self.jobs:
            if job.main.done() and not job.main.cancelled() and job.main.exception():
                raise BrokenRuleError("a job failed") from job.main.exception()
        for replica in self.replicas:
            if replica.crashed is not None:
                raise BrokenRuleError("the reconciler crashed") from replica.crashed
