"""One synthesis context: buffers text, speaks it in order, can be cancelled at any moment."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.local_stack.stand_ins.faults import FaultPlayer
from assistant.local_stack.stand_ins.pcm import wav
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.local_stack.stand_ins.speech import SpokenWord
from assistant.local_stack.stand_ins.speech_request import VoiceConfig, sentences
from assistant.local_stack.stand_ins.synthesizer import Synthesizer
from assistant.local_stack.stand_ins.voices import Voice

#: Audio in one message.
CHUNK_S = 0.2
#: Text messages waiting to be spoken; an agent's turn has a few dozen at most.
MAX_QUEUE = 1_000


@dataclass(frozen=True)
class Chunk:
    """A piece of audio in the client's encoding, and its timestamps where they were asked for."""

    audio: str
    timestamps: dict[str, Any] | None

    def as_json(self, model_id: str, chars: int) -> dict[str, Any]:
        usage = {"processedCharactersCount": chars, "modelId": model_id}
        body: dict[str, Any] = {"audioContent": self.audio, "usage": usage}
        return body if self.timestamps is None else {**body, "timestampInfo": self.timestamps}


def timestamp_info(words: Sequence[SpokenWord], kind: str, offset_s: float) -> dict[str, Any]:
    """The vendor's alignment of `words`, moved by `offset_s`."""
    if kind == "WORD":
        return {
            "wordAlignment": {
                "words": [word.text for word in words],
                "wordStartTimeSeconds": [round(offset_s + word.start_s, 3) for word in words],
                "wordEndTimeSeconds": [round(offset_s + word.end_s, 3) for word in words],
            }
        }
    characters, starts, ends = [], [], []
    for word in words:
        each_s = (word.end_s - word.start_s) / len(word.text)
        for index, character in enumerate(word.text):
            characters.append(character)
            starts.append(round(offset_s + word.start_s + index * each_s, 3))
            ends.append(round(offset_s + word.start_s + (index + 1) * each_s, 3))
    return {
        "characterAlignment": {
            "characters": characters,
            "characterStartTimeSeconds": starts,
            "characterEndTimeSeconds": ends,
        }
    }


async def speak(
    text: str,
    *,
    config: VoiceConfig,
    voice: Voice,
    synthesizer: Synthesizer,
    settings: StandInSettings,
    arrived: float,
) -> AsyncIterator[Chunk]:
    """Speak `text`, which arrived at that monotonic time: sentence by sentence, at the set pace.

    Raises:
        SynthesisError: the engine gives no audio.
    """
    rate = config.audio.rate
    wants_times = config.timestamps in ("WORD", "CHARACTER")
    due = arrived + settings.tts_ttfb_s
    offset_s = 0.0
    for sentence in sentences(text):
        speech = await synthesizer.speak(
            sentence, voice, rate=rate, speaking_rate=config.audio.speaking_rate
        )
        step = int(CHUNK_S * rate)
        for start in range(0, len(speech.samples), step):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            piece = speech.samples[start : start + step]
            due = time.monotonic() + len(piece) / rate / settings.tts_speed
            from_s, until_s = start / rate, (start + step) / rate
            words = [word for word in speech.words if from_s <= word.start_s < until_s]
            times = wants_times and words
            data = piece.tobytes()
            yield Chunk(
                base64.b64encode(
                    wav(data, rate) if config.audio.encoding == "LINEAR16" else data
                ).decode("ascii"),
                timestamp_info(words, config.timestamps, offset_s) if times else None,
            )
        offset_s += speech.duration_s


class SpeechContext:
    """A context's queue of work and the task that does it.

    `send` writes one result to the client. Text is spoken at once in auto mode where the client
    has cut it into sentences; else it is buffered until a sentence is whole (SENTENCE_BOUNDARY),
    the buffer is long or old enough, or it is flushed.
    """

    def __init__(
        self,
        config: VoiceConfig,
        voice: Voice,
        *,
        synthesizer: Synthesizer,
        settings: StandInSettings,
        fault: FaultPlayer,
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._config = config
        self._voice = voice
        self._synthesizer = synthesizer
        self._settings = settings
        self._fault = fault
        self._send = send
        self._work: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue(MAX_QUEUE)
        self._buffer = ""
        self._buffered_at = 0.0

    def put_text(self, text: str) -> None:
        self._work.put_nowait(("text", text, time.monotonic()))

    def put_flush(self) -> None:
        self._work.put_nowait(("flush", "", time.monotonic()))

    def put_close(self) -> None:
        self._work.put_nowait(("close", "", time.monotonic()))

    async def run(self) -> None:
        """Until the context is closed; the closing is announced by the caller.

        Raises:
            FaultFailedError, FaultClosedError: as ordered.
            SynthesisError: the engine gives no audio.
        """
        while True:
            kind, text, arrived = await self._next()
            if kind == "text":
                await self._take(text, arrived)
            elif kind == "flush":
                await self._speak_buffer(arrived)
                await self._fault.step()
                await self._send({"flushCompleted": {}})
            else:
                await self._speak_buffer(arrived)
                return

    async def _next(self) -> tuple[str, str, float]:
        limit_ms = self._config.max_buffer_delay_ms
        if not self._buffer or not limit_ms:
            return await self._work.get()
        left_s = self._buffered_at + limit_ms / 1000 - time.monotonic()
        try:
            return await asyncio.wait_for(self._work.get(), max(0.0, left_s))
        except TimeoutError:
            return "text", "", time.monotonic()

    async def _take(self, text: str, arrived: float) -> None:
        if not self._buffer:
            self._buffered_at = arrived
        self._buffer += text
        config = self._config
        limit_ms = config.max_buffer_delay_ms
        old = bool(limit_ms) and time.monotonic() - self._buffered_at >= limit_ms / 1000
        whole = config.auto_mode and config.auto_mode_strategy == "CLIENT_SEGMENTED"
        if whole or old or len(self._buffer) >= config.buffer_char_threshold:
            await self._speak_buffer(arrived)
        elif config.auto_mode:
            *finished, rest = sentences(self._buffer + " ") or [""]
            if rest[-1:] in (".", "!", "?", "…"):
                finished, rest = [*finished, rest], ""
            if finished:
                self._buffer = " ".join(finished)
                await self._speak_buffer(arrived)
                self._buffer, self._buffered_at = rest, arrived

    async def _speak_buffer(self, arrived: float) -> None:
        text, self._buffer = self._buffer, ""
        if not text.strip():
            return
        async for chunk in speak(
            text,
            config=self._config,
            voice=self._voice,
            synthesizer=self._synthesizer,
            settings=self._settings,
            arrived=arrived,
        ):
            await self._fault.step()
            await self._send({"audioChunk": chunk.as_json(self._config.model_id, len(text))})
        if self._config.auto_mode:
            # The generation is over: the next one's timestamps start from zero again.
            await self._fault.step()
            await self._send({"flushCompleted": {}})
