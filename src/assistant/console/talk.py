"""One conversation without a room, made of the parts that a job makes it of."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    CloseReason,
    ConversationItemAddedEvent,
    ErrorEvent,
    FunctionToolsExecutedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)
from livekit.agents.llm import AgentHandoff, ChatMessage
from livekit.agents.utils import http_context
from livekit.agents.voice import io
from livekit.agents.voice.run_result import RunResult
from livekit.agents.voice.transcription import TranscriptSynchronizer

from assistant.catalog.agent import AgentSpec
from assistant.console.apologies import PlayedApology, ShownApology
from assistant.console.limits import limits
from assistant.console.line import Line
from assistant.console.plan import Plan
from assistant.console.screen import Screen
from assistant.console.terminal import Terminal
from assistant.sessions.record import Reason
from assistant.settings import SpeechSettings
from assistant.worker import pipeline, stages
from assistant.worker.company import Company
from assistant.worker.ensemble import Ensemble
from assistant.worker.limits.purse import Purse
from assistant.worker.limits.spending import Spending
from assistant.worker.speaking.apology import Apology
from assistant.worker.speaking.sentences import Sentences
from assistant.worker.team import Team

# The agent may fall silent between two sentences, and before the answer of a tool.
QUIET_S = 0.6
END_CALL = "end_call"  # the tool after which the conversation closes, in its own time


class Talk:
    """A conversation that runs; see `talking`."""

    def __init__(self, conversation: AgentSession[None], screen: Screen) -> None:
        self.conversation = conversation
        self._screen = screen
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._answers = 0
        self._last_failure: str | None = None
        self._is_ending = False
        #: Why the conversation broke; None: it did not.
        self.error: str | None = None
        conversation.on("conversation_item_added", self._on_item)
        conversation.on("function_tools_executed", self._on_tools)
        conversation.on("user_input_transcribed", self._on_heard)
        conversation.on("agent_state_changed", self._on_state)
        conversation.on("user_state_changed", self._on_state)
        conversation.on("error", self._on_error)
        conversation.on("close", self._on_close)

    @property
    def agent(self) -> str:
        """Who talks now."""
        return self.conversation.current_agent.id

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    async def ended(self) -> None:
        await self._ended.wait()

    async def write(self, text: str) -> bool:
        """Say something in writing; returns when all of the answer has come: whether it did."""
        try:
            run: RunResult[None] = self.conversation.run(user_input=text)
        except RuntimeError:
            # It has begun to close, and nobody was told yet.
            await self._ended.wait()
            return self.error is None
        answering = asyncio.ensure_future(_all_of(run))
        ending = asyncio.create_task(self._ended.wait(), name="ended")
        await asyncio.wait([answering, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not answering.done():
            answering.cancel()
            return self.error is None
        if (failure := answering.exception()) is not None:
            self._screen.note(f"no answer: {_words(failure)}", style="red")
            return False
        if self._is_ending:
            await self._ended.wait()
        return True

    async def answered(self, before: int) -> None:
        """Return when there are more answers than `before`, and both sides are silent."""
        while not self.is_over:
            self._changed.clear()
            if self._answers > before and self._is_quiet:
                try:
                    async with asyncio.timeout(QUIET_S):
                        await self._changed.wait()
                except TimeoutError:
                    return
            else:
                await self._changed.wait()

    @property
    def answers(self) -> int:
        """What the agents have said, message by message."""
        return self._answers

    @property
    def _is_quiet(self) -> bool:
        conversation = self.conversation
        return conversation.agent_state == "listening" and conversation.user_state != "speaking"

    def end(self, reason: Reason, detail: str | None) -> None:
        """A limit of the agent's ends it, as it would end a session."""
        words = f"{reason}: {detail}" if detail else str(reason)
        if reason is Reason.NO_ANSWER:
            self.error = words
        else:
            self._screen.note(f"the session ends: {words}")
        self.conversation.shutdown(drain=False)

    @asynccontextmanager
    async def beside(self, *works: tuple[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
        """Run all of that, each under its name; one that fails is told, and the others go on."""
        tasks = [asyncio.create_task(work, name=name) for name, work in works]
        for task in tasks:
            task.add_done_callback(self._on_part_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _on_part_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._screen.note(f"{task.get_name()} failed: {_words(error)}", style="red")

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if isinstance(item, AgentHandoff):
            if item.old_agent_id is not None:
                self._screen.handoff(item.old_agent_id, item.new_agent_id)
        elif isinstance(item, ChatMessage) and item.role == "assistant":
            self._answers += 1
        self._changed.set()

    def _on_tools(self, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            said = output.output if output else ""
            failed = output.is_error if output else False
            self._screen.tool(call.name, call.arguments, said, failed=failed)
            self._is_ending = self._is_ending or (call.name == END_CALL and not failed)

    def _on_heard(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript.strip():
            self._screen.user(event.transcript.strip())

    def _on_state(self, _event: AgentStateChangedEvent | UserStateChangedEvent) -> None:
        self._changed.set()

    def _on_error(self, event: ErrorEvent) -> None:
        error = event.error
        cause = getattr(error, "error", error)
        kind = getattr(error, "type", "error").removesuffix("_error")
        said = f"{kind}: {_words(cause)}"
        if said != self._last_failure:  # told for each attempt anew
            self._last_failure = said
            self._screen.note(said, style="red")

    def _on_close(self, event: CloseEvent) -> None:
        if event.reason is CloseReason.ERROR:
            self.error = _words(getattr(event.error, "error", event.error))
        self._ended.set()
        self._changed.set()


class _Words(io.TextOutput):
    """The agents' words, as they come."""

    def __init__(self, conversation: AgentSession[None], screen: Screen) -> None:
        super().__init__(label="console", next_in_chain=None)
        self._conversation = conversation
        self._screen = screen

    async def capture_text(self, text: str) -> None:
        self._screen.words(self._conversation.current_agent.id, text)

    def flush(self) -> None:
        self._screen.end_line()


@asynccontextmanager
async def talking(
    plan: Plan,
    environ: Mapping[str, str],
    settings: SpeechSettings,
    screen: Screen,
    line: Line,
) -> AsyncIterator[Talk]:
    """The conversation, from its greeting on; both sides write if the agent's modality says so."""
    spec = plan.spec
    async with http_context.open():
        built = stages.build(spec, settings)
        conversation = pipeline.build(spec, built)
        talk = Talk(conversation, screen)
        ensemble = Ensemble(conversation)
        ensemble.join(built)
        sentences = Sentences(spec, settings, stages.models(built).get("tts"))
        purse = _purse(plan, conversation)
        team = Team(
            spec, settings, audio=sentences.audio, built=ensemble.join, environ=environ, purse=purse
        )
        terminal = Terminal(screen, talk.end)
        company = Company(
            spec, terminal, _apology(talk, line, screen, sentences, spec), ensemble.starving_since
        )
        try:
            team.prepare()
            await team.equip()
            company.follow(conversation)
            _connect(conversation, spec, line, _Words(conversation, screen))
            await conversation.start(team.begin(None), capture_run=True, record=False)
            async with talk.beside(
                ("dead air", company.guard.watch()),
                ("sentences", sentences.make_missing()),
                *company.watches(),
                *limits(spec, conversation, terminal, sentences, purse),
            ):
                yield talk
        finally:
            await conversation.aclose()
            await team.close()
            await ensemble.aclose()
            for stage in built:
                for _, model in stage.vendors:
                    await model.aclose()


def _connect(
    conversation: AgentSession[None], spec: AgentSpec, line: Line, words: io.TextOutput
) -> None:
    """With the screen, and where somebody speaks with the line to their device."""
    if spec.modality == "text":
        conversation.output.transcription = words
        return
    together = TranscriptSynchronizer(next_in_chain_audio=line.mouth, next_in_chain_text=words)
    conversation.input.audio = line.ear
    conversation.output.audio = together.audio_output
    conversation.output.transcription = together.text_output


def _purse(plan: Plan, conversation: AgentSession[None]) -> Purse | None:
    """As a job has it, but that nothing was used before."""
    if not plan.spec.budget.is_set:
        return None
    spending = Spending(lambda _spent: None, plan.spec, plan.prices)
    spending.follow(conversation)
    return Purse(plan.spec.budget, plan.prices, spent=spending.so_far)


def _apology(
    talk: Talk, line: Line, screen: Screen, sentences: Sentences, spec: AgentSpec
) -> Apology:
    sentence = spec.dead_air.sentence
    if spec.modality == "text":
        return ShownApology(sentence, lambda text: screen.sentence(talk.agent, text))
    return PlayedApology(line.aside, lambda: sentences.frames(sentence))


async def _all_of(run: RunResult[None]) -> None:
    await run


def _words(error: object) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
