"""Tells whoever watches a conversation what is being said, before it is said to its end."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    UserInputTranscribedEvent,
)
from livekit.agents.llm import ChatMessage
from livekit.agents.tts._provider_format import strip_all_markup
from livekit.agents.voice import io

from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.words import WordsChannel
from assistant.sessions.words import MAX_WORDS_CHARS, Words
from assistant.worker.record.teller import Teller

EVERY_S = 0.25  # Faster than anybody reads, and slower than words come.
# Nobody watches: so seldom words are told nevertheless, to learn whether somebody does now.
LOOK_EVERY_S = 2.0
MAX_WAITING = 8  # Lines whose last state is still to be told; both sides have one at a time.


class Line:
    """What one side is saying, until it is an item; then the next line begins. Pure."""

    def __init__(self, role: str, attempt: int) -> None:
        self._role = role
        self._attempt = attempt
        self._n = 1
        self._said = ""
        self._interim = ""
        self._in_part = False
        self._late = False

    def heard(self, text: str, *, final: bool) -> Words | None:
        """A recognizer's word: of what comes behind its last final one."""
        if final:
            self._said, self._interim = f"{self._said} {text}".strip(), ""
        else:
            self._interim = text
        return self._told(f"{self._said} {self._interim}")

    def spoken(self, text: str) -> Words | None:
        """More of the agent's words; what is late for its item is in the item."""
        self._in_part = True
        if self._late:
            return None
        self._said += text
        return self._told(strip_all_markup(self._said))

    def part_over(self) -> None:
        """A part of the answer was spoken; the next word begins another one."""
        self._in_part = self._late = False

    def became(self, item: str | None) -> Words | None:
        """The line is over; None: nothing became of it."""
        text = f"{self._said} {self._interim}" if self._role == "user" else self._said
        told = self._told(strip_all_markup(text), item) if text.strip() else None
        self._late = self._in_part
        self._said, self._interim = "", ""
        self._n += told is not None
        if told is None or item is not None:
            return told
        return Words(
            id=told.id, role=told.role, text="", item=None, attempt=told.attempt, at=told.at
        )

    def _told(self, text: str, item: str | None = None) -> Words | None:
        text = text.strip()
        if not text:
            return None
        if len(text) > MAX_WORDS_CHARS:
            text = f"…{text[1 - MAX_WORDS_CHARS :]}"
        return Words(
            id=f"{self._role}-{self._attempt}-{self._n}",
            role=self._role,
            text=text,
            item=item,
            attempt=self._attempt,
            at=time.time(),
        )


class LiveWords:
    """Follows one conversation; nothing but `run` ever waits, and what it misses is missed.

    Nothing is told of a conversation whose words may not be told, or only redacted.
    """

    def __init__(self, channel: WordsChannel, teller: Teller) -> None:
        self._channel = channel
        self._teller = teller
        self._lines = {role: Line(role, teller.attempt) for role in ("user", "assistant")}
        self._waiting: dict[str, Words] = {}
        self._news = asyncio.Event()
        self._heard: Callable[[str], None] = lambda _text: None
        #: Takes the agent's words as they are heard.
        self.spoken: io.TextOutput = _Spoken(self)

    def follow(self, conversation: AgentSession[Any], heard: Callable[[str], None]) -> None:
        """`heard` is called with the agent's words, of which there is no item yet."""
        self._heard = heard
        conversation.on("user_input_transcribed", self._on_heard)
        conversation.on("conversation_item_added", self._on_item)
        conversation.on("agent_state_changed", self._on_agent_state)

    async def run(self) -> None:
        """Tell until cancelled."""
        is_watched = False
        while True:
            await self._news.wait()
            self._news.clear()
            told = list(self._waiting.values())
            self._waiting.clear()
            try:
                for words in told if is_watched else told[-1:]:
                    is_watched = await self._channel.publish(self._teller.session_id, words) > 0
            except StoreUnavailableError:
                is_watched = False
            await asyncio.sleep(EVERY_S if is_watched else LOOK_EVERY_S)

    def say(self, text: str) -> None:
        words = self._lines["assistant"].spoken(text)
        if words is not None:
            self._heard(text)
        self._put(words)

    def part_over(self) -> None:
        self._lines["assistant"].part_over()

    def _on_heard(self, event: UserInputTranscribedEvent) -> None:
        self._put(self._lines["user"].heard(event.transcript, final=event.is_final))

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        item = event.item
        if isinstance(item, ChatMessage) and item.role in self._lines:
            self._put(self._lines[item.role].became(item.id if item.text_content else None))

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.old_state == "speaking":
            # Its item came before, if there is one.
            self._put(self._lines["assistant"].became(None))

    def _put(self, words: Words | None) -> None:
        if words is None or not self._teller.discretion.tells_live:
            return
        self._waiting.pop(words.id, None)
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[words.id] = words
        self._news.set()


class _Spoken(io.TextOutput):
    """Behind the room's own output of the agent's words, which paces them by the voice."""

    def __init__(self, words: LiveWords) -> None:
        super().__init__(label="LiveWords", next_in_chain=None)
        self._words = words

    async def capture_text(self, text: str) -> None:
        self._words.say(text)

    def flush(self) -> None:
        self._words.part_over()
