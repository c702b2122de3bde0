"""One job: metadata -> claim -> pipeline -> room -> events -> report. Runs in a job process."""

import asyncio
import os
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import (
    AgentSession,
    CloseEvent,
    CloseReason,
    JobContext,
    JobExecutorType,
)
from redis.asyncio import Redis

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.direction import Direction
from assistant.sessions.errors import StoreUnavailableError, SupersededError
from assistant.sessions.item import Item
from assistant.sessions.metadata import JobMetadata, StandbyMetadata
from assistant.sessions.record import AT_WORK, Reason, Session
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.client import connect, connect_blocking
from assistant.sessions.store.commands import BLOCK_S, CommandReader, CommandStore
from assistant.sessions.store.records import Bounds, SessionStore
from assistant.sessions.store.words import WordsChannel
from assistant.sessions.usage import Spent, together
from assistant.worker import pipeline, prompt_signals, stages
from assistant.worker.company import Company
from assistant.worker.control import Control
from assistant.worker.ensemble import Ensemble
from assistant.worker.fence import SUPERSEDED, Fence
from assistant.worker.hearing.early_streams import EarlyStreams
from assistant.worker.introduction import Introduction
from assistant.worker.limits.last_words import last_words
from assistant.worker.limits.purse import Purse
from assistant.worker.limits.spending import Spending
from assistant.worker.process.setup import Kit, kit_of
from assistant.worker.record.books import Books
from assistant.worker.record.discretion import Discretion
from assistant.worker.record.journal import Journal
from assistant.worker.record.live_words import LiveWords
from assistant.worker.record.recorder import recorder_for
from assistant.worker.record.reporter import Reporter
from assistant.worker.record.teller import Teller
from assistant.worker.record.troubles import Troubles
from assistant.worker.sessionless import run_without_session
from assistant.worker.speaking.apology import Apology, FirstOf, SpokenApology, WrittenApology
from assistant.worker.speaking.dead_air import DeadAirGuard
from assistant.worker.speaking.sentences import Sentences
from assistant.worker.speaking.until_heard import UntilHeard
from assistant.worker.speaking.voice_track import VoiceTrack
from assistant.worker.standby import stand_by
from assistant.worker.team import Team

# Somebody deleted the room, which ends the session whoever it was.
_ROOM_GONE = frozenset({rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED})

_log = log.get(__name__)


async def run_job(ctx: JobContext) -> None:
    """The SDK's entrypoint; it returns once the conversation runs, which outlives it."""
    kit = kit_of(ctx.proc)
    place = StandbyMetadata.decode(ctx.job.metadata)
    if place is not None:
        redis = connect(kit.settings.redis_url)
        stand_by(
            ctx,
            kit,
            place,
            redis,
            lambda job: SessionJob(ctx, kit, job, redis=redis, stood_by=True).run(),
        )
        return
    metadata = JobMetadata.decode(ctx.job.metadata)
    if metadata is None:
        await run_without_session(ctx, kit)
        return
    job = SessionJob(ctx, kit, metadata, redis=connect(kit.settings.redis_url))
    await job.run()


class SessionJob:
    """One attempt of one session, from the claim to the last report.

    `stood_by`: the job was dispatched before there was the session, so that its worker cannot tell
    of its being accepted.
    """

    def __init__(
        self,
        ctx: JobContext,
        kit: Kit,
        metadata: JobMetadata,
        *,
        redis: Redis,
        stood_by: bool = False,
    ) -> None:
        settings = kit.settings
        self._ctx = ctx
        self._settings = settings
        self._worker = kit.worker
        self._turn_model = kit.turn_model
        self._prices = kit.catalog.prices
        self._session_id = metadata.session
        self._attempt = metadata.attempt
        self._stood_by = stood_by
        self._redis = redis
        bounds = Bounds(
            max_bots=settings.max_bots,
            queue_limit=settings.queue_limit,
            keep_s=settings.session_retention_s,
        )
        self._store = SessionStore(self._redis, bounds)
        self._archive = Archive(self._redis)
        self._reporter = Reporter(self._store, self._archive)
        self._teller = Teller(self._reporter, metadata, worker=kit.worker)
        self._words = LiveWords(WordsChannel(self._redis), self._teller)
        blocking = connect_blocking(settings.redis_url, block_s=BLOCK_S)
        self._control = Control(
            CommandStore(self._redis), CommandReader(blocking, metadata.session), self._teller
        )
        # The SDK ends the entrypoint before the conversation ends, so these outlive it; the
        # shutdown callback ends them.
        self._background: list[asyncio.Task[None]] = []
        #: None: there was no conversation yet.
        self._books: Books | None = None
        self._team: Team | None = None
        self._ensemble: Ensemble | None = None
        self._voice: VoiceTrack | None = None
        self._guard: DeadAirGuard | None = None

    async def run(self) -> None:
        ctx = self._ctx
        ctx.add_shutdown_callback(self._close)
        try:
            session = await self._claim()
        except SupersededError as error:
            _log.info("job.superseded", session=self._session_id, detail=error.detail)
            self._teller.accounted = True
            ctx.shutdown("superseded")
            return
        self._start_background()
        try:
            await self._converse(session)
        except Exception as error:
            if await self._is_over():
                # Ended while its agent was still joining; nothing is wrong.
                _log.info("job.ended_while_joining", session=self._session_id)
                self._teller.accounted = True
                ctx.shutdown("session over")
                return
            # The SDK reports a raised entrypoint as a success: the session must learn of it here.
            self._teller.tell_lost(f"the job failed: {type(error).__name__}")
            raise

    async def _is_over(self) -> bool:
        """Whether the session is known to need this attempt no more."""
        try:
            standing = await self._store.standing(self._session_id)
        except StoreUnavailableError:
            return False
        if standing is None:
            return True
        state, attempt = standing
        return attempt != self._attempt or state not in AT_WORK

    async def _claim(self) -> Session:
        now, attempt, worker, pid = time.time(), self._attempt, self._worker, os.getpid()
        before: list[ev.Event] = []
        if self._stood_by:
            before.append(ev.Accepted(at=now, attempt=attempt, worker=worker))
            before.append(ev.Launched(at=now, attempt=attempt, worker=worker, pid=pid))
        claimed = ev.Claimed(at=now, attempt=attempt, worker=worker, pid=pid)
        return await self._store.claim(self._session_id, claimed, *before)

    def _start_background(self) -> None:
        fence = Fence(
            self._store, self._session_id, self._attempt, grace_s=self._settings.redis_grace_s
        )
        self._keep_running(self._reporter.run(), "reporter", vital=True)
        self._keep_running(fence.watch(self._leave), "fence", vital=True)

    def _keep_running(
        self, work: Coroutine[Any, Any, None], name: str, *, vital: bool = False
    ) -> None:
        """`vital`: should it fail, another agent does better than this one without it."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(self._part_ended, vital=vital))
        self._background.append(task)

    def _part_ended(self, task: asyncio.Task[None], *, vital: bool) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        name = task.get_name()
        _log.error("job.part_failed", session=self._session_id, part=name, exc_info=error)
        if vital:
            self._leave(f"its {name} failed: {type(error).__name__}", lost=True)

    def _leave(self, why: str, *, lost: bool) -> None:
        """The fence says that this job must not go on."""
        if why == SUPERSEDED:
            # The next agent is in the room, or will be any moment. Ending in order takes seconds,
            # in which the SDK of a process that was frozen would join the room once more.
            if self._ctx.proc.executor_type is JobExecutorType.PROCESS:
                os._exit(0)
            # The process has other jobs too.
            self._keep_running(self._ctx.room.disconnect(), "leave the room")
        self._teller.accounted = self._teller.accounted or not lost
        self._ctx.shutdown(why)

    async def _converse(self, session: Session) -> None:
        spec = AgentSpec.model_validate_json(session.spec)
        self._teller.discretion = Discretion.of(spec)
        if not self._teller.discretion.keeps_words:
            log.withhold_words()
        self._ctx.room.on("disconnected", self._on_disconnected)
        prompt_signals.follow(self._ctx.room)
        early = EarlyStreams(self._ctx.room)
        if spec.modality != "text":
            self._voice = VoiceTrack(self._ctx.room)
        async with asyncio.TaskGroup() as group:
            # The pipeline is built while the room is being joined; the request to join has to leave
            # before, since building holds the loop.
            group.create_task(self._join(), name="join")
            await asyncio.sleep(0)
            # An agent that takes over goes on; only the session's first one greets.
            said = None if session.active_at is None else await self._said()
            direction = await self._control.prepare(spec, said)
            models = stages.build(spec, self._settings)
            conversation = pipeline.build(spec, models, turn_model=self._turn_model)
            conversation.output.audio = self._voice
            sentences = Sentences(spec, self._settings, stages.models(models).get("tts"))
            self._ensemble = Ensemble(conversation)
            spending = Spending(self._teller.spend, spec, self._prices)
            purse = await self._purse(spec, spending)
            self._team = self._assemble(
                spec, models, direction, sentences, purse=purse, said=said or ()
            )
            self._team.prepare()
            self._keep_running(self._team.equip(), "equip")
            books = self._accompany(conversation, spec, spending, purse)
            self._keep_company(conversation, spec, sentences)
            self._control.attend(conversation, self._team)
        agent = self._team.begin(said)
        recording = books.recording()
        early.release()
        asyncio.get_running_loop().call_soon(self._attached, conversation, early)
        await conversation.start(
            agent,
            room=self._ctx.room,
            # Naming the user needs a joined room: the SDK looks up its own identity for it.
            room_options=pipeline.room_options(
                spec,
                user_identity=session.user_id,
                equipped=self._team.equipped,
                has_voice=self._voice is not None,
                spoken=self._words.spoken,
            ),
            session_host=False,
            record=recording,
        )
        early.listen()
        books.recording_started()
        self._keep_running(self._control.run(), "control", vital=True)
        for work in last_words(
            session,
            spec,
            self._teller.tell,
            partial(sentences.say, conversation),
            spoken=lambda: conversation.current_speech,
            purse=purse,
            session_timeout_s=self._settings.session_timeout_ms / 1000,
        ):
            self._keep_running(work, "last words")

    def _assemble(
        self,
        spec: AgentSpec,
        models: stages.Stages,
        direction: Direction,
        sentences: Sentences,
        *,
        purse: Purse | None,
        said: Sequence[Item],
    ) -> Team:
        """Everybody who may talk; `models` are those of the conversation."""
        troubles = Troubles(self._teller)

        def attend(built: stages.Stages) -> None:
            if self._ensemble is not None:
                self._ensemble.join(built)
            troubles.follow(built)

        attend(models)
        return Team(
            spec,
            self._settings,
            direction=direction,
            audio=sentences.audio,
            built=attend,
            purse=purse,
            said=said,
        )

    async def _said(self) -> list[Item]:
        try:
            await self._archive.recover(self._session_id, self._attempt - 1)
            return await self._archive.items(self._session_id)
        except StoreUnavailableError as error:
            # The claim went through just now; an agent without memory is better than none.
            _log.warning("job.history_unknown", session=self._session_id, error=str(error))
            return []

    async def _purse(self, spec: AgentSpec, spending: Spending) -> Purse | None:
        """What the session may still use; None: whatever it takes."""
        if not spec.budget.is_set:
            return None
        before = Spent()
        if self._attempt > 1:
            kept = await self._archive.kept(self._session_id)
            before = together(spent for n, spent in kept.usage.items() if n < self._attempt)
        return Purse(
            spec.budget, self._prices, spent=spending.so_far, before=before, tell=spending.tell
        )

    def _accompany(
        self,
        conversation: AgentSession[None],
        spec: AgentSpec,
        spending: Spending,
        purse: Purse | None,
    ) -> Books:
        """Everything that follows the conversation beside the SDK."""
        journal = Journal(self._teller)
        journal.follow(conversation)
        self._words.follow(conversation, journal.says)
        self._keep_running(self._words.run(), "live words")
        Introduction(self._ctx.room).follow(conversation)
        spending.follow(conversation)
        self._books = Books(
            self._ctx,
            store=self._store,
            archive=self._archive,
            teller=self._teller,
            spec=spec,
            vendors=self._settings,
            spending=spending,
            recorder=recorder_for(self._settings, spec, self._session_id, self._attempt),
            purse=purse,
        )
        self._books.follow(conversation)
        conversation.on("close", self._on_close)
        return self._books

    def _keep_company(
        self, conversation: AgentSession[None], spec: AgentSpec, sentences: Sentences
    ) -> None:
        """What the caller learns when the other side, or they themselves, fall silent."""
        sentence = spec.dead_air.sentence
        apology: Apology = WrittenApology(self._ctx.room, sentence)
        if spec.modality != "text":
            # Of a voice that could not be reached since it is known, nothing was made ahead.
            spoken = SpokenApology(
                self._ctx.room,
                lambda: None if self._control.agent_is_muted else sentences.frames(sentence),
            )
            apology = FirstOf(spoken, apology)
            self._keep_running(sentences.make_missing(), "make sentences")
        starving_since = self._ensemble.starving_since if self._ensemble else lambda: None
        # What ends for one of its reasons the service ends, and with it the room and this job.
        company = Company(spec, self._teller, apology, starving_since)
        company.follow(conversation)
        self._guard = company.guard
        self._control.hush = company.guard.hush
        self._control.silences.extend(company.silences)
        for name, work in company.watches():
            self._keep_running(work, name)

    async def _join(self) -> None:
        await self._ctx.connect()
        # The loop is busy now, and comes to the room's own event only when the voice has waited.
        prompt_signals.send_at_once()
        if self._voice is not None:
            self._keep_running(self._voice.publish(), "voice track")
        self._teller.tell(ev.AgentJoined(at=time.time(), attempt=self._attempt))

    def _attached(self, conversation: AgentSession[None], early: EarlyStreams) -> None:
        """The conversation has the room's ears and mouth, and nobody has said a word yet."""
        early.attach()
        voice = conversation.output.audio
        heard: asyncio.Task[None] | None = None
        if voice is not None and self._voice is not None:
            heard = asyncio.create_task(self._voice.heard(conversation), name="voice is heard")
            self._background.append(heard)
            conversation.output.audio = UntilHeard(voice, heard)
        if self._guard is not None:
            self._keep_running(self._guard.watch(heard), "dead air")

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """The room is lost for good; the SDK ends the job. Not said where the session is over."""
        if self._teller.accounted or reason == rtc.DisconnectReason.CLIENT_INITIATED:
            return
        if reason in _ROOM_GONE:
            self._teller.tell(ev.EndRequested(at=time.time(), reason=Reason.ROOM_DELETED))
        else:
            name = rtc.DisconnectReason.Name(reason)
            self._teller.tell_lost(f"disconnected from the room: {name}")

    def _on_close(self, event: CloseEvent) -> None:
        """The SDK closed the conversation: by itself (an error), or because the job ends."""
        if event.reason is CloseReason.JOB_SHUTDOWN or self._teller.accounted:
            # The job ends for a reason that the session knows. The SDK closes the conversation
            # of a lost room as if somebody had asked for it, which must not end the session.
            return
        failed = event.reason is CloseReason.ERROR
        self._teller.tell(
            ev.EndRequested(
                at=time.time(),
                reason=Reason.ERROR if failed else Reason.AGENT_ENDED,
                detail=_describe(event) if failed else None,
            )
        )
        self._ctx.shutdown(f"conversation closed: {event.reason.value}")

    async def _close(self, why: str) -> None:
        """The job's end; bounded, since the SDK waits for it without a limit."""
        if self._background:
            if not self._teller.accounted:
                self._teller.tell_lost(f"the job ended: {why}")
            await self._reporter.flush()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._control.close()
        # Side by side: what a language model makes of the talk takes seconds, and so may a program.
        await asyncio.gather(*(part.close() for part in (self._team, self._books) if part))
        if self._ensemble is not None:
            await self._ensemble.aclose()
        if self._voice is not None:
            await self._voice.aclose()
        await self._redis.aclose()


def _describe(event: CloseEvent) -> str:
    """Which stage failed and how, without what was said."""
    error = event.error
    cause = getattr(error, "error", error)
    return f"{getattr(error, 'type', 'error')}: {type(cause).__name__}"
