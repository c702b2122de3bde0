"""The sentence for a caller whose answer does not come, without a room to send it to."""

import asyncio
from collections.abc import Callable

import numpy as np
from livekit import rtc

from assistant.console.line import RATE_HZ, Aside
from assistant.rehearsal.waveform import Samples, resample

LOOK_S = 0.02


class PlayedApology:
    """`frames` as for `SpokenApology`; heard beside the answer, which holds the mouth."""

    def __init__(self, aside: Aside, frames: Callable[[], list[rtc.AudioFrame] | None]) -> None:
        self._aside = aside
        self._frames = frames

    def is_ready(self) -> bool:
        return bool(self._frames())

    async def tell(self, is_waited: Callable[[], bool]) -> None:
        frames = self._frames()
        if not frames:
            return
        self._aside.put(_samples(frames))
        while self._aside.is_playing:
            if not is_waited():
                self._aside.clear()
            await asyncio.sleep(LOOK_S)


class ShownApology:
    """`show` has the sentence read."""

    def __init__(self, sentence: str | None, show: Callable[[str], None]) -> None:
        self._sentence = sentence
        self._show = show

    def is_ready(self) -> bool:
        return bool(self._sentence)

    async def tell(self, is_waited: Callable[[], bool]) -> None:
        if self._sentence and is_waited():
            self._show(self._sentence)


def _samples(frames: list[rtc.AudioFrame]) -> Samples:
    """All of them at the line's rate, in one channel."""
    sound = np.concatenate([np.frombuffer(frame.data, dtype="<i2") for frame in frames])
    one: Samples = sound.reshape(-1, frames[0].num_channels)[:, 0]
    return resample(one, from_hz=frames[0].sample_rate, to_hz=RATE_HZ)
