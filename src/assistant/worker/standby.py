"""A job that was dispatched ahead of any session: it waits for one, and then is its job.

LiveKit takes 0.2 s to choose a worker for a job, and handing it to a process takes some more; a
job that stands by has both behind it when a session starts. It waits outside of any room: the one
that it was dispatched to is never joined, and LiveKit soon forgets it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from livekit.agents import JobContext
from livekit.agents.types import ATTRIBUTE_AGENT_NAME
from livekit.protocol.agent import Job
from redis.asyncio import Redis

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.metadata import Assignment, JobMetadata, StandbyMetadata
from assistant.sessions.record import agent_identity
from assistant.sessions.store.client import connect_blocking
from assistant.sessions.store.standby import RENEW_S, StandbyStore
from assistant.settings import WorkerSettings
from assistant.worker.admission import agent_token
from assistant.worker.process.setup import Kit

AGENT_NAME = "Assistant"
LEAVE_S = 1.0
RETRY_S = 0.5  # Redis is away; nobody could give it a session either.

_log = log.get(__name__)


def stand_by(
    ctx: JobContext,
    kit: Kit,
    place: StandbyMetadata,
    redis: Redis,
    run: Callable[[JobMetadata], Awaitable[None]],
) -> None:
    """Begin to wait; `run` is called with the session, once there is one.

    The entrypoint returns meanwhile: at a job's end the SDK would wait for it, for 15 s.
    """
    # Before the end of an entrypoint that never connected, and after 10 s, the SDK complains.
    ctx._on_connect()  # noqa: SLF001
    waiting = asyncio.create_task(_wait(ctx, kit, place, redis, run), name="stand by")

    async def leave(_reason: str) -> None:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        # Otherwise a session could still get it, until its word runs out.
        with contextlib.suppress(StoreUnavailableError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await StandbyStore(redis).dismiss(place.standby)

    ctx.add_shutdown_callback(leave)


async def _wait(
    ctx: JobContext,
    kit: Kit,
    place: StandbyMetadata,
    redis: Redis,
    run: Callable[[JobMetadata], Awaitable[None]],
) -> None:
    try:
        assignment = await assignment_for(
            place.standby, redis, kit.settings.redis_url, worker=kit.worker
        )
        if assignment is None:
            ctx.shutdown("no session needs it")
            return
        _take_over(ctx, kit.settings, assignment)
        await run(assignment.job)
    except Exception:  # noqa: BLE001 - the job's own boundary
        # As the SDK does with an entrypoint that fails; its session was told already.
        _log.exception("job.failed", standby=place.standby)
        ctx.shutdown("job crashed")


async def assignment_for(
    standby_id: str, redis: Redis, url: str, *, worker: str
) -> Assignment | None:
    """Wait for a session; None: the job was sent home. Lasts as long as it takes."""
    store = StandbyStore(redis)
    blocking = connect_blocking(url, block_s=RENEW_S)
    try:
        while True:
            try:
                if not await store.offer(standby_id, worker=worker):
                    return await store.outcome(standby_id)
                await store.woken(blocking, standby_id)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
    finally:
        with contextlib.suppress(Exception):  # A connection that is broken anyhow.
            await blocking.aclose()


def become(job: Job, assignment: Assignment) -> None:
    """Have LiveKit's job say whose it is now; in its own process, and in its worker's."""
    job.metadata = assignment.job.encode()
    job.room.name, job.room.sid = assignment.room, ""


def _take_over(ctx: JobContext, settings: WorkerSettings, assignment: Assignment) -> None:
    """Make the SDK's job that of the session: its room, and a token to join it.

    Source: livekit-agents 1.8.9, `JobContext.connect` in job.py.
    """
    info, job = ctx._info, assignment.job  # noqa: SLF001
    become(info.job, assignment)
    ctx.log_context_fields = {**ctx.log_context_fields, "room": assignment.room, "room_id": ""}
    info.token = agent_token(
        settings,
        room=assignment.room,
        identity=agent_identity(job.session, job.attempt),
        name=AGENT_NAME,
        attributes={ATTRIBUTE_AGENT_NAME: info.job.agent_name},
    )
