"""The pure parts between audio and text."""

import math
from pathlib import Path

import numpy as np
import pytest

from assistant.local_stack.stand_ins.errors import ScriptError, VoiceUnknownError
from assistant.local_stack.stand_ins.flite import parse_segments
from assistant.local_stack.stand_ins.pcm import from_mulaw, resample, trim
from assistant.local_stack.stand_ins.recognizer import Word
from assistant.local_stack.stand_ins.script import DEFAULT_UTTERANCES, load_script
from assistant.local_stack.stand_ins.speech import align
from assistant.local_stack.stand_ins.speech_gate import Samples, SpeechGate
from assistant.local_stack.stand_ins.speech_request import sentences
from assistant.local_stack.stand_ins.transcripts import is_complete, turn_message
from assistant.local_stack.stand_ins.voices import VOICES, find_voice

RATE = 16_000


def noise(seconds: float, level_db: float) -> Samples:
    size = int(seconds * RATE)
    samples = np.random.default_rng(1).normal(0, 10 ** (level_db / 20) * 32768, size)
    return np.clip(samples, -32768, 32767).astype(np.int16)


def test_gate_finds_start_and_silence() -> None:
    """Speech after a second of room noise starts where it starts; silence is counted after it."""
    gate = SpeechGate(RATE)
    assert gate.push(noise(1.0, -60)) is None
    onset = gate.push(noise(0.5, -20))
    assert onset is not None
    assert math.isclose(onset / RATE, 1.0, abs_tol=0.02)
    gate.push(noise(0.4, -60))
    assert math.isclose(gate.silence_s, 0.4, abs_tol=0.02)


def test_gate_ignores_clicks_and_steady_noise() -> None:
    """A click of 20 ms starts nothing, and a fan is taken for silence after some seconds."""
    gate = SpeechGate(RATE)
    assert gate.push(np.concatenate((noise(0.5, -60), noise(0.02, -20), noise(0.5, -60)))) is None
    gate.push(noise(5.0, -40))
    assert gate.silence_s > 0.5
    gate.end()
    assert gate.push(noise(1.0, -40)) is None
    assert gate.push(noise(0.3, -15)) is not None


def test_mulaw() -> None:
    """G.711's extremes and zero decode to their linear values."""
    assert from_mulaw(bytes([0xFF, 0x7F, 0x80, 0x00])).tolist() == [0, 0, 32124, -32124]


def test_resample_keeps_duration_and_trim_cuts_padding() -> None:
    """Resampling keeps the length in seconds; trimming says where speech began."""
    tone = (np.sin(np.arange(RATE) * 0.1) * 8000).astype(np.int16)
    assert math.isclose(len(resample(tone, RATE, 24_000)) / 24_000, 1.0, abs_tol=0.01)
    padded = np.concatenate((np.zeros(RATE // 2, np.int16), tone, np.zeros(RATE, np.int16)))
    kept, cut_s = trim(padded, RATE)
    assert math.isclose(cut_s, 0.48, abs_tol=0.01)
    assert math.isclose(len(kept) / RATE, 1.14, abs_tol=0.01)


def test_align_uses_pauses() -> None:
    """Words before a comma end where the engine paused; each word follows the one before."""
    segments = parse_segments("pau:0.2 a:0.5 b:1.0 pau:1.5 c:2.0 d:2.5 pau:2.8 \n")
    words = align("Well then, go on.", segments)
    assert [word.text for word in words] == ["Well", "then,", "go", "on."]
    assert words[0].start_s == 0.2
    assert words[1].end_s == 1.0
    assert words[2].start_s == 1.5
    assert words[3].end_s == 2.5


def test_sentences() -> None:
    """Text is cut where sentences end, not after titles."""
    assert sentences("Hello there. How are you? I am") == ["Hello there.", "How are you?", "I am"]
    assert sentences("Ask Dr. Smith. Now!") == ["Ask Dr. Smith.", "Now!"]
    assert sentences("  ") == []


def test_turn_message() -> None:
    """A final turn is written with a capital and its closing mark, in the stream's own time."""
    words = (Word("what", 0.3, 0.5, 0.9), Word("now", 0.5, 0.8, 1.0))
    turn = turn_message(words, order=3, offset_s=1.0, ended=True, formatted=True)
    assert turn["transcript"] == turn["utterance"] == "What now?"
    assert turn["words"][0] == {
        "text": "What",
        "start": 1300,
        "end": 1500,
        "confidence": 0.9,
        "word_is_final": True,
    }
    partial = turn_message(words, order=3, offset_s=1.0, ended=False, formatted=False)
    assert partial["transcript"] == "what now"
    assert partial["utterance"] == ""
    assert is_complete(words)
    assert not is_complete([*words, Word("and", 0.8, 0.9, 1.0)])


def test_voices() -> None:
    """Distinct voices sound distinct, cloned ones work, others are refused."""
    sounds = {(voice.flite, voice.pitch) for voice in VOICES.values()}
    assert len(sounds) == len(VOICES)
    assert find_voice("Ashley").flite == "slt"
    assert find_voice("Alex").flite == "rms"
    assert find_voice("workspace__anna").voice_id == "Ashley"
    with pytest.raises(VoiceUnknownError, match="Nobody"):
        find_voice("Nobody")


def test_script(tmp_path: Path) -> None:
    """A script gives rules and utterances; what is wrong in it is named."""
    path = tmp_path / "script.yaml"
    path.write_text("replies:\n  - {pattern: 'a(b)', reply: 'c {1}'}\n")
    script = load_script(path)
    assert script.replies[0].reply == "c {1}"
    assert script.utterances == DEFAULT_UTTERANCES
    for wrong, named in (
        ("answers: []", "answers"),
        ("replies: [{pattern: '(', reply: x}]", "regular expression"),
        ("a: [", "script.yaml"),
    ):
        path.write_text(wrong)
        with pytest.raises(ScriptError, match=named):
            load_script(path)
    with pytest.raises(ScriptError, match=r"nothing\.yaml"):
        load_script(tmp_path / "nothing.yaml")
