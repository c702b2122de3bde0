"""One job: metadata -> claim -> pipeline -> room -> events -> report. Runs in a job process."""

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

from livekit.agents import (
    CloseEvent,
    CloseReason,
    ConversationItemAddedEvent,
    JobContext,
    JobProcess,
)
from livekit.agents.llm import ChatMessage

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.sessions import events as ev
from assistant.sessions.errors import SupersededError
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.record import Reason, Session
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.settings import WorkerSettings, read
from assistant.worker import pipeline
from assistant.worker.agent import Assistant
from assistant.worker.fence import Fence
from assistant.worker.providers import registry
from assistant.worker.reporter import Reporter
from assistant.worker.turns import TurnReport, Turns

_KIT = "kit"

_log = log.get(__name__)


@dataclass(frozen=True)
class Kit:
    """What a job process has ready before a job comes."""

    settings: WorkerSettings
    catalog: Catalog
    #: The agent of jobs that come without a session (`connect`, SIP rules, other dispatchers).
    default_agent: str
    #: The name under which the worker beats.
    worker: str


def prewarm(process: JobProcess, *, worker: str, default_agent: str | None = None) -> None:
    """Make a job process ready: everything that a job would otherwise load while a caller waits."""
    log.configure_events()
    settings = read(WorkerSettings, os.environ)
    catalog = Catalog.load(settings.agents_file)
    for module in registry.modules_for(catalog.agents.values()):
        registry.load(module)
    process.userdata[_KIT] = Kit(settings, catalog, default_agent or catalog.default, worker)


async def run_job(ctx: JobContext) -> None:
    """The SDK's entrypoint; it returns once the conversation runs, which outlives it."""
    kit: Kit = ctx.proc.userdata[_KIT]
    metadata = JobMetadata.decode(ctx.job.metadata)
    if metadata is None:
        await _run_without_session(ctx, kit)
        return
    job = SessionJob(ctx, kit, metadata)
    await job.run()


async def _run_without_session(ctx: JobContext, kit: Kit) -> None:
    """A room that some other dispatcher sent us to: the default agent talks, nothing is kept."""
    spec = kit.catalog.agents[kit.default_agent]
    conversation = pipeline.build(spec, kit.settings)
    conversation.on("close", lambda _event: ctx.shutdown("conversation closed"))
    _log.info("job.without_session", room=ctx.room.name, agent=spec.name)
    await conversation.start(
        Assistant(spec, greets=True),
        room=ctx.room,
        room_options=pipeline.room_options(user_identity=None),
        session_host=False,
        record=False,
    )


class SessionJob:
    """One attempt of one session, from the claim to the last report."""

    def __init__(self, ctx: JobContext, kit: Kit, metadata: JobMetadata) -> None:
        settings = kit.settings
        self._ctx = ctx
        self._settings = settings
        self._worker = kit.worker
        self._session_id = metadata.session
        self._attempt = metadata.attempt
        self._redis = connect(settings.redis_url)
        bounds = Bounds(
            max_bots=settings.max_bots,
            queue_limit=settings.queue_limit,
            keep_s=settings.session_retention_s,
        )
        self._store = SessionStore(self._redis, bounds)
        self._reporter = Reporter(self._store, self._session_id)
        self._turns = Turns()
        # The SDK ends the entrypoint before the conversation ends, so these two outlive it;
        # the shutdown callback ends them.
        self._background: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        ctx = self._ctx
        ctx.add_shutdown_callback(self._close)
        try:
            session = await self._claim()
        except SupersededError as error:
            _log.info("job.superseded", session=self._session_id, detail=error.detail)
            ctx.shutdown("superseded")
            return
        self._start_background()
        try:
            await self._converse(session)
        except Exception as error:
            # The SDK reports a raised entrypoint as a success: the session must learn of it here.
            detail = f"the job failed: {type(error).__name__}"
            self._reporter.tell(ev.AgentLost(at=time.time(), attempt=self._attempt, detail=detail))
            raise

    async def _claim(self) -> Session:
        claimed = ev.Claimed(
            at=time.time(), attempt=self._attempt, worker=self._worker, pid=os.getpid()
        )
        return await self._store.claim(self._session_id, claimed)

    def _start_background(self) -> None:
        fence = Fence(
            self._store, self._session_id, self._attempt, grace_s=self._settings.redis_grace_s
        )
        self._background = [
            asyncio.create_task(self._reporter.run(), name="reporter"),
            asyncio.create_task(fence.watch(self._ctx.shutdown), name="fence"),
        ]

    async def _converse(self, session: Session) -> None:
        spec = AgentSpec.model_validate_json(session.spec)
        async with asyncio.TaskGroup() as group:
            # The pipeline is built while the room is being joined.
            group.create_task(self._join(), name="join")
            conversation = pipeline.build(spec, self._settings)
            conversation.on("conversation_item_added", self._on_item)
            conversation.on("close", self._on_close)
        await conversation.start(
            # An agent that takes over goes on; only the session's first one greets.
            Assistant(spec, greets=session.active_at is None),
            room=self._ctx.room,
            # Naming the user needs a joined room: the SDK looks up its own identity for it.
            room_options=pipeline.room_options(user_identity=session.user_id),
            session_host=False,
            record=False,
        )

    async def _join(self) -> None:
        await self._ctx.connect()
        self._reporter.tell(ev.AgentJoined(at=time.time(), attempt=self._attempt))

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if not isinstance(item, ChatMessage) or item.role not in {"user", "assistant"}:
            return
        role: Any = item.role
        self._turns, report = self._turns.add(role, item.metrics, interrupted=item.interrupted)
        if report is not None:
            self._report_turn(report)

    def _report_turn(self, report: TurnReport) -> None:
        _log.info(
            "turn.completed",
            session=self._session_id,
            turn=report.turn,
            e2e_latency_s=report.e2e_latency_s,
            interrupted=report.interrupted,
        )
        self._reporter.tell(
            ev.TurnCompleted(
                at=time.time(),
                attempt=self._attempt,
                turn=report.turn,
                transcription_delay_s=report.transcription_delay_s,
                end_of_turn_delay_s=report.end_of_turn_delay_s,
                llm_ttft_s=report.llm_ttft_s,
                tts_ttfb_s=report.tts_ttfb_s,
                e2e_latency_s=report.e2e_latency_s,
                interrupted=report.interrupted,
            )
        )

    def _on_close(self, event: CloseEvent) -> None:
        """The SDK closed the conversation: by itself (an error), or because the job ends."""
        if event.reason is CloseReason.JOB_SHUTDOWN:
            return
        failed = event.reason is CloseReason.ERROR
        self._reporter.tell(
            ev.EndRequested(
                at=time.time(),
                reason=Reason.ERROR if failed else Reason.AGENT_ENDED,
                detail=_describe(event) if failed else None,
            )
        )
        self._ctx.shutdown(f"conversation closed: {event.reason.value}")

    async def _close(self) -> None:
        """The job's end; bounded, since the SDK waits for it without a limit."""
        if self._background:
            await self._reporter.flush()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._redis.aclose()


def _describe(event: CloseEvent) -> str:
    """Which stage failed and how, without what was said."""
    error = event.error
    cause = getattr(error, "error", error)
    return f"{getattr(error, 'type', 'error')}: {type(cause).__name__}"
