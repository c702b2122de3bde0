"""Where speech starts and how long it has been silent, by energy alone."""

from collections import deque

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

FRAME_S = 0.01
#: Levels are decibels relative to full scale. Speech from a line or a codec is around -20, room
#: noise below -50; nothing quieter than these starts or holds speech.
START_DB = -45.0
HOLD_DB = -50.0
#: How far speech has to stand out from the noise that was there before it.
START_OVER_NOISE_DB = 12.0
HOLD_OVER_NOISE_DB = 8.0
NOISE_RANGE_DB = (-75.0, -35.0)
#: Rises slowly, so that speech isn't taken for noise; falls at once.
NOISE_RISE = 0.02
NOISE_FALL = 0.3
#: While somebody speaks, the quietest frame of each such window is taken for the noise: speech has
#: gaps, a fan has none.
NOISE_WINDOW_FRAMES = 300
#: Loud frames among the latest ones: a click of under 40 ms starts nothing.
ONSET_LOUD_FRAMES = 4
ONSET_WINDOW_FRAMES = 6
#: The vendor's default threshold; others shift the levels by this many decibels per unit.
DEFAULT_VAD_THRESHOLD = 0.4
DB_PER_THRESHOLD = 20.0


class SpeechGate:
    """Follows one stream; positions count samples from the stream's start."""

    def __init__(self, sample_rate: int, vad_threshold: float = DEFAULT_VAD_THRESHOLD) -> None:
        self._frame = max(1, int(sample_rate * FRAME_S))
        self._rate = sample_rate
        self._rest: Samples = np.empty(0, np.int16)
        self._position = 0
        self._noise_db = NOISE_RANGE_DB[0]
        self._recent: deque[bool] = deque(maxlen=ONSET_WINDOW_FRAMES)
        self._last_loud = 0
        self._quietest_db = 0.0
        self._spoken_frames = 0
        self.vad_threshold = vad_threshold
        self.speaking = False

    @property
    def silence_s(self) -> float:
        """Time since the last frame that held speech, by the audio's own clock."""
        return (self._position - self._last_loud) / self._rate

    @property
    def last_loud(self) -> int:
        """Where the last frame that held speech ended."""
        return self._last_loud

    def end(self) -> None:
        """Declare the speech over; the next onset starts a new one."""
        self.speaking = False
        self._recent.clear()

    def push(self, samples: Samples) -> int | None:
        """Take audio; returns where speech started, if it started in here."""
        joined = np.concatenate((self._rest, samples)) if len(self._rest) else samples
        frames = len(joined) // self._frame
        self._rest = joined[frames * self._frame :]
        if not frames:
            return None
        block = joined[: frames * self._frame].astype(np.float32).reshape(frames, self._frame)
        power = np.mean(np.square(block / 32768.0), axis=1)
        onset: int | None = None
        for level in 10.0 * np.log10(power + 1e-10):
            started = self._frame_level(float(level))
            onset = started if started is not None else onset
        return onset

    def _frame_level(self, level: float) -> int | None:
        self._position += self._frame
        shift = (self.vad_threshold - DEFAULT_VAD_THRESHOLD) * DB_PER_THRESHOLD
        if self.speaking:
            self._track_noise_in_speech(level)
            if level > max(HOLD_DB, self._noise_db + HOLD_OVER_NOISE_DB) + shift:
                self._last_loud = self._position
            return None
        loud = level > max(START_DB, self._noise_db + START_OVER_NOISE_DB) + shift
        rate = NOISE_FALL if level < self._noise_db else NOISE_RISE
        low, high = NOISE_RANGE_DB
        self._noise_db = min(high, max(low, self._noise_db + rate * (level - self._noise_db)))
        self._recent.append(loud)
        if sum(self._recent) < ONSET_LOUD_FRAMES:
            return None
        self.speaking = True
        self._quietest_db, self._spoken_frames = 0.0, 0
        self._last_loud = self._position
        first = len(self._recent) - list(self._recent).index(True)
        self._recent.clear()
        return self._position - first * self._frame

    def _track_noise_in_speech(self, level: float) -> None:
        self._quietest_db = min(self._quietest_db, level)
        self._spoken_frames += 1
        if self._spoken_frames == NOISE_WINDOW_FRAMES:
            low, high = NOISE_RANGE_DB
            self._noise_db = min(high, max(low, self._quietest_db))
            self._quietest_db, self._spoken_frames = 0.0, 0
