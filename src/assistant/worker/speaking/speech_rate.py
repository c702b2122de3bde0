"""The SDK's estimate of how fast the agent speaks, at a fifth of its CPU.

It paces the words of the transcript where the vendor gives no times for them, and is made for every
tenth of a second that the agent speaks in any case. The SDK transforms the 79 frames of a second
one by one, in Python; here they are transformed together.

Source: livekit-agents 1.8.9, `voice/transcription/_speaking_rate.py`, `_spectral_flux`.
"""

from typing import Any

import numpy as np
from livekit.agents.voice.transcription._speaking_rate import SpeakingRateStream

_FRAME_S = 0.025


def spectral_flux(
    _stream: SpeakingRateStream, audio: np.ndarray[Any, np.dtype[np.float32]], sample_rate: int
) -> float:
    """How much the spectrum changes from one frame to the next, on average."""
    length = int(sample_rate * _FRAME_S)
    if len(audio) < length:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(audio, length)[:: length // 2]
    window = np.hanning(length)
    spectra = np.abs(np.fft.rfft(frames * window, axis=1)) / np.sqrt(np.sum(window**2))
    changes = np.abs(np.diff(spectra, axis=0)).sum(axis=1)
    return float(changes.mean()) if changes.size else 0.0


def install() -> None:
    """Have the SDK use it, in this process and in those that are forked off it."""
    SpeakingRateStream._spectral_flux = spectral_flux  # type: ignore[method-assign, assignment]  # noqa: SLF001
