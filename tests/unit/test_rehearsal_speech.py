"""What a caller can say: WAV files of every kind, and texts."""

import shutil
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from assistant.rehearsal.errors import SpeechFileInvalidError, SpeechUnavailableError
from assistant.rehearsal.speech import ESPEAK_NOTE, MAX_SPEECH_S, Speech, load_wav, speak
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ, rms

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def write_wav(path: Path, *, rate: int, width: int, channels: int, amplitude: float = 0.5) -> Path:
    """Half a second of a tone, with 0.1 s of silence before it."""
    wave_form = amplitude * np.sin(2 * np.pi * 440 * np.arange(rate // 2) / rate)
    mono = np.concatenate([np.zeros(rate // 10), wave_form])
    scaled = np.repeat(mono, channels)
    if width == 1:
        raw = np.rint(scaled * 127 + 128).astype(np.uint8).tobytes()
    else:
        full = np.rint(scaled * (2 ** (8 * width - 1) - 1)).astype("<i8")
        raw = full.view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setsampwidth(width)
        file.setnchannels(channels)
        file.writeframes(raw)
    return path


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_of_every_kind_are_read(
    tmp_path: Path, rate: int, width: int, channels: int
) -> None:
    """Any rate, width and number of channels becomes 48 kHz mono of the same loudness."""
    speech = load_wav(write_wav(tmp_path / "a.wav", rate=rate, width=width, channels=channels))
    assert speech.duration_s == pytest.approx(0.6, abs=0.001)
    audible = speech.audible_s()
    assert audible is not None
    assert audible == pytest.approx((0.1, 0.6), abs=0.011)
    loud = speech.samples[int(0.2 * SAMPLE_RATE_HZ) : int(0.5 * SAMPLE_RATE_HZ)]
    assert rms(loud) == pytest.approx(0.5 * 32767 / np.sqrt(2), rel=0.02)


def test_saved_speech_reads_back_as_it_was(tmp_path: Path) -> None:
    """What `save_wav` writes is exactly what was spoken."""
    speech = load_wav(write_wav(tmp_path / "a.wav", rate=16000, width=2, channels=1))
    speech.save_wav(tmp_path / "b.wav")
    assert np.array_equal(load_wav(tmp_path / "b.wav").samples, speech.samples)


def test_a_file_cut_short_is_spoken_as_far_as_it_goes(tmp_path: Path) -> None:
    """A recording that ends inside a sample still plays."""
    path = write_wav(tmp_path / "a.wav", rate=16000, width=2, channels=2)
    path.write_bytes(path.read_bytes()[:-5])
    assert load_wav(path).duration_s == pytest.approx(0.6, abs=0.001)


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / "speech.wav"
    if kind == "text":
        path.write_text("not audio")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "silent":
        write_wav(path, rate=8000, width=2, channels=1, amplitude=0.0)
    elif kind == "float":
        write_wav(path, rate=8000, width=2, channels=1)
        raw = bytearray(path.read_bytes())
        struct.pack_into("<H", raw, 20, 3)
        path.write_bytes(bytes(raw))
    elif kind == "long":
        with wave.open(str(path), "wb") as file:
            file.setframerate(100)
            file.setsampwidth(1)
            file.setnchannels(1)
            file.writeframes(bytes(100 * (int(MAX_SPEECH_S) + 1)))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no such file; check the path"),
        ("text", "it is not a PCM WAV file .*; convert it with `ffmpeg -i speech.wav"),
        ("empty", "it is not a PCM WAV file"),
        ("float", "it is not a PCM WAV file .*unknown format.*ffmpeg"),
        ("folder", "directory; check that it is a readable file"),
        ("silent", "it is silent; record it again"),
        ("long", "it is 601 s long, more than 600 s; cut it"),
    ],
)
def test_bad_files_are_refused_by_name_with_a_remedy(
    tmp_path: Path, kind: str, message: str
) -> None:
    """Whatever is wrong with a file, the error names it, the reason and what to do."""
    path = bad_file(tmp_path, kind)
    with pytest.raises(SpeechFileInvalidError, match=message) as caught:
        load_wav(path)
    assert str(caught.value).startswith(f"{path} cannot be spoken: ")


@needs_flite
@pytest.mark.parametrize("voice", [None, "slt", "rms"])
async def test_a_text_is_spoken_by_flite(voice: str | None) -> None:
    """A question is about a second of speech; no note is needed."""
    speech = await speak("What time is it?", voice=voice)
    assert 0.5 < speech.duration_s < 3
    assert speech.audible_s() is not None
    assert (speech.text, speech.note) == ("What time is it?", None)


@needs_flite
async def test_an_unknown_voice_is_refused_with_the_known_ones() -> None:
    """The program itself would look for a file or URL of that name."""
    with pytest.raises(SpeechUnavailableError, match=r"no voice './x'; choose one of .*slt"):
        await speak("Hello", voice="./x")


async def test_without_flite_espeak_speaks_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine without flite still speaks, and its user learns why recognition is bad."""
    monkeypatch.setenv("PATH", str(tmp_path))
    speech = await speak("What time is it?")
    assert 0.5 < speech.duration_s < 3
    assert speech.note == ESPEAK_NOTE
    asked_for = await speak("What time is it?", voice="espeak")
    assert asked_for.note is None
    with pytest.raises(SpeechUnavailableError, match="flite is not installed"):
        await speak("Hello", voice="slt")


@pytest.mark.parametrize("text", ["", "  \n", "a" * 2001])
async def test_texts_without_or_with_too_many_words_are_refused(text: str) -> None:
    """There is a least and a most that can be said in one turn."""
    with pytest.raises(SpeechUnavailableError, match="between 1 and 2000"):
        await speak(text)


def test_samples_stay_out_of_the_representation() -> None:
    """A speech in a log or an assertion is one line."""
    assert repr(Speech(np.zeros(9, dtype=np.int16), "Hi")) == "Speech(text='Hi', note=None)"
