"""Synthesised speech, and where in it each word is."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.local_stack.stand_ins.pcm import Samples

#: flite's names for silence.
PAUSES = frozenset({"pau", "ssil", "h#"})
#: A digit is spoken as a whole word.
DIGIT_WEIGHT = 4


@dataclass(frozen=True)
class SpokenWord:
    """One word of the text with its punctuation; times in seconds from the audio's start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Speech:
    """Mono audio and its words."""

    samples: Samples
    rate: int
    words: tuple[SpokenWord, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate


#: What text without anything to say sounds like.
SILENCE = Speech(np.zeros(1_600, np.int16), 16_000, ())


@dataclass(frozen=True)
class Segment:
    """One sound and when it ends, in seconds."""

    name: str
    end_s: float


def _weight(word: str) -> int:
    return sum(DIGIT_WEIGHT if c.isdigit() else 1 for c in word if c.isalnum()) or 1


def _spread(words: Sequence[str], start_s: float, end_s: float) -> Iterator[SpokenWord]:
    total = sum(map(_weight, words))
    at = start_s
    for word in words:
        until = at + (end_s - start_s) * _weight(word) / total
        yield SpokenWord(word, at, until)
        at = until


def _phrases(text: str) -> list[list[str]]:
    """The words, grouped where punctuation makes a speaker pause."""
    phrases: list[list[str]] = [[]]
    for word in text.split():
        phrases[-1].append(word)
        if re.search(r"[,;:.!?)]$", word):
            phrases.append([])
    return [phrase for phrase in phrases if phrase]


def align(text: str, segments: Sequence[Segment]) -> tuple[SpokenWord, ...]:
    """Place the words of `text` in the sounds that an engine reports.

    Where the engine paused as often as the text does, each phrase gets its stretch of sound;
    otherwise all words share all of it. Within a stretch the words' lengths decide.
    """
    stretches: list[tuple[float, float]] = []
    before, paused = 0.0, True
    for segment in segments:
        if segment.name in PAUSES:
            paused = True
        elif paused:
            stretches.append((before, segment.end_s))
            paused = False
        else:
            stretches[-1] = (stretches[-1][0], segment.end_s)
        before = segment.end_s
    phrases = _phrases(text)
    if not stretches or not phrases:
        return ()
    if len(phrases) != len(stretches):
        phrases = [[word for phrase in phrases for word in phrase]]
        stretches = [(stretches[0][0], stretches[-1][1])]
    return tuple(
        word
        for phrase, (start_s, end_s) in zip(phrases, stretches, strict=True)
        for word in _spread(phrase, start_s, end_s)
    )
