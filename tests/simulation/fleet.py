"""Workers and the jobs in them, as processes that can freeze and die at any moment.

A job does what `assistant.worker.job` does around the conversation: claim, join, report, watch
its fence; reporter and fence are the real ones.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Protocol

from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError, StoreUnavailableError, SupersededError
from assistant.sessions.metadata import Assignment, JobMetadata
from assistant.sessions.record import agent_identity
from assistant.sessions.store.records import SessionStore
from assistant.sessions.store.standby import WORD_S
from assistant.sessions.store.workers import BEAT_INTERVAL_S, BEAT_TTL_S, Beat, Heard
from assistant.worker.fence import Fence
from assistant.worker.record.reporter import Reporter
from tests.simulation.clock import wall
from tests.simulation.livekit import GHOST_S, SimLiveKit

GRACE_S = 30.0
JOIN_RETRY_S = 0.5
JOIN_TRIES = 6


class Surroundings(Protocol):
    """What a job has around it."""

    chance: random.Random
    livekit: SimLiveKit

    def store_for(self, job: "SimJob") -> SessionStore: ...
    def store_of(self, worker: "SimWorker") -> SessionStore: ...
    def changed(self, session_id: str) -> None: ...
    def claimed(self, job: "SimJob") -> None: ...


@dataclass
class JobManners:
    never_claims: float = 0.0
    slow_start_s: float = 0.1
    #: Two processes begin the same job.
    doubled: float = 0.0
    #: The worker says that a process has the job, and that a process died.
    launches_told: float = 1.0
    deaths_told: float = 1.0
    #: It dies, or hangs, between its claim and its join.
    dies_early: float = 0.0
    hangs: float = 0.0


class SimJob:
    """One job process."""

    def __init__(
        self,
        world: Surroundings,
        worker: "SimWorker",
        metadata: JobMetadata,
        room: str,
        *,
        stood_by: bool = False,
    ) -> None:
        self._world = world
        self._stood_by = stood_by
        self.worker = worker
        self.session_id = metadata.session
        self.attempt = metadata.attempt
        self.room = room
        self.identity = agent_identity(metadata.session, metadata.attempt)
        self.is_dead = False
        #: Until then it is a process that loads.
        self.has_begun = False
        #: When it last went on after a stop; None: it never was stopped.
        self.thawed_at: float | None = None
        self.pid = world.chance.randrange(1, 1 << 30)
        self._is_in_room = False
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._leaving = asyncio.Event()
        self._store = world.store_for(self)
        self._reporter = Reporter(self._store)
        self._side: list[asyncio.Task[None]] = []
        self.main = asyncio.create_task(self._run(), name=f"job {self.identity}")

    @property
    def is_frozen(self) -> bool:
        return not self._may_run.is_set()

    @property
    def speaks(self) -> bool:
        """Whether the room hears it."""
        return (
            not self.is_dead
            and not self.is_frozen
            and self._world.livekit.is_in(self.room, self.identity, self)
        )

    async def runs(self) -> None:
        """Return while the process is not stopped."""
        await self._may_run.wait()

    @property
    def comes_back(self) -> bool:
        """Whether it is in the room, or will be in a moment if LiveKit lets it."""
        return self._is_in_room and not self.is_dead and not self.is_frozen

    def freeze(self) -> None:
        self._may_run.clear()
        asyncio.get_running_loop().call_later(GHOST_S, self._time_out)
        self._world.changed(self.session_id)

    def _time_out(self) -> None:
        """LiveKit gives a connection up that says nothing."""
        if self.is_frozen:
            self._world.livekit.leave(self.room, self.identity, self)

    def thaw(self) -> None:
        """Go on; a connection that the server gave up meanwhile is made anew, if it may be."""
        self._may_run.set()
        self.thawed_at = self._world.livekit.now
        self._world.changed(self.session_id)
        if self._is_in_room and not self._world.livekit.is_in(self.room, self.identity, self):
            asyncio.get_running_loop().call_later(0.1, self.cut)

    def kill(self) -> None:
        self.is_dead = True
        self._world.livekit.died(self.room, self.identity, self)
        for task in (self.main, *self._side):
            task.cancel()
        self.worker.lost(self)
        self._world.changed(self.session_id)

    def put_out(self) -> None:
        self._is_in_room = False
        self._leaving.set()
        self._world.changed(self.session_id)

    def cut(self) -> None:
        """The SDK comes back with the token that it has, as long as the job lives."""
        livekit = self._world.livekit
        if self.comes_back and not livekit.join(self.room, self.identity, self, is_agent=True):
            if livekit.is_down:
                livekit.try_again(self)
            else:
                self.put_out()  # its room is gone
        self._world.changed(self.session_id)

    async def _run(self) -> None:
        try:
            await self._converse()
        except (SupersededError, SessionError, StoreUnavailableError):
            pass  # Its process ends; there is nothing to end in the room.
        finally:
            if not self.is_dead:
                self._world.livekit.leave(self.room, self.identity, self)
                for task in self._side:
                    task.cancel()
            self._is_in_room = False
            self.worker.jobs.discard(self)
            self._world.changed(self.session_id)

    async def _converse(self) -> None:
        chance, manners = self._world.chance, self.worker.manners
        await asyncio.sleep(chance.uniform(0.005, manners.slow_start_s))
        await self.runs()
        self.has_begun = True
        if chance.random() < manners.never_claims:
            return
        now, worker = wall(), self.worker.id
        claimed = ev.Claimed(at=now, attempt=self.attempt, worker=worker, pid=self.pid)
        accepted = ev.Accepted(at=now, attempt=self.attempt, worker=worker)
        before = (accepted,) if self._stood_by else ()
        await self._store.claim(self.session_id, claimed, *before)
        self._world.claimed(self)
        if chance.random() < manners.dies_early:
            asyncio.get_running_loop().call_soon(self.kill)
        fence = Fence(self._store, self.session_id, self.attempt, grace_s=GRACE_S)
        self._side = [
            asyncio.create_task(self._reporter.run(), name=f"reporter {self.identity}"),
            asyncio.create_task(fence.watch(self._leave), name=f"fence {self.identity}"),
        ]
        if chance.random() < manners.hangs:
            await self._leaving.wait()
        elif await self._join():
            self._reporter.tell(self.session_id, ev.AgentJoined(at=wall(), attempt=self.attempt))
            self._world.changed(self.session_id)
            await self._leaving.wait()
            await self.runs()
        elif not self._leaving.is_set():
            lost = ev.AgentLost(at=wall(), attempt=self.attempt, detail="the job failed")
            self._reporter.tell(self.session_id, lost)
        await self._reporter.flush()

    async def _join(self) -> bool:
        for _ in range(JOIN_TRIES):
            await asyncio.sleep(self._world.chance.uniform(0.05, 0.3))
            await self.runs()
            if self._leaving.is_set():
                return False
            if self._world.livekit.join(self.room, self.identity, self, is_agent=True):
                self._is_in_room = True
                return True
            await asyncio.sleep(JOIN_RETRY_S)
        return False

    def _leave(self, why: str, *, lost: bool) -> None:  # noqa: ARG002 - the real one logs them
        self._leaving.set()


class SimWorker:
    """One worker process, and what it tells of its jobs."""

    def __init__(
        self, world: Surroundings, name: str, *, max_jobs: int, manners: JobManners
    ) -> None:
        self.id = name
        self.max_jobs = max_jobs
        self.manners = manners
        self.jobs: set[SimJob] = set()
        self.is_dead = False
        self.is_frozen = False
        #: Redis does not hear it, and it does not hear Redis.
        self.is_cut_off = False
        self.is_draining = False
        #: Since when it has not beaten; None: it does.
        self.silent_since: float | None = None
        self._world = world
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._reporter = Reporter(world.store_of(self))
        self._telling = asyncio.create_task(self._reporter.run(), name=f"reporter of {name}")

    def heard(self) -> Heard | None:
        """Its last beat, if that is still fresh."""
        age_s = wall() % BEAT_INTERVAL_S
        if self.silent_since is not None:
            age_s = wall() - self.silent_since
        if age_s >= BEAT_TTL_S:
            return None
        beat = Beat(
            id=self.id,
            host="simulated",
            pid=1,
            agent_name="assistant",
            max_jobs=self.max_jobs,
            jobs=len(self.jobs),
            warm=1,
            load=0.0,
            draining=self.is_draining,
            registered=True,
            version="simulated",
            started_at=0.0,
            sessions=tuple((job.session_id, job.attempt) for job in self.jobs),
        )
        return Heard(self.id, age_s, beat)

    async def runs(self) -> None:
        await self._may_run.wait()

    def set(self, **switches: bool) -> None:
        """Freeze it, thaw it, cut it off, and so on."""
        for name, value in switches.items():
            setattr(self, name, value)
        if self.is_frozen:
            self._may_run.clear()
        else:
            self._may_run.set()
        if self.is_dead or self.is_frozen or self.is_cut_off:
            self.silent_since = wall() if self.silent_since is None else self.silent_since
        else:
            self.silent_since = None

    def offered(self, metadata: JobMetadata, room: str) -> bool:
        """Whether it takes the job; LiveKit asks another if not."""
        if self.is_draining or len(self.jobs) >= self.max_jobs:
            return False
        session, attempt, at = metadata.session, metadata.attempt, wall()
        self._reporter.tell(session, ev.Accepted(at=at, attempt=attempt, worker=self.id))
        twice = self._world.chance.random() < self.manners.doubled
        for _ in range(2 if twice else 1):
            job = SimJob(self._world, self, metadata, room)
            self.jobs.add(job)
            if self._world.chance.random() < self.manners.launches_told:
                launched = ev.Launched(at=at, attempt=attempt, worker=self.id, pid=job.pid)
                self._reporter.tell(session, launched)
        return True

    @property
    def stands_by(self) -> bool:
        """Whether a job of it may still be listed as waiting, be its process alive or not."""
        fresh = self.silent_since is None or wall() - self.silent_since < WORD_S
        return fresh and not self.is_draining and len(self.jobs) < self.max_jobs

    def assigned(self, assignment: Assignment) -> None:
        """A job that stood by gets its session; the worker itself need not hear of it."""
        if not self.is_dead:
            self.jobs.add(SimJob(self._world, self, assignment.job, assignment.room, stood_by=True))

    def lost(self, job: SimJob) -> None:
        """A job process is gone."""
        self.jobs.discard(job)
        if not self.is_dead and self._world.chance.random() < self.manners.deaths_told:
            lost = ev.AgentLost(
                at=wall(),
                attempt=job.attempt,
                detail="its process died",
                worker=self.id,
                pid=job.pid,
            )
            self._reporter.tell(job.session_id, lost)

    def kill(self) -> None:
        self.set(is_dead=True)
        self._telling.cancel()
        for job in sorted(self.jobs, key=lambda job: job.identity):
            job.kill()

    def offline(self) -> None:
        """The end of the simulation."""
        self._telling.cancel()
