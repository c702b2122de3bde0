"""What one attempt leaves when its conversation is over: the last word for the session's report."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from livekit.agents import AgentSession, JobContext, RecordingOptions
from livekit.agents.llm import LLM

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.record import OVER, State
from assistant.sessions.recordings import RecordingsError
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.records import SessionStore
from assistant.sessions.usage import Usage
from assistant.settings import VendorSettings
from assistant.worker.limits.purse import Purse
from assistant.worker.limits.spending import Spending
from assistant.worker.record.analysis import Tokens, analyse, nothing_of
from assistant.worker.record.recorder import ON, Recorder
from assistant.worker.record.teller import Teller
from assistant.worker.stages import build_llm

# A report takes more words than a spoken answer, to which the agent's own limit is set.
MAX_ANSWER_TOKENS = 2000

_log = log.get(__name__)


class Books:
    """Closes the books of one attempt; bounded by the analysis' own time and Redis's."""

    def __init__(
        self,
        ctx: JobContext,
        *,
        store: SessionStore,
        archive: Archive,
        teller: Teller,
        spec: AgentSpec,
        vendors: VendorSettings,
        spending: Spending,
        recorder: Recorder | None,
        purse: Purse | None = None,
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._archive = archive
        self._teller = teller
        self._spec = spec
        self._vendors = vendors
        self._spending = spending
        self._recorder = recorder
        self._purse = purse
        self._conversation: AgentSession[Any] | None = None

    def follow(self, conversation: AgentSession[Any]) -> None:
        self._conversation = conversation

    def recording(self) -> RecordingOptions | bool:
        """What the SDK is to record; before the conversation starts."""
        if self._recorder is None:
            return False
        try:
            self._recorder.prepare(self._ctx)
        except OSError as error:
            # The conversation is worth more than its recording, whose failing is told.
            failed = ev.RecordingFailed(
                at=time.time(), attempt=self._teller.attempt, detail=type(error).__name__
            )
            self._teller.tell(failed)
            self._recorder = None
            return False
        return ON

    def recording_started(self) -> None:
        if self._recorder is not None and self._conversation is not None:
            self._recorder.started(self._conversation)

    async def close(self) -> None:
        """Say the last word, with what a language model makes of it if the session is over."""
        session_id = self._teller.session_id
        try:
            standing = await self._store.standing(session_id)
            if standing is None:
                if self._recorder is not None:
                    self._recorder.discard()
                return  # erased; nothing of it may stay
            await self._close_those_of(*standing)
        except StoreUnavailableError as error:
            _log.warning("report.lost", session=session_id, error=str(error))
        finally:
            if self._recorder is not None:
                # A recording that no report names yet is from now on its worker's to store.
                self._recorder.release()

    async def _close_those_of(self, state: State, current: int) -> None:
        session_id, attempt = self._teller.session_id, self._teller.attempt
        over = state in OVER and current == attempt
        # The recording is stored while the language model thinks.
        storing = asyncio.create_task(self._store_recording(), name="store recording")
        try:
            await self._archive.recover(session_id, attempt)
            parts = self._sdk_report()
            if over and self._spec.report.asks and self._teller.discretion.keeps_words:
                parts |= await self._analysis()
        finally:
            stored, told = await storing
        if stored:
            parts[f"recording:{attempt}"] = stored
        if told is not None:
            await self._store.note(session_id, told)
        await self._archive.spend(session_id, attempt, self._spending.so_far())
        known = await self._archive.finish(session_id, attempt, parts, last=over)
        if not known:
            await self._forget_recording()
        if self._recorder is not None and (stored or not known):
            self._recorder.discard()

    async def _store_recording(self) -> tuple[Mapping[str, Any] | None, ev.Note | None]:
        return (None, None) if self._recorder is None else await self._recorder.close()

    async def _forget_recording(self) -> None:
        """The session was erased meanwhile."""
        if self._recorder is None:
            return
        try:
            await self._recorder.recordings.erase(self._teller.session_id)
        except RecordingsError as error:
            _log.warning("recording.left", session=self._teller.session_id, error=str(error))

    def _sdk_report(self) -> dict[str, Any]:
        if self._conversation is None or not self._conversation.history.items:
            return {}
        report = self._ctx.make_session_report(self._conversation)
        # What was said is kept item by item, which survives this process.
        told = report.to_dict(include_chat_history=False, include_events=False)
        return {f"sdk:{self._teller.attempt}": told}

    async def _analysis(self) -> dict[str, Any]:
        if self._purse is not None and self._purse.used_up() is not None:
            return {"analysis": nothing_of(self._spec.report, "the budget is used up").as_json()}
        items = await self._archive.items(self._teller.session_id)
        options, tokens = self._spec.llm, Tokens()
        try:
            model = self._model()
            try:
                found = await analyse(model, self._spec.report, items, tokens)
            finally:
                await model.aclose()
        except Exception:  # noqa: BLE001 - whatever a plugin raises must not cost the rest
            _log.exception("analysis.failed", session=self._teller.session_id)
            return {}
        if tokens.input or tokens.output:
            self._spending.add(
                Usage(
                    kind="llm",
                    provider=options.provider,
                    model=options.model,
                    input_tokens=tokens.input,
                    cached_input_tokens=tokens.cached_input,
                    output_tokens=tokens.output,
                )
            )
        if self._spec.redact:
            found = found.redacted(self._spec.report)
        return {"analysis": found.as_json()}

    def _model(self) -> LLM[Any]:
        options = self._spec.llm.model_copy(update={"max_completion_tokens": MAX_ANSWER_TOKENS})
        spec = self._spec.model_copy(update={"llm": options})
        return build_llm(spec, self._vendors).model
