"""Arithmetic on 16-bit mono PCM."""

import struct

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

#: Quieter than this at an end of synthesised speech is padding, not speech.
PADDING_LEVEL = 200
#: Kept of the padding, so that nothing clicks.
KEPT_LEAD_S = 0.02
KEPT_TAIL_S = 0.12


def _mulaw_table() -> Samples:
    """Each mu-law byte's linear value. Source: ITU-T G.711, table 2a."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((code & 0x0F).astype(np.int32) << 3) + 0x84
    magnitude = (magnitude << ((code & 0x70) >> 4).astype(np.int32)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


MULAW = _mulaw_table()


def from_mulaw(data: bytes) -> Samples:
    return MULAW[np.frombuffer(data, np.uint8)]


def from_bytes(data: bytes) -> Samples:
    """Little-endian samples; an odd last byte is dropped."""
    return np.frombuffer(data[: len(data) & ~1], "<i2")


class Resampler:
    """Converts one stream from one rate to another, keeping its state between pieces."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._source_rate = source_rate
        self._same = source_rate == target_rate
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=target_rate)

    def push(self, samples: Samples) -> Samples:
        if self._same or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._source_rate
        return self._joined(self._resampler.resample(frame))

    def flush(self) -> Samples:
        """What the filter still holds; the stream is over."""
        return np.empty(0, np.int16) if self._same else self._joined(self._resampler.resample(None))

    @staticmethod
    def _joined(frames: list[av.AudioFrame]) -> Samples:
        arrays = [frame.to_ndarray().reshape(-1).astype(np.int16, copy=False) for frame in frames]
        return np.concatenate(arrays) if arrays else np.empty(0, np.int16)


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    resampler = Resampler(source_rate, target_rate)
    return np.concatenate((resampler.push(samples), resampler.flush()))


def trim(samples: Samples, rate: int) -> tuple[Samples, float]:
    """Drop the padding around speech; returns the rest and where it began, in seconds."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > PADDING_LEVEL)
    if not len(loud):
        return samples, 0.0
    first = max(0, int(loud[0]) - int(KEPT_LEAD_S * rate))
    return samples[first : int(loud[-1]) + int(KEPT_TAIL_S * rate)], first / rate


def wav(samples: bytes, rate: int) -> bytes:
    """A whole WAV file around 16-bit mono samples."""
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(samples), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return head + form + struct.pack("<4sI", b"data", len(samples)) + samples
