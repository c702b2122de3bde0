"""The fixed sentences of one conversation: heard from the cache, made for it when they are not."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import NOT_GIVEN, AgentSession
from livekit.agents.voice import SpeechHandle

from assistant.catalog.agent import AgentSpec
from assistant.settings import SpeechSettings
from assistant.worker.speaking.speech_cache import SpeechCache, played
from assistant.worker.speaking.voices import Voices

CACHE_NAME = "livekit-voice-assistant/speech"
# The first caller's greeting is on its way to the same vendor.
MAKE_AFTER_S = 2.0


class Sentences:
    """`spec` says which; `voice` makes those that nobody has made before; None: it is text only."""

    def __init__(self, spec: AgentSpec, settings: SpeechSettings, voice: Voices | None) -> None:
        self._spec = spec
        self._voice = voice
        self._cache = cache_for(spec, settings)

    def audio(self, text: str) -> AsyncIterator[rtc.AudioFrame] | None:
        """What was made of `text` before; None: it must be made while the caller waits."""
        frames = self.frames(text)
        return None if frames is None else played(frames)

    def frames(self, text: str | None) -> list[rtc.AudioFrame] | None:
        return self._cache.find(self._spec, text) if text else None

    def say(self, conversation: AgentSession[Any], text: str) -> SpeechHandle:
        """Have it said to its end, after what is being said; as it was made, if it was."""
        # Whoever was handed the conversation has a voice of their own.
        own_voice = conversation.current_agent.id == self._spec.name
        audio = self.audio(text) if own_voice and self._voice is not None else None
        return conversation.say(
            text, audio=NOT_GIVEN if audio is None else audio, allow_interruptions=False
        )

    async def make_missing(self) -> None:
        """Have made what the next caller, or this one in a moment, will need at once."""
        await asyncio.sleep(MAKE_AFTER_S)
        if self._voice is None:
            return
        # Under the first vendor's name nobody else's voice may be kept.
        voice = Voices(self._voice.vendors[:1], patience_s=self._voice.patience_s)
        try:
            for text in fixed_sentences(self._spec):
                await self._cache.make(self._spec, text, voice)
        finally:
            await voice.aclose()


def fixed_sentences(spec: AgentSpec) -> tuple[str, ...]:
    """What the agent says in the same words to everybody, the most urgent first."""
    # What holds one user's name is of no use to the next.
    own = () if spec.personal else (spec.greeting, spec.resume_sentence)
    warning = spec.limits.warning_sentence if spec.limits.warning_s is not None else None
    farewell = spec.budget.sentence if spec.budget.is_set else None
    said = (spec.dead_air.sentence, *own, warning, farewell)
    return tuple(dict.fromkeys(text for text in said if text))


def cache_for(spec: AgentSpec, settings: SpeechSettings) -> SpeechCache:
    # Another endpoint may sound otherwise under the same name of a voice.
    endpoint = settings.voice_url(spec.tts.provider) or ""
    return SpeechCache(cache_folder(settings), endpoint=endpoint)


def cache_folder(settings: SpeechSettings) -> Path:
    if settings.speech_cache:
        return Path(settings.speech_cache)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / CACHE_NAME
