"""The worker process: takes jobs from LiveKit, keeps job processes warm, beats, drains.

The SDK's AgentServer does the protocol and the process pool. What is ours: exact slots, honest
readiness, the beat in Redis, and the watchdog.
"""

import asyncio
import functools
import os
import platform
import signal
import time
import uuid
from typing import Any

from livekit.agents import AgentServer, JobRequest
from livekit.agents.ipc.job_executor import JobExecutor, JobStatus
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.version import __version__ as sdk_version

from assistant import log
from assistant.catalog.catalog import Catalog
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError, StoreUnavailableError
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.record import agent_identity
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.workers import BEAT_INTERVAL_S, Beat, WorkerRegistry
from assistant.settings import WorkerSettings
from assistant.worker import health, job
from assistant.worker.providers import registry
from assistant.worker.slots import Slots
from assistant.worker.watchdog import Watchdog

# A cold machine needs a few seconds to import the SDK and map the models for the first process.
INITIALIZE_TIMEOUT_S = 30.0
SHUTDOWN_TIMEOUT_S = 10.0
# The SDK gives up after so many failed connects, and leaves. Staying, with a warm pool and an
# honest /readyz, brings jobs back sooner than any restart.
NEVER_GIVE_UP = 1_000_000
# A session frees its slot in the fleet when its agent has left the room, and its job process ends
# a moment later; a full worker holds an offer that long. LiveKit drops one after 3 s.
SLOT_WAIT_S = 1.5
SLOT_POLL_S = 0.02
EXIT_OK = 0
EXIT_CUT_SHORT = 1

_log = log.get(__name__)


def preload_modules(catalog: Catalog) -> list[str]:
    """What the forkserver imports once, so that every job process has it from birth."""
    return [*registry.modules_for(catalog.agents.values()), "assistant.worker.warmup"]


def build_server(settings: WorkerSettings, catalog: Catalog, **options: Any) -> AgentServer:
    """The SDK's server with our settings; `options` go to its constructor."""
    return AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        num_idle_processes=settings.prewarm_pool_size,
        preload_modules=preload_modules(catalog),
        initialize_process_timeout=INITIALIZE_TIMEOUT_S,
        shutdown_process_timeout=SHUTDOWN_TIMEOUT_S,
        job_memory_limit_mb=settings.job_memory_limit_mb,
        # Slots are counted in `on_request`; any threshold here would refuse bursts before that.
        load_threshold=float("inf"),
        max_retry=NEVER_GIVE_UP,
        host="127.0.0.1",
        port=0,
        log_level=settings.log_level.replace("warning", "warn"),
        **options,
    )


class Worker:
    """One worker process, from its first beat to its exit code."""

    def __init__(self, settings: WorkerSettings, catalog: Catalog) -> None:
        self._settings = settings
        self._id = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._started_at = time.time()
        self._slots = Slots(settings.max_jobs, self._running_job_ids)
        self._server = build_server(
            settings,
            catalog,
            setup_fnc=functools.partial(job.prewarm, worker=self._id),
            load_fnc=lambda: self._slots.load,
        )
        self._server.rtc_session(
            job.run_job, agent_name=settings.agent_name, on_request=self._on_request
        )
        self._server.on("worker_started", self._watch_job_processes)
        redis = connect(settings.redis_url)
        self._redis = redis
        self._registry = WorkerRegistry(redis, keep_s=settings.session_retention_s)
        bounds = Bounds(
            max_bots=settings.max_bots,
            queue_limit=settings.queue_limit,
            keep_s=settings.session_retention_s,
        )
        self._store = SessionStore(redis, bounds)
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._cut_short = asyncio.Event()

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; returns the exit code.

        The first signal drains: running conversations finish, new jobs are refused.
        The second one stops at once.
        """
        self._listen_for_signals()
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
            self._tasks = tasks
            watchdog = Watchdog(timeout_s=settings.watchdog_timeout_s)
            side_tasks = [
                tasks.create_task(watchdog.run(), name="watchdog"),
                tasks.create_task(self._keep_beating(), name="beat"),
            ]
            server = tasks.create_task(self._server.run(), name="server")
            code = await self._until_stopped(server)
            for task in side_tasks:
                task.cancel()
            self._tasks = None
        await self._say_goodbye()
        return code

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
        drain = asyncio.create_task(
            self._server.drain(timeout=int(self._settings.drain_timeout_s)), name="drain"
        )
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

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._cut_short.set()
        self._stopping.set()

    async def _on_request(self, request: JobRequest) -> None:
        """Take the job if there is a slot; otherwise another worker may be asked."""
        metadata = JobMetadata.decode(request.job.metadata)
        if not await self._slot_is_free():
            _log.info("job.rejected", room=request.room.name, jobs=self._slots.jobs)
            await request.reject(terminate=False)
            return
        with self._slots.promise(request.id):
            if metadata is None:
                await request.accept(name="Assistant")
                return
            identity = agent_identity(metadata.session, metadata.attempt)
            if self._tasks is not None:
                self._tasks.create_task(self._tell_accepted(metadata), name="tell accepted")
            await request.accept(name="Assistant", identity=identity)

    async def _slot_is_free(self) -> bool:
        """Whether a job can be taken, now or in a moment."""
        give_up_at = time.monotonic() + SLOT_WAIT_S
        while not self._stopping.is_set():
            if self._slots.free:
                return True
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(SLOT_POLL_S)
        return False

    async def _tell_accepted(self, metadata: JobMetadata) -> None:
        accepted = ev.Accepted(at=time.time(), attempt=metadata.attempt, worker=self._id)
        try:
            await self._store.record(metadata.session, accepted)
        except (SessionError, StoreUnavailableError) as error:
            # The job process claims the attempt by itself; this is only a stage on the timeline.
            _log.info("job.accepted_untold", session=metadata.session, error=str(error))

    def _watch_job_processes(self) -> None:
        pool = self._pool()
        if pool is None:
            raise AssertionError("the server has started without a pool")
        pool.on("process_closed", self._on_process_closed)

    def _on_process_closed(self, process: JobExecutor) -> None:
        """A job process has ended; one that died leaves its agent in the room, for about 20 s."""
        running = process.running_job
        if running is None or process.status is not JobStatus.FAILED:
            return
        metadata = JobMetadata.decode(running.job.metadata)
        if metadata is not None and self._tasks is not None:
            self._tasks.create_task(self._tell_lost(metadata), name="tell lost")

    async def _tell_lost(self, metadata: JobMetadata) -> None:
        _log.warning("job.process_died", session=metadata.session, attempt=metadata.attempt)
        lost = ev.AgentLost(at=time.time(), attempt=metadata.attempt, detail="its job process died")
        try:
            await self._store.record(metadata.session, lost)
        except (SessionError, StoreUnavailableError) as error:
            # The reconciler finds the agent missing once LiveKit no longer lists it.
            _log.info("job.lost_untold", session=metadata.session, error=str(error))

    async def _keep_beating(self) -> None:
        reachable = True
        while True:
            try:
                await self._registry.beat(self._beat())
                reachable = True
            except StoreUnavailableError as error:
                if reachable:
                    _log.warning("worker.beat_failed", error=str(error))
                reachable = False
            await asyncio.sleep(BEAT_INTERVAL_S)

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
            warm=self._warm(),
            load=round(self._slots.load, 3),
            draining=self._stopping.is_set(),
            registered=self._is_registered(),
            version=sdk_version,
            started_at=self._started_at,
        )

    def _why_unready(self) -> str | None:
        if self._stopping.is_set():
            return "draining"
        if not self._is_registered():
            return "not connected to LiveKit"
        if not self._warm() and not self._slots.jobs:
            return "no job process is ready"
        return None

    # The SDK shows neither its connection nor its pool; these look inside it.
    # Source: livekit-agents 1.8.9, `worker.py` and `ipc/proc_pool.py`.

    def _is_registered(self) -> bool:
        server = self._server
        return not server._closed and server.id != "unregistered" and not server._connecting  # noqa: SLF001

    def _warm(self) -> int:
        pool = self._pool()
        return pool._warmed_proc_queue.qsize() if pool is not None else 0  # noqa: SLF001

    def _running_job_ids(self) -> set[str]:
        pool = self._pool()
        processes = pool.processes if pool is not None else []
        return {p.running_job.job.id for p in processes if p.running_job is not None}

    def _pool(self) -> ProcPool | None:
        """None until the server runs."""
        return getattr(self._server, "_proc_pool", None)
