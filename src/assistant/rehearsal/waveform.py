"""When a waveform is audible: pure arithmetic on samples and arrival times."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

SAMPLE_RATE_HZ = 48_000
FRAME_S = 0.01  # WebRTC's own frame; finer timing than this cannot be had from it
FRAME_SAMPLES = 480

# RMS of a 10 ms frame, about -44 dBFS: speech lies near -20, Opus' comfort noise below -70.
AUDIBLE_RMS = 200.0
# A click shorter than this is no speech.
MIN_SOUND_S = 0.02
# Words of one sentence are closer together than this, so that a sound is an utterance's
# phrase and not each syllable.
JOIN_S = 0.2
# About an hour of talk; a bound, not a limit that a call should meet.
MAX_SOUNDS = 4096


@dataclass(frozen=True)
class Sound:
    """A stretch of audible sound; both ends are readings of `time.monotonic()`."""

    started: float
    ended: float


def rms(samples: Samples) -> float:
    if not samples.size:
        return 0.0
    wide = samples.astype(np.float32)
    return float(np.sqrt(np.dot(wide, wide) / wide.size))


def is_audible(samples: Samples) -> bool:
    return rms(samples) >= AUDIBLE_RMS


def audible_range(samples: Samples) -> tuple[int, int] | None:
    """The samples from the first to behind the last audible one, to 10 ms; None: all silent."""
    padded = np.pad(samples, (0, -samples.size % FRAME_SAMPLES))
    frames = padded.reshape(-1, FRAME_SAMPLES).astype(np.float32)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) >= AUDIBLE_RMS)
    if not loud.size:
        return None
    return int(loud[0]) * FRAME_SAMPLES, min((int(loud[-1]) + 1) * FRAME_SAMPLES, samples.size)


def resample(samples: Samples, *, from_hz: int, to_hz: int) -> Samples:
    """Band-limited change of sample rate, exact in the frequency domain."""
    if from_hz == to_hz or not samples.size:
        return samples
    size = round(samples.size * to_hz / from_hz)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    resized = np.zeros(size // 2 + 1, dtype=np.complex128)
    kept = min(spectrum.size, resized.size)
    resized[:kept] = spectrum[:kept]
    wave = np.fft.irfft(resized, size) * (size / samples.size)
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


class SoundTracker:
    """Turns frames and their arrival times into sounds; the last one grows while it lasts."""

    def __init__(self) -> None:
        self.sounds: deque[Sound] = deque(maxlen=MAX_SOUNDS)
        self._loud_since: float | None = None

    def feed(self, samples: Samples, at: float) -> bool:
        """Takes a frame that began to be audible at `at`; True when a new sound begins."""
        if not is_audible(samples):
            self._loud_since = None
            return False
        ended = at + samples.size / SAMPLE_RATE_HZ
        if self._loud_since is None:
            self._loud_since = at
        # Half a frame of tolerance: arrival times jitter.
        if ended - self._loud_since < MIN_SOUND_S - FRAME_S / 2:
            return False
        last = self.sounds[-1] if self.sounds else None
        if last is not None and self._loud_since - last.ended < JOIN_S:
            self.sounds[-1] = Sound(last.started, ended)
            return False
        self.sounds.append(Sound(self._loud_since, ended))
        return True


@dataclass(frozen=True)
class Frame:
    """Samples and the monotonic time at which the first of them arrived."""

    samples: Samples
    at: float


# Frames arrive every 10 ms give or take the loop's delays; only a gap beyond this is a pause
# in the stream, such as between an agent's end and its successor's start.
STREAM_GAP_S = 0.1


def mix(tracks: list[list[Frame]], *, since: float, until: float) -> Samples:
    """All tracks on one timeline: what reached the ear from `since` to `until`."""
    size = max(round((until - since) * SAMPLE_RATE_HZ), 0)
    total = np.zeros(size, dtype=np.int32)
    for frames in tracks:
        position: int | None = None
        for frame in frames:
            due = round((frame.at - since) * SAMPLE_RATE_HZ)
            if position is None or due - position > STREAM_GAP_S * SAMPLE_RATE_HZ:
                position = due
            first, behind = max(position, 0), min(position + frame.samples.size, size)
            if first < behind:
                total[first:behind] += frame.samples[first - position : behind - position]
            position += frame.samples.size
    return np.clip(total, -32768, 32767).astype(np.int16)
