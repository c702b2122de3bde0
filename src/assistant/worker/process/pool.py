"""The SDK's process pool, seen from the worker: what became of its processes.

The SDK shows neither its pool nor its connection; this looks inside, and is the only place that
does. Source: livekit-agents 1.8.9, `worker.py`, `ipc/proc_pool.py`, `ipc/supervised_proc.py`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentServer
from livekit.agents.ipc.job_executor import JobExecutor
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.job import RunningJobInfo

from assistant import log
from assistant.refilling import Refilling
from assistant.sessions.metadata import JobMetadata, StandbyMetadata
from assistant.worker.process import memory_watch
from assistant.worker.process.houses import Houses
from assistant.worker.process.setup import Setup
from assistant.worker.process.standbys import Standbys

# The pool comes into being in the first step of the server; nothing tells when.
POOL_WAIT_S = 0.01
# The SDK starts processes that cannot initialize again every 0.1 s, at a core's whole time.
BACKOFF_BASE_S = 0.5
BACKOFF_MAX_S = 30.0
CLOSE_S = 2.0
MAX_ERROR_CHARS = 300

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class JobProcessSeen:
    """A job process of ours and its job; `exit_code` None while it runs, negative after a signal.

    `id` is LiveKit's of the job.

    Times are Unix seconds; None: the SDK does not know.
    """

    id: str
    job: JobMetadata
    pid: int | None
    exit_code: int | None
    received_at: float | None
    launched_at: float | None


class Pool:
    """What the worker knows of its job processes.

    `on_launched` is called when a job was handed to a process, `on_ended` when a process that had
    a job is gone; both for our jobs alone. `on_change` when a job may have begun or left its room.
    `setup` is told of each process before it is made. `target`: idle processes to keep warm.
    `houses`: where the processes are seats of houses. `standbys`: those of its jobs that wait for
    a session.
    """

    def __init__(
        self,
        server: AgentServer,
        *,
        setup: Setup,
        target: int,
        houses: Houses | None = None,
        on_launched: Callable[[JobProcessSeen], None],
        on_ended: Callable[[JobProcessSeen], None],
        on_change: Callable[[], None],
        standbys: Standbys,
    ) -> None:
        self._server = server
        self._setup = setup
        self._target = target
        self._houses = houses
        self._on_launched = on_launched
        self._on_ended = on_ended
        self._on_change = on_change
        self._standbys = standbys
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._error: str | None = None
        self._next_try: asyncio.TimerHandle | None = None
        self._refilling = Refilling()
        self._next_refill: asyncio.TimerHandle | None = None
        memory_watch.install()

    async def watch(self) -> None:
        """Begin to watch, as soon as there is a pool; returns then."""
        while (pool := self._pool) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(POOL_WAIT_S)
        pool.on("process_created", self._process_created)
        pool.on("process_ready", self._process_ready)
        pool.on("process_job_launched", self._job_launched)
        pool.on("process_closed", self._process_closed)

    async def aclose(self) -> None:
        """Returns when it is known whose jobs have ended."""
        for timer in (self._next_try, self._next_refill):
            if timer is not None:
                timer.cancel()
        if self._side_tasks:
            await asyncio.wait(self._side_tasks, timeout=CLOSE_S)

    def close_job(self, job_id: str) -> None:
        """End a job, as LiveKit would."""
        pool = self._pool
        process = pool.get_by_job_id(job_id) if pool is not None else None
        if process is not None:
            self._keep(process.aclose(), "close job")

    async def renew(self) -> str | None:
        """Replace each idle process by one that begins now; none leaves before another is ready.

        A job that comes meanwhile gets whichever process is ready first, and keeps it. Returns
        why new ones do not get ready, whereupon the other old ones stay; None: all are new.
        """
        pool = self._pool
        if pool is None:
            return None
        old = [process for process in pool.processes if process.running_job is None]
        retired = self._houses.retire_all() if self._houses is not None else []
        while left := [p for p in old if p in pool.processes and p.running_job is None]:
            if not any(process in left for process in _queued(pool)):
                await asyncio.sleep(POOL_WAIT_S)  # They begin, or are being given a job.
                continue
            # As the pool itself starts one for a job that waits.
            starting = asyncio.create_task(pool._proc_spawn_task(), name="renew")  # noqa: SLF001
            pool._spawn_tasks.add(starting)  # noqa: SLF001
            starting.add_done_callback(pool._spawn_tasks.discard)  # noqa: SLF001
            await starting
            if (why := self._error) is not None:
                # It is what they begin with that is wrong, and that is not kept.
                if self._houses is not None:
                    self._houses.reinstate(retired)
                self._failures, self._error = 0, None
                self._try_again()
                return why
            leaving = next((process for process in _queued(pool) if process in left), None)
            if leaving is not None:
                pool._remove_from_warmed_queue(leaving)  # noqa: SLF001
                await leaving.aclose()
        if self._houses is not None:
            self._houses.tidy()
        await self._standbys.renew()
        return None

    async def tell_load(self) -> None:
        """Have LiveKit hear of the worker's load now; by itself the SDK tells every 2.5 s."""
        await self._server._refresh_worker_load()  # noqa: SLF001
        await self._server._update_worker_status()  # noqa: SLF001

    @property
    def failure(self) -> str | None:
        """Why no process can be made ready; None: the last one could."""
        return self._error

    @property
    def is_registered(self) -> bool:
        server = self._server
        return not server._closed and server.id != "unregistered" and not server._connecting  # noqa: SLF001

    @property
    def lacks_models(self) -> bool:
        """Whether the process of the models that all jobs share is gone, or never got ready."""
        executor = getattr(self._server, "_inference_executor", None)
        return executor is not None and not executor.is_alive()

    @property
    def warm(self) -> int:
        """Processes that are ready for a job."""
        pool = self._pool
        return pool._warmed_proc_queue.qsize() if pool is not None else 0  # noqa: SLF001

    @property
    def running(self) -> list[RunningJobInfo]:
        pool = self._pool
        processes = pool.processes if pool is not None else []
        return [p.running_job for p in processes if p.running_job is not None]

    @property
    def talking(self) -> list[RunningJobInfo]:
        """Those whose agent is, or will be, in a room: a job that leaves it says so to its parent,
        and then has only its books to close.
        """
        pool = self._pool
        processes = pool.processes if pool is not None else []
        return [
            p.running_job for p in processes if p.running_job is not None and not _is_leaving(p)
        ]

    @property
    def _pool(self) -> ProcPool | None:
        """None until the server runs."""
        return getattr(self._server, "_proc_pool", None)

    def _job_launched(self, process: JobExecutor) -> None:
        leaving = _leaving(process)
        if leaving is not None:
            leaving.add_done_callback(lambda _: self._on_change())
        self._on_change()
        info = process.running_job
        if info is not None and StandbyMetadata.decode(info.job.metadata):
            return  # Nobody waits for it: the pool is filled again at once.
        self._refill_later()
        seen = _seen(process)
        if seen is not None:
            self._on_launched(seen)

    def _process_created(self, _process: JobExecutor) -> None:
        pool = self._pool
        self._setup.awaited = pool is not None and pool._jobs_waiting_for_process > 0  # noqa: SLF001

    def _process_ready(self, _process: JobExecutor) -> None:
        if self._failures:
            _log.info("pool.recovered", failures=self._failures)
            self._failures, self._error = 0, None
            self._try_again()

    def _refill_later(self) -> None:
        """Make none but for jobs that wait, for a moment."""
        loop, pool = asyncio.get_running_loop(), self._pool
        until = self._refilling.started(loop.time(), emptied=not self.warm)
        if pool is None or until is None:
            return
        pool.set_target_idle_processes(0)
        if self._next_refill is not None:
            self._next_refill.cancel()
        self._next_refill = loop.call_at(until, self._refill)

    def _refill(self) -> None:
        if self._next_try is None:  # Otherwise it is filled when that comes.
            self._try_again()

    def _process_closed(self, process: JobExecutor) -> None:
        why = _why_never_ready(process)
        if why is not None:
            self._back_off(why)
            return
        info = process.running_job
        if info is not None and StandbyMetadata.decode(info.job.metadata):
            self._keep(self._standby_ended(process, info), "job that stood by ended")
            return
        seen = _seen(process)
        if seen is not None:
            self._on_ended(seen)

    async def _standby_ended(self, process: JobExecutor, info: RunningJobInfo) -> None:
        """It may have got a session a moment before, of which this worker has not heard yet."""
        await self._standbys.ended(info)
        seen = _seen(process)
        if seen is not None:
            self._on_ended(seen)

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    def _back_off(self, why: str) -> None:
        pool = self._pool
        if pool is None or pool._closed:  # noqa: SLF001
            return
        self._error = why
        if self._next_try is not None:
            return  # One of the same batch.
        self._failures += 1
        delay_s = min(BACKOFF_BASE_S * 2.0 ** min(self._failures - 1, 16), BACKOFF_MAX_S)
        _log.error("pool.process_failed", why=why, failures=self._failures, retry_s=delay_s)
        pool.set_target_idle_processes(0)
        self._next_try = asyncio.get_running_loop().call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        pool = self._pool
        if self._next_try is not None:
            self._next_try.cancel()
            self._next_try = None
        if pool is not None:
            # After a failure one process shows whether the others would be ready too.
            pool.set_target_idle_processes(1 if self._failures else self._target)


def _queued(pool: ProcPool) -> list[JobExecutor]:
    """The processes that are ready, the next one to get a job first."""
    return list(pool._warmed_proc_queue._queue)  # type: ignore[attr-defined]  # noqa: SLF001


def _seen(process: JobExecutor) -> JobProcessSeen | None:
    info = process.running_job
    job = JobMetadata.decode(info.job.metadata) if info is not None else None
    if info is None or job is None:
        return None
    return JobProcessSeen(
        id=info.job.id,
        job=job,
        pid=getattr(process, "pid", None),
        exit_code=getattr(process, "exitcode", None),
        received_at=info.received_at or None,
        launched_at=info.launched_at or None,
    )


def _leaving(process: JobExecutor) -> asyncio.Future[None] | None:
    """Done once the process's job has left its room, or the process is gone."""
    return getattr(process, "_shutting_down_fut", None)


def _is_leaving(process: JobExecutor) -> bool:
    leaving = _leaving(process)
    return leaving is not None and leaving.done()


def _why_never_ready(process: JobExecutor) -> str | None:
    """What kept the process from getting ready; None: it did get ready."""
    initialized: asyncio.Future[None] | None = getattr(process, "_initialize_fut", None)
    if initialized is None or not initialized.done() or initialized.cancelled():
        return "a job process could not be started"
    error = initialized.exception()
    if error is None:
        return None
    return " ".join(str(error).split())[:MAX_ERROR_CHARS] or type(error).__name__
