"""The agent that talks: its instructions, what was said so far, and its first words."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, nullcontext
from typing import Any

from livekit import rtc
from livekit.agents import NOT_GIVEN, Agent, ChatContext, FlushSentinel, ModelSettings
from livekit.agents.llm import ChatChunk, ChatMessage, FunctionCall, FunctionCallOutput, Tool
from livekit.agents.voice import SpeechHandle

from assistant.catalog.agent import AgentSpec
from assistant.redaction import redacted
from assistant.sessions.direction import Fact
from assistant.sessions.item import Item, ToolUse
from assistant.worker.answering.seam import GO_ON
from assistant.worker.limits.purse import Purse
from assistant.worker.speaking.lead import from_first_sound
from assistant.worker.tools.calling import SdkTool


def none_made(_text: str) -> None:
    return None


class Assistant(Agent):
    """One agent of agents.yaml in one conversation.

    `said` is what was said before it came in place of a lost one; `before` is the conversation
    that another agent handed over; None for both: it begins, and greets. `facts` are what a
    backend told the model meanwhile. `audio` gives a sentence that was spoken before, None: it must
    be spoken now. `models` are those of its own, by stage. `equipped` is set when the last of its
    tools are there, None: they are; until then it greets, but answers not. `purse`: what it may
    still use; None: whatever it takes.
    """

    def __init__(
        self,
        spec: AgentSpec,
        *,
        said: Sequence[Item] | None = None,
        before: ChatContext | None = None,
        facts: Sequence[Fact] = (),
        tools: Sequence[SdkTool] = (),
        models: Mapping[str, Any] | None = None,
        equipped: asyncio.Event | None = None,
        audio: Callable[[str], AsyncIterator[rtc.AudioFrame] | None] = none_made,
        purse: Purse | None = None,
    ) -> None:
        context = _context(said or ())
        if before is not None:
            context = before.copy(exclude_instructions=True, exclude_handoff=True)
        context.insert([message_of(fact) for fact in facts])
        super().__init__(
            instructions=spec.instructions,
            id=spec.name,
            chat_ctx=context,
            tools=list(tools),
            **(models or {}),
        )
        self.title = spec.title
        self._sentence = spec.greeting if said is None else spec.resume_sentence
        self._audio = audio
        self._equipped = equipped
        #: Somebody else has the conversation.
        self._relieved = asyncio.Event()
        self._purse = purse
        self._options = spec.llm
        self._consent = consent_owed(spec, said) if before is None else None
        last = said[-1] if said else None
        #: The user's last words were not answered, or not to the end: whoever was to was lost.
        owes = last is not None and (last.role in {"user", "tool"} or last.lost)
        broke_off = last is not None and last.lost and last.role == "assistant"
        self._go_on = GO_ON if broke_off else NOT_GIVEN
        # Whoever is handed a conversation says something.
        self._owes_answer = owes or (before is not None and not spec.greeting)
        #: It has the conversation, and its first words are on their way, or wait for its tools.
        self.entered = asyncio.Event()
        #: That the caller is recorded; None: there is nothing to be told.
        self.consent: SpeechHandle | None = None

    async def on_enter(self) -> None:
        # Runs while the room is still being joined, so the words are ready when the caller is.
        if self._consent:
            # Whoever is recorded is told so, whatever they say meanwhile.
            self.consent = self.session.say(self._consent, allow_interruptions=False)
        if self._sentence:
            audio = self._audio(self._sentence)
            self.session.say(self._sentence, audio=NOT_GIVEN if audio is None else audio)
        self.entered.set()
        if self._owes_answer:
            await self._tools_are_there()
        if self._owes_answer:
            self.session.generate_reply(instructions=self._go_on)

    async def on_exit(self) -> None:
        self.hush()
        self._relieved.set()

    def hush(self) -> None:
        """The answer that it owed when it came is wanted no more, if it has not begun."""
        self._owes_answer = False

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        await self._tools_are_there()
        await super().on_user_turn_completed(turn_ctx, new_message)

    async def _tools_are_there(self) -> None:
        """Return then, or once somebody else has the conversation."""
        if self._equipped is None or self._equipped.is_set():
            return
        waits = [asyncio.create_task(each.wait()) for each in (self._equipped, self._relieved)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def llm_node(
        self, chat_ctx: ChatContext, tools: list[Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[ChatChunk | str | FlushSentinel, None]:
        """Ask the language model, unless the session has used up what it may use."""
        purse = self._purse
        if purse is not None and purse.used_up() is not None:
            return
        asked = results_last(chat_ctx)
        with nullcontext() if purse is None else purse.call(self._options, asked) as call:
            # Closed at once when it is interrupted, so that its use is counted, and no more of it.
            async with aclosing(
                Agent.default.llm_node(self, asked, tools, model_settings)
            ) as answer:
                async for chunk in answer:
                    if call is not None:
                        call.heard(chunk)
                    yield chunk

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Speak, without the silence that the voice begins with."""
        async with (
            aclosing(Agent.default.tts_node(self, text, model_settings)) as frames,
            aclosing(from_first_sound(frames)) as sounding,
        ):
            async for frame in sounding:
                yield frame


def consent_owed(spec: AgentSpec, said: Sequence[Item] | None) -> str | None:
    """What the caller is still to be told of being recorded; None: nothing.

    An agent that takes over tells it if the lost one had not come to the end of it.
    """
    consent = spec.recording.consent if spec.record == "audio" else None
    if consent is None:
        return None
    kept = (redacted(consent) if spec.redact else consent).split()
    told = any(
        item.role == "assistant" and not item.interrupted and item.text.split() == kept
        for item in said or ()
    )
    return None if told else consent


def message_of(fact: Fact) -> ChatMessage:
    """As the model reads it: no word of anybody's, so that transcripts do not have it."""
    return ChatMessage(id=fact.id, role="system", content=[fact.text], created_at=fact.at)


def results_last(said: ChatContext) -> ChatContext:
    """The conversation with what the agent said while a tool ran put before that tool's use.

    A filler would otherwise be the last word, and the model has nothing to add to it.
    """
    items = list(said.items)
    for output in [item for item in items if item.type == "function_call_output"]:
        end = items.index(output)
        start = next(
            (
                place
                for place, item in enumerate(items[:end])
                if item.type == "function_call" and item.call_id == output.call_id
            ),
            end,
        )
        during = items[start:end]
        fillers = [each for each in during if each.type == "message" and each.role == "assistant"]
        items[start:end] = [*fillers, *(each for each in during if each not in fillers)]
    return ChatContext(items)


def _context(said: Sequence[Item]) -> ChatContext:
    context = ChatContext.empty()
    for item in said:
        if item.role == "tool":
            if item.tool is not None:
                context.items.extend(_tool_use(item, item.tool))
            continue
        context.add_message(
            role=item.role,
            content=item.text,
            id=item.id,
            interrupted=item.interrupted,
            created_at=item.at,
        )
    return context


def _tool_use(item: Item, tool: ToolUse) -> tuple[FunctionCall, FunctionCallOutput]:
    """So that whoever takes over does not do once more what was done."""
    call = FunctionCall(
        id=item.id,
        call_id=tool.call_id,
        name=tool.name,
        arguments=tool.arguments,
        created_at=item.at,
    )
    output = FunctionCallOutput(
        call_id=tool.call_id,
        name=tool.name,
        output=tool.output,
        is_error=tool.is_error,
        created_at=item.ended_at or item.at,
    )
    return call, output
