"""The arithmetic that decides when a waveform is audible."""

import numpy as np
import pytest

from assistant.rehearsal.waveform import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Frame,
    Samples,
    SoundTracker,
    audible_range,
    is_audible,
    mix,
    resample,
    rms,
)


def tone(samples: int, *, amplitude: float = 8000, rate: int = SAMPLE_RATE_HZ) -> Samples:
    wave = amplitude * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
    return wave.astype(np.int16)


LOUD = tone(FRAME_SAMPLES)
QUIET = np.zeros(FRAME_SAMPLES, dtype=np.int16)


def feed(tracker: SoundTracker, pattern: str, *, start: float = 100.0) -> list[bool]:
    """Feeds 10 ms frames, `#` loud and `.` quiet."""
    return [
        tracker.feed(LOUD if mark == "#" else QUIET, start + at * FRAME_S)
        for at, mark in enumerate(pattern)
    ]


def test_loudness_is_the_root_mean_square() -> None:
    """A sine's RMS is its amplitude over the square root of two; nothing has none."""
    assert rms(tone(SAMPLE_RATE_HZ)) == pytest.approx(8000 / np.sqrt(2), rel=0.01)
    assert rms(np.zeros(0, dtype=np.int16)) == 0.0


def test_faint_noise_is_not_audible() -> None:
    """What Opus makes of silence must not count as an answer."""
    noise = np.random.default_rng(1).normal(0, 20, FRAME_SAMPLES).astype(np.int16)
    assert not is_audible(noise)
    assert is_audible(tone(FRAME_SAMPLES, amplitude=1000))


@pytest.mark.parametrize("tail", [0, 100, FRAME_SAMPLES])
def test_audible_range_finds_both_ends(tail: int) -> None:
    """Silence around speech is not part of it, also where a recording ends inside a frame."""
    samples = np.concatenate(
        [QUIET, QUIET, tone(3 * FRAME_SAMPLES), np.zeros(tail, dtype=np.int16)]
    )
    assert audible_range(samples) == (2 * FRAME_SAMPLES, 5 * FRAME_SAMPLES)
    assert audible_range(QUIET) is None
    assert audible_range(np.zeros(0, dtype=np.int16)) is None


def test_a_sound_begins_with_its_first_audible_frame() -> None:
    """It is reported once it is no click, but dated from its first frame."""
    tracker = SoundTracker()
    assert feed(tracker, "...###...") == [False] * 4 + [True] + [False] * 4
    (sound,) = tracker.sounds
    assert sound.started == pytest.approx(100.03)
    assert sound.ended == pytest.approx(100.06)


def test_a_click_is_no_sound() -> None:
    """One loud frame alone is not speech."""
    tracker = SoundTracker()
    feed(tracker, "..#....#..")
    assert not tracker.sounds


def test_close_sounds_are_one_and_distant_ones_two() -> None:
    """Gaps between syllables do not end a sound, pauses between phrases do."""
    tracker = SoundTracker()
    feed(tracker, "##" + "." * 15 + "##" + "." * 30 + "##")
    assert [round(s.started, 2) for s in tracker.sounds] == [100.0, 100.49]
    assert tracker.sounds[0].ended == pytest.approx(100.19)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_resampling_keeps_length_and_pitch(rate: int) -> None:
    """A tone stays the same tone at any rate."""
    resampled = resample(tone(rate, rate=rate), from_hz=rate, to_hz=SAMPLE_RATE_HZ)
    assert resampled.size == SAMPLE_RATE_HZ
    assert np.argmax(np.abs(np.fft.rfft(resampled))) == 440
    assert rms(resampled) == pytest.approx(8000 / np.sqrt(2), rel=0.02)


def test_resampling_down_filters_what_does_not_fit() -> None:
    """A tone above half of the new rate vanishes instead of becoming another tone."""
    high = (8000 * np.sin(2 * np.pi * 10_000 * np.arange(48_000) / 48_000)).astype(np.int16)
    assert rms(resample(high, from_hz=48_000, to_hz=16_000)) < 10


def frames(samples: Samples, *, start: float, jitter: tuple[float, ...] = (0.0,)) -> list[Frame]:
    return [
        Frame(
            samples[at : at + FRAME_SAMPLES],
            start + at / SAMPLE_RATE_HZ + jitter[at // FRAME_SAMPLES % len(jitter)],
        )
        for at in range(0, samples.size, FRAME_SAMPLES)
    ]


def test_mixing_does_not_tear_jittering_frames() -> None:
    """Frames that the loop delivered late still join without a gap."""
    samples = tone(20 * FRAME_SAMPLES)
    late = frames(samples, start=5.0, jitter=(0.0, 0.004, 0.03, 0.001))
    assert np.array_equal(mix([late], since=5.0, until=5.2), samples)


def test_mixing_keeps_pauses_and_adds_tracks() -> None:
    """A pause in a stream stays a pause; two tracks at once are added without overflow."""
    early = frames(LOUD, start=1.0)
    mixed = mix([early + frames(LOUD, start=1.5), frames(LOUD, start=1.5)], since=1.0, until=1.6)
    half = round(0.5 * SAMPLE_RATE_HZ)
    assert np.array_equal(mixed[:FRAME_SAMPLES], LOUD)
    assert not mixed[FRAME_SAMPLES:half].any()
    assert np.array_equal(mixed[half : half + FRAME_SAMPLES], 2 * LOUD)
    full = np.full(FRAME_SAMPLES, 30_000, dtype=np.int16)
    assert mix([[Frame(full, 0.0)]] * 2, since=0.0, until=0.01).max() == 32_767
    assert mix([early], since=2.0, until=1.0).size == 0
