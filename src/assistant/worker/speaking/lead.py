"""The silence that a voice begins with, for which the caller would wait: it is left out.

Voices begin with up to 0.2 s in which nothing is heard. What is below -50 dBFS is taken for
silence, and the last of it is kept, so that no sound begins abruptly.
"""

from collections.abc import AsyncGenerator, AsyncIterable

import numpy as np
from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString
from livekit.agents.utils import is_given

QUIET_LEVEL = 100
KEPT_LEAD_S = 0.005
#: Of a longer silence the rest is meant.
MAX_CUT_S = 0.5
SAMPLE_BYTES = 2


def without_lead(samples: bytes, rate: int, channels: int) -> bytes:
    """The samples from just before the first that is heard; what is silent for long keeps the rest.

    `channels` samples at `rate` are one moment's.
    """
    size = channels * SAMPLE_BYTES
    quiet = _quiet(samples[: round(rate * MAX_CUT_S) * size], channels)
    return samples[max(quiet - round(rate * KEPT_LEAD_S), 0) * size :]


async def from_first_sound(
    frames: AsyncIterable[rtc.AudioFrame],
) -> AsyncGenerator[rtc.AudioFrame]:
    """What a voice says, without its lead; the times of its words count from the new beginning."""
    cut_s, is_heard = 0.0, False
    silent: rtc.AudioFrame | None = None
    words: list[str] = []
    async for frame in frames:
        words += frame.userdata.pop(USERDATA_TIMED_TRANSCRIPT, None) or ()
        said = frame
        if not is_heard:
            rate, length = frame.sample_rate, frame.samples_per_channel
            most = min(round((MAX_CUT_S - cut_s) * rate), length)
            quiet = min(_quiet(bytes(frame.data), frame.num_channels), most)
            is_heard = quiet < length
            if is_heard:
                quiet = max(quiet - round(rate * KEPT_LEAD_S), 0)
                said = _without(frame, quiet)
            cut_s += quiet / rate
        if not is_heard:
            silent = frame
            continue
        if words:
            said.userdata[USERDATA_TIMED_TRANSCRIPT] = [_earlier(word, cut_s) for word in words]
            words = []
        yield said
    if not is_heard and silent is not None:
        # Words may have been told, and an answer without any sound is taken for a failure.
        silent.userdata[USERDATA_TIMED_TRANSCRIPT] = words
        yield silent


def _quiet(samples: bytes, channels: int) -> int:
    """How many moments pass before the first sound."""
    values = np.frombuffer(samples, dtype="<i2")
    loud = np.flatnonzero(np.abs(values.astype(np.int32)) > QUIET_LEVEL)
    return (int(loud[0]) if loud.size else values.size) // channels


def _without(frame: rtc.AudioFrame, moments: int) -> rtc.AudioFrame:
    return rtc.AudioFrame(
        bytes(frame.data)[moments * frame.num_channels * SAMPLE_BYTES :],
        frame.sample_rate,
        frame.num_channels,
        frame.samples_per_channel - moments,
        userdata=frame.userdata,
    )


def _earlier(word: str, cut_s: float) -> str:
    if not isinstance(word, TimedString):
        return word
    start_s, end_s = word.start_time, word.end_time
    return TimedString(
        str(word),
        start_time=max(start_s - cut_s, 0.0) if is_given(start_s) else start_s,
        end_time=max(end_s - cut_s, 0.0) if is_given(end_s) else end_s,
    )
