"""What a caller says: 48 kHz mono speech from a WAV file or from a text."""

import asyncio
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from assistant.rehearsal import espeak, flite
from assistant.rehearsal.errors import SpeechFileInvalidError, SpeechUnavailableError
from assistant.rehearsal.waveform import (
    FRAME_S,
    SAMPLE_RATE_HZ,
    Samples,
    audible_range,
    resample,
)

# A spoken turn is seconds long; beyond this a file is somebody's album.
MAX_SPEECH_S = 600.0
# A minute or so of talk; keeps a mistaken paste from becoming an hour of speech.
MAX_TEXT_CHARS = 2000

ESPEAK_NOTE = (
    "flite is not installed, so the caller speaks with espeak-ng, which the built-in speech "
    "recogniser understands badly; install flite (Debian: apt-get install flite), "
    "or speak a recording with --wav"
)


@dataclass(frozen=True)
class Speech:
    """Mono 16-bit samples at 48 kHz.

    `text` is what they say, None when unknown. `note` is what the person at the terminal
    should know about how they were made.
    """

    samples: Samples = field(repr=False)
    text: str | None = None
    note: str | None = None

    @property
    def duration_s(self) -> float:
        return self.samples.size / SAMPLE_RATE_HZ

    def audible_s(self) -> tuple[float, float] | None:
        """Where the sound begins and ends, from the speech's start; None: it is silent."""
        span = audible_range(self.samples)
        return None if span is None else (span[0] / SAMPLE_RATE_HZ, span[1] / SAMPLE_RATE_HZ)

    def save_wav(self, path: Path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(self.samples.astype("<i2").tobytes())


def _to_mono_16_bit(raw: bytes, *, width: int, channels: int) -> Samples:
    """PCM as WAV files store it: 8-bit unsigned, wider ones signed and little-endian."""
    if width == 1:
        wide = (np.frombuffer(raw, dtype=np.uint8).astype(np.int32) - 128) << 8
    elif width == 2:
        wide = np.frombuffer(raw, dtype="<i2").astype(np.int32)
    elif width == 3:
        triples = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        # The two upper bytes are the 16-bit sample.
        wide = np.ascontiguousarray(triples[:, 1:]).view("<i2").reshape(-1).astype(np.int32)
    else:
        wide = np.frombuffer(raw, dtype="<i4") >> 16
    mono = wide.reshape(-1, channels).mean(axis=1)
    samples: Samples = np.rint(mono).astype(np.int16)
    return samples


def load_wav(path: Path) -> Speech:
    """Reads a PCM WAV file of any rate, width and number of channels.

    Raises:
        SpeechFileInvalidError: missing, no PCM WAV, too long, or silent; the text names the remedy.
    """
    convert = f"convert it with `ffmpeg -i {path.name} -ar 48000 -ac 1 -c:a pcm_s16le out.wav`"
    try:
        with wave.open(str(path), "rb") as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            duration_s = file.getnframes() / rate if rate else 0.0
            if duration_s > MAX_SPEECH_S:
                raise SpeechFileInvalidError(
                    path,
                    reason=f"it is {duration_s:.0f} s long, more than {MAX_SPEECH_S:.0f} s",
                    remedy="cut it to the part that should be said",
                )
            raw = file.readframes(file.getnframes())
    except FileNotFoundError as error:
        raise SpeechFileInvalidError(
            path, reason="there is no such file", remedy="check the path"
        ) from error
    except OSError as error:
        raise SpeechFileInvalidError(
            path, reason=error.strerror or str(error), remedy="check that it is a readable file"
        ) from error
    except (wave.Error, EOFError) as error:
        reason = str(error) or "the file ends too early"
        raise SpeechFileInvalidError(
            path, reason=f"it is not a PCM WAV file ({reason})", remedy=convert
        ) from error
    if width not in (1, 2, 3, 4) or rate <= 0:
        raise SpeechFileInvalidError(path, reason=f"{8 * width} bits at {rate} Hz", remedy=convert)
    # A file cut short may end inside a sample.
    raw = raw[: len(raw) // (width * channels) * (width * channels)]
    mono = _to_mono_16_bit(raw, width=width, channels=channels)
    speech = Speech(resample(mono, from_hz=rate, to_hz=SAMPLE_RATE_HZ))
    if speech.audible_s() is None:
        raise SpeechFileInvalidError(
            path, reason="it is silent", remedy="record it again, louder, or choose another file"
        )
    return speech


def silence(duration_s: float) -> Samples:
    return np.zeros(round(duration_s / FRAME_S) * round(FRAME_S * SAMPLE_RATE_HZ), dtype=np.int16)


async def speak(text: str, *, voice: str | None = None) -> Speech:
    """Makes speech of a text, with flite where installed, else with espeak-ng.

    `voice` is one of flite's (`slt`, `rms`, ...) or `espeak`; None takes the best there is.

    Raises:
        SpeechUnavailableError: no voice can be had, or the text is empty or too long.
    """
    if not text.strip() or len(text) > MAX_TEXT_CHARS:
        raise SpeechUnavailableError(
            reason=f"it has {len(text)} characters",
            remedy=f"say between 1 and {MAX_TEXT_CHARS} characters",
        )
    if voice != espeak.VOICE and (voice is not None or flite.is_installed()):
        rate, samples = await flite.synthesise(text, voice=voice or flite.DEFAULT_VOICE)
        note = None
    else:
        rate, samples = await asyncio.to_thread(espeak.synthesise, text)
        note = ESPEAK_NOTE if voice is None else None
    speech = Speech(resample(samples, from_hz=rate, to_hz=SAMPLE_RATE_HZ), text=text, note=note)
    if speech.audible_s() is None:
        raise SpeechUnavailableError(
            reason=f"nothing in {text!r} can be pronounced", remedy="say words"
        )
    return speech
