"""Asking aloud as a person does, who asks again when they were misheard.

WebRTC plays sound on time or not at all: what comes late, as on a machine that is busy with other
tests, is stretched by the receiver's jitter buffer, some 60 ms in the middle of a word. A
recogniser may then hear another word, which is no fault of what is tested here. So a test that is
about what follows from a question asks it by `asks_aloud`, and counts the turns that it took.
"""

import re
from dataclasses import dataclass

import pytest

from assistant.rehearsal.scenario import Call, Turn
from assistant.rehearsal.speech import speak

#: One question in ten is misheard when its sound was stretched; three times in a row is a defect.
MAX_ASKS = 3


@dataclass(frozen=True)
class Question:
    """What is said, and how the words of it read, at least, when they were understood."""

    text: str
    understood: re.Pattern[str]
    voice: str | None = None


def question(text: str, understood: str, voice: str | None = None) -> Question:
    return Question(text, re.compile(understood, re.IGNORECASE), voice)


#: The words that the stand-in's recogniser is surest of, also in stretched sound.
THE_TIME = question("Tell me what time it is.", r"\bwhat\b.*\btime\b")
A_JOKE = question("Tell me a joke.", r"\bjoke\b", voice="rms")


async def asks_aloud(call: Call, asked: Question) -> Turn:
    """The turn in which the question was understood; the call has those before it as well.

    Fails with all that was understood when it was misheard `MAX_ASKS` times.
    """
    speech = await speak(asked.text, voice=asked.voice)
    misheard = []
    for _ in range(MAX_ASKS):
        turn = await call.turn(speech)
        if asked.understood.search(turn.understood):
            return turn
        misheard.append(turn.understood)
    pytest.fail(f"{asked.text!r} was misheard {MAX_ASKS} times: {misheard}")
