"""The agent that talks: its instructions, what was said so far, and its first words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import NOT_GIVEN, Agent, ChatContext
from livekit.agents.llm import ChatMessage, FunctionCall, FunctionCallOutput
from livekit.agents.voice import SpeechHandle

from assistant.catalog.agent import AgentSpec
from assistant.sessions.direction import Fact
from assistant.sessions.item import Item, ToolUse
from assistant.worker.tools.calling import SdkTool


def none_made(_text: str) -> None:
    return None


class Assistant(Agent):
    """One agent of agents.yaml in one conversation.

    `said` is what was said before it came in place of a lost one; `before` is the conversation
    that another agent handed over; None for both: it begins, and greets. `facts` are what a
    backend told the model meanwhile. `audio` gives a sentence that was spoken before, None: it must
    be spoken now. `models` are those of its own, by stage.
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
        audio: Callable[[str], AsyncIterator[rtc.AudioFrame] | None] = none_made,
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
        self._sentence = spec.greeting if said is None else spec.resume_sentence
        self._audio = audio
        recorded = said is None and before is None and spec.recording.enabled
        self._consent = spec.recording.consent if recorded else None
        last = said[-1] if said else None
        #: The user's last words were not answered: the one who was to answer them was lost.
        owes = last is not None and last.role in {"user", "tool"}
        # Whoever is handed a conversation says something.
        self._owes_answer = owes or (before is not None and not spec.greeting)
        #: It has the conversation, and its first words are on their way.
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
        if self._owes_answer:
            self.session.generate_reply()
        self.entered.set()


def message_of(fact: Fact) -> ChatMessage:
    """As the model reads it: no word of anybody's, so that transcripts do not have it."""
    return ChatMessage(id=fact.id, role="system", content=[fact.text], created_at=fact.at)


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
