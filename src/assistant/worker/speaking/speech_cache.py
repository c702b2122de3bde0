"""Speech that was made before: greetings and apologies, in a folder that all job processes share.

A sentence is made once for each voice, and found again by every later conversation.
"""

import asyncio
import hashlib
import os
import tempfile
import wave
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, tts

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.worker.speaking.lead import SAMPLE_BYTES, without_lead

MAX_FILES = 500  # Some 200 kB each.
MAX_SPEECH_S = 60.0
MAKE_TIMEOUT_S = 30.0
FRAME_S = 0.02
# Longer than the 0.2 s that the room's own output holds ready, so that it never waits for us.
LEAD_S = 0.4
# Nobody waits for it: whoever wants it made tries again later.
_ASKED_ONCE = APIConnectOptions(max_retry=0)

_log = log.get(__name__)


class SpeechCache:
    """`folder` is made when it is first written to; one that cannot be is no cache."""

    def __init__(self, folder: Path, *, endpoint: str) -> None:
        self._folder = folder
        self._endpoint = endpoint

    def find(self, spec: AgentSpec, text: str) -> list[rtc.AudioFrame] | None:
        """What was made of `text` in the agent's voice; None: nothing yet."""
        path = self._path(spec, text)
        try:
            with wave.open(str(path), "rb") as file:
                rate, channels = file.getframerate(), file.getnchannels()
                if file.getnframes() > rate * MAX_SPEECH_S or file.getsampwidth() != SAMPLE_BYTES:
                    return None
                samples = file.readframes(file.getnframes())
            os.utime(path)  # The oldest by use goes first.
        except (OSError, EOFError, wave.Error):
            return None
        samples = without_lead(samples, rate, channels)
        step = round(rate * FRAME_S) * channels * SAMPLE_BYTES
        return [
            rtc.AudioFrame(piece, rate, channels, len(piece) // (channels * SAMPLE_BYTES))
            for start in range(0, len(samples), step)
            if (piece := samples[start : start + step])
        ]

    def has(self, spec: AgentSpec, text: str) -> bool:
        return self._path(spec, text).exists()

    async def make(self, spec: AgentSpec, text: str, voice: tts.TTS[Any]) -> bool:
        """Have `text` spoken into the cache, unless it is there; `voice` is the agent's own.

        Never raises for a vendor: False, it is not there.
        """
        if self.has(spec, text):
            return True
        try:
            async with (
                asyncio.timeout(MAKE_TIMEOUT_S),
                voice.synthesize(text, conn_options=_ASKED_ONCE) as stream,
            ):
                frames = [said.frame async for said in stream]
        except Exception as error:  # noqa: BLE001 - whatever a vendor does, the talk goes on
            _log.warning("speech_cache.not_made", agent=spec.name, kind=type(error).__name__)
            return False
        if frames:
            try:
                await asyncio.to_thread(self._write, self._path(spec, text), frames)
            except OSError as error:
                _log.warning("speech_cache.not_written", error=error.strerror)
        return self.has(spec, text)

    def _write(self, path: Path, frames: list[rtc.AudioFrame]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as raw, wave.open(raw, "wb") as file:
                file.setnchannels(frames[0].num_channels)
                file.setsampwidth(SAMPLE_BYTES)
                file.setframerate(frames[0].sample_rate)
                file.writeframes(b"".join(bytes(frame.data) for frame in frames))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        kept = sorted(self._folder.glob("*.wav"), key=lambda found: found.stat().st_mtime)
        for oldest in kept[:-MAX_FILES]:
            with suppress(OSError):
                oldest.unlink()

    def _path(self, spec: AgentSpec, text: str) -> Path:
        # Everything that changes how it sounds.
        voice = spec.tts.model_dump_json()
        return self._folder / (_digest(self._endpoint, voice, text) + ".wav")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


async def played(frames: list[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
    """The frames, as the SDK takes the audio of a sentence, at most LEAD_S ahead of the ear.

    All at once, they would be measured for the transcript before the first of them is sent, which
    stops the loop for 20 ms a second of speech while the caller waits for the first word.
    """
    loop = asyncio.get_running_loop()
    taken_at: float | None = None
    given_s = 0.0
    for frame in frames:
        yield frame
        # The first one is taken when somebody listens.
        taken_at = loop.time() if taken_at is None else taken_at
        given_s += frame.duration
        ahead_s = given_s - (loop.time() - taken_at)
        if ahead_s > LEAD_S:
            await asyncio.sleep(ahead_s - LEAD_S)
