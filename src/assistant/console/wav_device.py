"""A device that is no hardware: files are its microphone, and what it plays can be kept."""

import asyncio
import time
import wave
from pathlib import Path

import numpy as np

from assistant.console.errors import FileNotWrittenError
from assistant.console.line import FRAME_SAMPLES, RATE_HZ, Line
from assistant.rehearsal.speech import Speech
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ, Samples, resample

FRAME_S = FRAME_SAMPLES / RATE_HZ
MAX_KEPT_S = 1800.0  # 86 MB; what comes later is not kept


class WavDevice:
    """Plays silence into the line until it is told to say something, at the pace of real time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ahead: Samples = np.zeros(0, dtype=np.int16)
        self._said = asyncio.Event()
        self._played: list[Samples] = []

    async def say(self, speech: Speech) -> None:
        """Return when the last sample has gone into the line."""
        samples = resample(speech.samples, from_hz=SAMPLE_RATE_HZ, to_hz=RATE_HZ)
        self._ahead = np.pad(samples, (0, -samples.size % FRAME_SAMPLES))
        self._said.clear()
        await self._said.wait()

    async def run(self) -> None:
        """Exchange a frame every 10 ms until cancelled."""
        due = time.monotonic()
        silence = np.zeros(FRAME_SAMPLES, dtype=np.int16)
        while True:
            heard, self._ahead = self._ahead[:FRAME_SAMPLES], self._ahead[FRAME_SAMPLES:]
            played = self._line.exchange(heard if heard.size else silence)
            if len(self._played) * FRAME_S < MAX_KEPT_S:
                self._played.append(played)
            if not self._ahead.size:
                self._said.set()
            due += FRAME_S
            await asyncio.sleep(max(due - time.monotonic(), 0))

    def keep(self, path: Path) -> None:
        """Write what was played, from the beginning.

        Raises:
            FileNotWrittenError: the file cannot be written.
        """
        try:
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes(np.concatenate(self._played).astype("<i2").tobytes())
        except OSError as error:
            raise FileNotWrittenError(str(path), error.strerror or str(error)) from error
