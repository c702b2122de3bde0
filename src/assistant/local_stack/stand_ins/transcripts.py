"""The `Turn` messages of streaming recognition, and how their text is written."""

from collections.abc import Sequence
from typing import Any

from assistant.local_stack.stand_ins.recognizer import Word

#: Formatting is built into this family; the others do it on request, in a second message.
#: Source: the vendor's "message sequence" page.
FORMATTING_MODELS = frozenset(
    {"u3-rt-pro", "u3-rt-pro-beta-1", "u3-pro", "universal-3-5-pro", "universal-3-6-pro"}
)
QUESTION_STARTS = frozenset(
    [
        "what",
        "who",
        "when",
        "where",
        "why",
        "how",
        "which",
        "whose",
        "is",
        "are",
        "am",
        "was",
        "were",
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "would",
        "should",
        "shall",
        "may",
    ]
)
#: A pause after one of these is a breath, not an end.
UNFINISHED_ENDS = frozenset(
    [
        "a",
        "an",
        "and",
        "the",
        "to",
        "of",
        "for",
        "in",
        "on",
        "at",
        "with",
        "from",
        "by",
        "but",
        "or",
        "so",
        "because",
        "if",
        "my",
        "your",
        "is",
        "are",
        "was",
        "um",
        "uh",
        "er",
        "that",
    ]
)
#: How sure an unfinished turn is, and one that ended.
PARTIAL_CONFIDENCE = 0.2


def is_complete(words: Sequence[Word]) -> bool:
    """Whether a turn could end after these words."""
    return bool(words) and words[-1].text.lower() not in UNFINISHED_ENDS


def written(words: Sequence[Word], *, ended: bool) -> list[str]:
    """The words as one would write them; the closing mark only when the turn has ended."""
    texts = [
        "I" + text[1:] if text == "i" or text.startswith("i'") else text
        for text in (word.text for word in words)
    ]
    if not texts:
        return texts
    texts[0] = texts[0][:1].upper() + texts[0][1:]
    if ended and texts[-1][-1:].isalnum():
        texts[-1] += "?" if texts[0].lower().split("'")[0] in QUESTION_STARTS else "."
    return texts


def turn_message(
    words: Sequence[Word], *, order: int, offset_s: float, ended: bool, formatted: bool
) -> dict[str, Any]:
    """One `Turn`; `offset_s` is where the utterance began in the stream.

    Source: the vendor's API reference, "Turn". `utterance` is filled at the end of the turn only.
    """
    texts = written(words, ended=ended) if formatted else [word.text.lower() for word in words]
    transcript = " ".join(texts)
    return {
        "type": "Turn",
        "turn_order": order,
        "turn_is_formatted": formatted and ended,
        "end_of_turn": ended,
        "transcript": transcript,
        "utterance": transcript if ended else "",
        "end_of_turn_confidence": 1.0 if ended else PARTIAL_CONFIDENCE,
        "language_code": "en",
        "language_confidence": 1.0 if ended else None,
        "words": [
            {
                "text": text,
                "start": round((offset_s + word.start_s) * 1000),
                "end": round((offset_s + word.end_s) * 1000),
                "confidence": word.confidence,
                "word_is_final": ended,
            }
            for text, word in zip(texts, words, strict=True)
        ],
    }
