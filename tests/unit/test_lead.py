"""A voice's first sound comes at once, and the times of its words with it."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString

from assistant.worker.speaking.lead import (
    KEPT_LEAD_S,
    MAX_CUT_S,
    from_first_sound,
    without_lead,
)

RATE = 16_000
CASES = [(0.0, 0.0), (0.003, 0.003), (0.1, 0.005), (MAX_CUT_S + 0.2, 0.205)]


def sentence(quiet_s: float, channels: int) -> bytes:
    """Noise that nobody hears, a second of sound, and noise again."""
    noise, word = b"\x30\x00" * channels, b"\x00\x80" * channels
    return noise * round(quiet_s * RATE) + word * RATE + noise * RATE


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("quiet_s", "left_s"), CASES)
def test_words_that_were_made_before_begin_with_their_sound(
    channels: int, quiet_s: float, left_s: float
) -> None:
    """Of the silence before it 5 ms are left, of a very long one what is beyond half a second."""
    said = sentence(quiet_s, channels)
    heard = without_lead(said, RATE, channels)
    assert said.endswith(heard)
    assert len(heard) == (round(left_s * RATE) + 2 * RATE) * 2 * channels


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("step_s", [0.01, 0.013, 0.05, 0.2, 5.0])
@pytest.mark.parametrize(("quiet_s", "left_s"), CASES)
async def test_words_that_are_being_made_begin_with_their_sound(
    channels: int, step_s: float, quiet_s: float, left_s: float
) -> None:
    """The same in pieces, each of which is passed on at once; no word is lost, none comes late."""
    said = sentence(quiet_s, channels)
    times = np.arange(0.0, quiet_s + 2.0, 0.15)
    heard = [each async for each in from_first_sound(pieces(said, channels, step_s, times))]
    samples = b"".join(bytes(each.data) for each in heard)
    assert said.endswith(samples)
    lead_s = len(samples) / (2 * channels * RATE) - 2.0
    # The little that is kept may lie in a piece that is gone.
    assert left_s - KEPT_LEAD_S - 1e-6 <= lead_s <= left_s + 1e-6
    words = [word for each in heard for word in each.userdata.get(USERDATA_TIMED_TRANSCRIPT, ())]
    assert [str(word) for word in words] == [f"w{number}" for number in range(len(times))]
    cut_s = quiet_s - lead_s
    assert [word.start_time for word in words] == pytest.approx(np.maximum(times - cut_s, 0.0))
    assert [word.end_time for word in words] == pytest.approx(np.maximum(times + 0.1 - cut_s, 0.0))


async def test_a_voice_that_makes_no_sound_keeps_its_words() -> None:
    """A sigh, or a voice that is broken: what it was to say is told, and something was said."""
    noise = b"\x30\x00" * round(0.2 * RATE)
    heard = [each async for each in from_first_sound(pieces(noise, 1, 0.05, (0.0, 0.15)))]
    (last,) = heard
    assert [str(word) for word in last.userdata[USERDATA_TIMED_TRANSCRIPT]] == ["w0", "w1"]


async def pieces(
    said: bytes, channels: int, step_s: float, times: Sequence[float] | np.ndarray
) -> AsyncIterator[rtc.AudioFrame]:
    """As a vendor sends them, each with the words that begin in it."""
    size = round(step_s * RATE) * 2 * channels
    left = [float(at_s) for at_s in times]
    told = 0
    for start in range(0, len(said), size):
        piece = said[start : start + size]
        end_s = (start + len(piece)) / (2 * channels * RATE)
        frame = rtc.AudioFrame(piece, RATE, channels, len(piece) // (2 * channels))
        is_last = start + size >= len(said)
        now = [at_s for at_s in left if at_s < end_s or is_last]
        left = left[len(now) :]
        if now:
            frame.userdata[USERDATA_TIMED_TRANSCRIPT] = [
                TimedString(f"w{number}", start_time=at_s, end_time=at_s + 0.1)
                for number, at_s in enumerate(now, start=told)
            ]
            told += len(now)
        yield frame
