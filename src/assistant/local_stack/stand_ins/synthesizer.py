"""Text to speech at the rate that a client asked for, with a bounded memory of sentences."""

import asyncio
from collections import OrderedDict
from typing import Literal, Protocol

from assistant.local_stack.stand_ins import espeak, flite
from assistant.local_stack.stand_ins.errors import EngineMissingError
from assistant.local_stack.stand_ins.pcm import resample, trim
from assistant.local_stack.stand_ins.speech import SILENCE, Speech, SpokenWord
from assistant.local_stack.stand_ins.voices import DEFAULT_VOICE, VOICES, Voice

#: Remembered audio: greetings and set answers come again and again, above all under load. About
#: twelve minutes at 24 kHz.
MAX_CACHE_BYTES = 32 << 20


class Engine(Protocol):
    name: str

    async def speak(self, text: str, voice: Voice, speaking_rate: float) -> Speech:
        """Raises: SynthesisError, where there is no usable audio."""


def choose_engine(wanted: Literal["auto", "flite", "espeak"]) -> Engine:
    """Raises: EngineMissingError, where nothing can speak."""
    if wanted == "flite" or (wanted == "auto" and flite.installed()):
        if not flite.installed():
            raise EngineMissingError("flite", "install the Debian package flite")
        return flite.FliteEngine()
    return espeak.EspeakEngine()


def _fit(raw: Speech, rate: int) -> Speech:
    """Without padding, at `rate`; the last word lasts until the end, as clients take its end for
    the length of what they heard.
    """
    samples, cut_s = trim(raw.samples, raw.rate)
    samples = resample(samples, raw.rate, rate)
    end_s = len(samples) / rate
    words = [
        SpokenWord(
            word.text,
            round(min(end_s, max(0.0, word.start_s - cut_s)), 3),
            round(min(end_s, max(0.0, word.end_s - cut_s)), 3),
        )
        for word in raw.words
    ]
    if words:
        words[-1] = SpokenWord(words[-1].text, words[-1].start_s, round(end_s, 3))
    return Speech(samples, rate, tuple(words))


class Synthesizer:
    """Speaks sentences with one engine."""

    def __init__(self, wanted: Literal["auto", "flite", "espeak"]) -> None:
        self._engine = choose_engine(wanted)
        self._cache: OrderedDict[tuple[str, str, float, int], Speech] = OrderedDict()
        self._cached_bytes = 0

    @property
    def engine_name(self) -> str:
        return self._engine.name

    async def start(self) -> None:
        """Speak once, so that program, voice and resampler are in memory.

        Raises:
            SynthesisError: the engine is there but does not speak.
        """
        await self.speak("Ready.", VOICES[DEFAULT_VOICE], rate=24_000)

    async def speak(
        self, text: str, voice: Voice, *, rate: int, speaking_rate: float = 1.0
    ) -> Speech:
        """Raises: SynthesisError, where the engine gives no audio."""
        key = (text, voice.voice_id, speaking_rate, rate)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        if any(character.isalnum() for character in text):
            raw = await self._engine.speak(text, voice, speaking_rate)
        else:
            raw = SILENCE
        speech = await asyncio.to_thread(_fit, raw, rate)
        self._remember(key, speech)
        return speech

    def _remember(self, key: tuple[str, str, float, int], speech: Speech) -> None:
        known = self._cache.pop(key, None)
        self._cached_bytes += speech.samples.nbytes - (known.samples.nbytes if known else 0)
        self._cache[key] = speech
        while self._cached_bytes > MAX_CACHE_BYTES:
            _, old = self._cache.popitem(last=False)
            self._cached_bytes -= old.samples.nbytes
