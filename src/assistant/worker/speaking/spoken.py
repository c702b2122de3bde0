"""How far into a text a voice came, and what is left to be said. Pure."""

import re
from dataclasses import dataclass, field

# Where a vendor gives no times of words. People are read to at about this pace.
CHARS_PER_S = 15.0
# Between one word and the next stands a space, a dash, a bracket; not another sentence.
AHEAD_CHARS = 40
# Times of words are rounded.
CLOSE_S = 0.05
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
# What is left of a word that was heard: its comma, its full stop.
_LEFTOVER = re.compile(r"^[\s.,;:!?…)\]\"'”\u2019]+")


@dataclass
class Written:
    """A text that is given out word by word, as it is written: spaces, commas and all.

    Vendors name the words without them, and sometimes otherwise than they were written.
    """

    at: int = 0

    def until(self, word: str, text: str) -> str:
        """The text from where it stands to the end of `word`; empty if that is not written so.

        The next word that is brings what was left out.
        """
        bare = word.strip()
        found = text.find(bare, self.at)
        if not bare or found < 0 or found > self.at + AHEAD_CHARS:
            return ""
        begin, self.at = self.at, found + len(bare)
        return text[begin : self.at]

    def rest(self, text: str) -> str:
        begin, self.at = self.at, len(text)
        return text[begin:]


@dataclass
class Spoken:
    """What one vendor made of a text: seconds of audio, and its words with their ends in it."""

    audio_s: float = 0.0
    words: list[tuple[str, float]] = field(default_factory=list)

    def left(self, text: str) -> str:
        """The part of `text` that is not in the audio; empty: all of it is.

        To the word where the vendor gave times; else from the beginning of the sentence that it
        was in, since half a sentence heard twice is better than none.
        """
        if not self.audio_s:
            return text
        at = self._after_words(text) if self.words else self._sentence(text)
        return _LEFTOVER.sub("", text[at:])

    def _after_words(self, text: str) -> int:
        at = 0
        for word, ends_s in self.words:
            if ends_s > self.audio_s + CLOSE_S:
                break
            found = text.find(word.strip(), at)
            if found < 0:
                # The vendor writes it otherwise, "3" as "three"; the sentence has to do.
                return max(at, self._sentence(text))
            at = found + len(word.strip())
        return at

    def _sentence(self, text: str) -> int:
        reached = min(len(text), int(self.audio_s * CHARS_PER_S))
        starts = [0, *(end.end() for end in _SENTENCE_END.finditer(text))]
        return max(start for start in starts if start <= reached)
