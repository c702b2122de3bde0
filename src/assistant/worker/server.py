"""The worker process: takes jobs from LiveKit, keeps job processes warm, beats, drains.

The SDK's AgentServer does the protocol and the process pool. What is ours: exact slots, honest
readiness, the beat in Redis, and the watchdog.
"""

import asyncio
import logging
import os
import platform
import signal
import time
import uuid

from livekit.agents import JobRequest
from livekit.agents.version import __version__ as sdk_version

from assistant import log
from assistant.catalog.catalog import Catalog
from assistant.hangup import Hangup
from assistant.sessions import events as ev
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.metadata import JobMetadata, StandbyMetadata
from assistant.sessions.record import agent_identity
from assistant.sessions.recordings import Recordings, RecordingsError
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.standby import StandbyStore
from assistant.sessions.store.workers import BEAT_INTERVAL_S, Beat, WorkerRegistry
from assistant.settings import WorkerSettings
from assistant.worker import job
from assistant.worker.process import health
from assistant.worker.process.agent_server import build_server, standby_jobs
from assistant.worker.process.houses import Houses
from assistant.worker.process.keeping import CatalogKeeper
from assistant.worker.process.pool import JobProcessSeen, Pool
from assistant.worker.process.setup import Setup
from assistant.worker.process.slots import Slots
from assistant.worker.process.speech_ahead import SpeechAhead
from assistant.worker.process.standbys import Standbys
from assistant.worker.process.turn_model import TurnModel, address_for
from assistant.worker.process.watchdog import Watchdog
from assistant.worker.record.job_logs import JobLogs
from assistant.worker.record.recorder import spool_folder
from assistant.worker.record.reporter import Reporter
from assistant.worker.record.spool import empty_spool
from assistant.worker.standby import AGENT_NAME

# A session frees its slot in the fleet when its agent has left the room, and its job process ends
# a moment later; a full worker holds an offer that long. LiveKit drops one after 3 s.
SLOT_WAIT_S = 1.5
SLOT_POLL_S = 0.02
EXIT_OK = 0
EXIT_CUT_SHORT = 1
LACKS_MODELS = (
    "the process of the turn-detection models does not run; "
    "`python -m assistant download-files` fetches their weights"
)

_log = log.get(__name__)


def houses_for(settings: WorkerSettings) -> Houses | None:
    """Where jobs share processes; None: each has its own."""
    if settings.jobs_per_process == 1:
        return None
    jobs = settings.max_jobs + settings.prewarm_pool_size
    return Houses(settings.jobs_per_process, jobs=jobs)


class Worker:
    """One worker process, from its first beat to its exit code."""

    def __init__(self, settings: WorkerSettings, catalog: Catalog, hangup: Hangup) -> None:
        self._settings = settings
        self._hangup = hangup
        self._id = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._started_at = time.time()
        self._slots = Slots(settings.max_jobs, self._talking_job_ids)
        turn_model = address_for(self._id)
        self._turn_model = TurnModel(turn_model) if turn_model is not None else None
        setup = Setup(self._id, catalog.source, turn_model=turn_model)
        self._server = build_server(settings, catalog, setup_fnc=setup, load_fnc=self._load)
        self._server.rtc_session(
            job.run_job, agent_name=settings.agent_name, on_request=self._on_request
        )
        redis = connect(settings.redis_url)
        self._redis = redis
        self._registry = WorkerRegistry(redis, keep_s=settings.session_retention_s)
        bounds = Bounds(
            max_bots=settings.max_bots,
            queue_limit=settings.queue_limit,
            keep_s=settings.session_retention_s,
        )
        self._store = SessionStore(redis, bounds)
        self._archive = Archive(redis)
        self._reporter = Reporter(self._store, self._archive)
        self._job_logs = JobLogs()
        self._slots_changed = asyncio.Event()
        self._houses = houses_for(settings)
        if self._houses is not None:
            self._houses.take_over()
        self._standbys = Standbys(
            StandbyStore(redis),
            limit=standby_jobs(settings),
            running=lambda: self._pool.running,
            free=lambda: self._slots.free,
            usable=lambda: self._why_unready() is None,
            on_change=self._slots_changed.set,
            close=lambda job_id: self._pool.close_job(job_id),  # noqa: PLW0108 - it comes next
        )
        self._pool = Pool(
            self._server,
            setup=setup,
            target=settings.prewarm_pool_size - standby_jobs(settings),
            houses=self._houses,
            on_launched=self._on_launched,
            on_ended=self._on_ended,
            on_change=self._slots_changed.set,
            standbys=self._standbys,
        )
        self._speech = SpeechAhead(settings, lambda: self._why_unready() is None)
        self._speech.take(catalog)
        self._keeper = CatalogKeeper(
            settings.agents_file, catalog, setup, self._pool, on_taken=self._speech.take
        )
        #: Jobs that were accepted, but have no process yet.
        self._promised: dict[str, JobMetadata] = {}
        #: Whether Redis took the last beat.
        self._is_heard = True
        self._stopping = asyncio.Event()
        self._cut_short = asyncio.Event()

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; returns the exit code.

        The first signal drains: running conversations finish, new jobs are refused.
        The second one stops at once. SIGHUP reads agents.yaml again.
        """
        self._listen_for_signals()
        logging.getLogger().addHandler(self._job_logs)
        settings = self._settings
        async with (
            health.serve(
                settings.worker_http_host,
                settings.worker_http_port,
                beat=self._beat,
                unready=self._why_unready,
            ),
            asyncio.TaskGroup() as tasks,
        ):
            watchdog = Watchdog(timeout_s=settings.watchdog_timeout_s)
            side_tasks = [
                tasks.create_task(watchdog.run(), name="watchdog"),
                tasks.create_task(self._keep_beating(), name="beat"),
                tasks.create_task(self._pool.watch(), name="watch pool"),
                tasks.create_task(self._keep_telling_load(), name="load"),
                tasks.create_task(self._reporter.run(), name="reporter"),
                tasks.create_task(
                    self._job_logs.keep_storing(self._reporter, lambda: self._pool.running),
                    name="job logs",
                ),
                tasks.create_task(self._keeper.run(self._hangup), name="agents.yaml"),
                tasks.create_task(self._speech.run(), name="speech ahead"),
                tasks.create_task(self._standbys.run(), name="standby"),
                *self._spool_tasks(tasks),
            ]
            if self._turn_model is not None:
                side_tasks.append(tasks.create_task(self._turn_model.run(), name="turn model"))
            server = tasks.create_task(self._server.run(), name="server")
            code = await self._until_stopped(server)
            if self._houses is not None:
                await self._houses.aclose()
            await self._pool.aclose()
            await self._reporter.flush()
            for task in side_tasks:
                task.cancel()
        logging.getLogger().removeHandler(self._job_logs)
        await self._say_goodbye()
        return code

    def _spool_tasks(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """What stores recordings that jobs left here; nothing where none are made."""
        settings = self._settings
        if settings.recordings_url is None:
            return []
        try:
            recordings = Recordings(settings.recordings_url, endpoint=settings.recordings_endpoint)
        except RecordingsError as error:
            # Jobs say so for each session that is to be recorded; conversations go on.
            _log.error("spool.impossible", error=str(error))
            return []
        emptying = empty_spool(spool_folder(settings), recordings, self._store, self._archive)
        return [tasks.create_task(emptying, name="empty spool")]

    async def _until_stopped(self, server: asyncio.Task[None]) -> int:
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        await asyncio.wait([server, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if server.done():
            await server  # raises what made it fail
            return EXIT_OK
        drained = await self._drain()
        closing = asyncio.create_task(self._server.aclose(), name="close server")
        cut = asyncio.create_task(self._cut_short.wait(), name="cut short")
        await asyncio.wait([closing, cut], return_when=asyncio.FIRST_COMPLETED)
        cut.cancel()
        if not closing.done():
            # Job processes follow their parent within 0.2 s. Source: measured, SDK 1.8.9.
            _log.warning("worker.stopped_at_once", jobs=self._slots.jobs)
            os._exit(EXIT_CUT_SHORT)
        await closing
        await server
        return EXIT_OK if drained else EXIT_CUT_SHORT

    async def _drain(self) -> bool:
        """Let running conversations finish; False: some were ended by the time-out."""
        _log.info("worker.draining", jobs=self._slots.jobs)
        drain = asyncio.create_task(self._finish_jobs(), name="drain")
        cut = asyncio.create_task(self._cut_short.wait(), name="cut short")
        await asyncio.wait([drain, cut], return_when=asyncio.FIRST_COMPLETED)
        cut.cancel()
        if not drain.done():
            _log.warning("worker.stopped_at_once", jobs=self._slots.jobs)
            os._exit(EXIT_CUT_SHORT)
        try:
            await drain
        except TimeoutError:
            _log.warning("worker.drain_timeout", jobs=self._slots.jobs)
            return False
        return True

    async def _finish_jobs(self) -> None:
        await self._standbys.end()
        await self._server.drain(timeout=int(self._settings.drain_timeout_s))

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        self._hangup.follow(self._on_signal)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._cut_short.set()
        self._stopping.set()

    async def _on_request(self, request: JobRequest) -> None:
        """Take the job if there is a slot; otherwise another worker may be asked."""
        received_at = time.time()
        if StandbyMetadata.decode(request.job.metadata) is not None:
            await self._on_standby_request(request)
            return
        metadata = JobMetadata.decode(request.job.metadata)
        has_process = self._pool.warm or not self._pool.failure
        if self._pool.lacks_models or not has_process or not await self._slot_is_free():
            _log.info("job.rejected", room=request.room.name, jobs=self._slots.jobs)
            await request.reject(terminate=False)
            return
        with self._slots.promise(request.id):
            self._slots_changed.set()
            if metadata is None:
                await request.accept(name=AGENT_NAME)
                return
            self._tell_accepted(metadata, received_at)
            self._promised[request.id] = metadata
            try:
                await request.accept(
                    name=AGENT_NAME, identity=agent_identity(metadata.session, metadata.attempt)
                )
            except Exception as error:
                # Whatever the SDK raises: no process has the job now, and none will.
                self._tell_lost(metadata, None, f"no job process took it: {type(error).__name__}")
                raise
            finally:
                del self._promised[request.id]

    async def _on_standby_request(self, request: JobRequest) -> None:
        """Take a job that waits for a session, if this worker is to have one more."""
        if not self._standby_wanted:
            await request.reject(terminate=False)
            return
        with self._standbys.promise(request.id):
            await request.accept(name=AGENT_NAME)

    def _load(self) -> float:
        """For LiveKit."""
        return self._slots.load_with(len(self._standbys.waiting))

    @property
    def _standby_wanted(self) -> int:
        return self._standbys.wanted(warm=self._pool.warm)

    async def _slot_is_free(self) -> bool:
        """Whether a job can be taken, now or in a moment; one that stands by gives way to it."""
        give_up_at = time.monotonic() + SLOT_WAIT_S
        while not self._stopping.is_set():
            # Whether one that waits has got a session meanwhile makes no difference here.
            if self._slots.free > self._standbys.count or await self._standbys.give_way():
                return True
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(SLOT_POLL_S)
        return False

    async def _keep_telling_load(self) -> None:
        """Tell LiveKit and the service at once when the last slot is taken, or one is free again.

        Until LiveKit hears of a free slot, it loses every dispatch for which there is no other
        worker; the service asks it for none until it has heard of one itself.
        """
        told_full = False
        while True:
            await self._slots_changed.wait()
            self._slots_changed.clear()
            is_full = not self._slots.free
            if is_full != told_full:
                told_full = is_full
                await self._pool.tell_load()
                await self._tell_beat()

    def _tell_accepted(self, job: JobMetadata, received_at: float) -> None:
        self._reporter.tell(
            job.session, ev.Received(at=received_at, attempt=job.attempt, worker=self._id)
        )
        self._reporter.tell(
            job.session, ev.Accepted(at=time.time(), attempt=job.attempt, worker=self._id)
        )

    def _on_launched(self, process: JobProcessSeen) -> None:
        launched = ev.Launched(
            at=process.launched_at or time.time(),
            attempt=process.job.attempt,
            worker=self._id,
            pid=process.pid,
        )
        self._reporter.tell(process.job.session, launched)

    def _on_ended(self, process: JobProcessSeen) -> None:
        """A job process is gone. Its session says whether that is a loss."""
        _log.info(
            "job.process_ended",
            session=process.job.session,
            attempt=process.job.attempt,
            exit_code=process.exit_code,
        )
        detail = f"its job process ended with exit code {process.exit_code}"
        self._tell_lost(process.job, process.pid, detail)
        lines = {f"logs:{process.job.attempt}": self._job_logs.take(process.id)}
        self._reporter.silent(process.job.session, process.job.attempt, lines)

    def _tell_lost(self, job: JobMetadata, pid: int | None, detail: str) -> None:
        lost = ev.AgentLost(
            at=time.time(), attempt=job.attempt, detail=detail, worker=self._id, pid=pid
        )
        self._reporter.tell(job.session, lost)

    async def _keep_beating(self) -> None:
        while True:
            await self._tell_beat()
            await asyncio.sleep(BEAT_INTERVAL_S)

    async def _tell_beat(self) -> None:
        try:
            await self._registry.beat(self._beat())
            self._is_heard = True
        except StoreUnavailableError as error:
            if self._is_heard:
                _log.warning("worker.beat_failed", error=str(error))
            self._is_heard = False

    async def _say_goodbye(self) -> None:
        try:
            await self._registry.leave(self._id)
        except StoreUnavailableError:
            _log.info("worker.goodbye_unheard")  # the beat expires by itself
        await self._redis.aclose()

    def _beat(self) -> Beat:
        return Beat(
            id=self._id,
            host=platform.node(),
            pid=os.getpid(),
            agent_name=self._settings.agent_name,
            max_jobs=self._slots.limit,
            jobs=self._slots.jobs,
            warm=self._pool.warm + len(self._standbys.waiting),
            load=round(self._slots.load, 3),
            draining=self._stopping.is_set(),
            registered=self._pool.is_registered,
            version=sdk_version,
            started_at=self._started_at,
            sessions=self._sessions(),
            catalog=self._keeper.digest,
            standby=len(self._standbys.waiting),
            standby_wanted=self._standby_wanted,
        )

    def _sessions(self) -> tuple[tuple[str, int], ...]:
        """The attempts that this worker runs or has promised to run."""
        running = (JobMetadata.decode(info.job.metadata) for info in self._pool.running)
        jobs = {*self._promised.values(), *(job for job in running if job is not None)}
        return tuple(sorted((job.session, job.attempt) for job in jobs))

    def _why_unready(self) -> str | None:
        if self._stopping.is_set():
            return "draining"
        if self._pool.lacks_models:
            return LACKS_MODELS
        if self._pool.failure and not self._pool.warm:
            return f"job processes do not get ready: {self._pool.failure}"
        if not self._pool.is_registered:
            return "not connected to LiveKit"
        if not self._pool.warm and not self._pool.running:
            return "no job process is ready"
        return None

    def _talking_job_ids(self) -> set[str]:
        return {info.job.id for info in self._pool.talking} - self._standbys.idle_job_ids
