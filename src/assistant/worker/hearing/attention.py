"""Whether a recognizer hears what the caller says. Pure.

That somebody speaks is the voice activity detector's word, which runs here; what was said is the
vendor's. Speech without words is a reason to doubt, not yet a proof: a laugh has none either.
"""

from dataclasses import dataclass

# Shorter is a cough, or too little for anybody to have heard words in.
MIN_VOICE_S = 0.3
# A vendor that has begun to give text may wait for the end of the turn as long as this.
FINAL_PATIENCE_S = 4.0
# Text of long speech comes every few seconds; without any for this long nobody is listening.
LONG_SPEECH_S = 6.0


@dataclass
class Attention:
    """The caller's speech that has no final text yet. Times are monotonic seconds.

    `patience_s`: from the end of speech until the first text of it.
    """

    patience_s: float
    #: When the speech without final text began; None: there is none.
    unheard_since: float | None = None
    #: Whether there is interim text of it.
    has_words: bool = False
    _voice_s: float = 0.0
    _speaks_since: float | None = None
    _changed_at: float = 0.0

    def voice(self, *, speaking: bool, now: float) -> None:
        """The caller begins to speak, or stops."""
        if speaking and self._speaks_since is None:
            self._speaks_since = now
            self.unheard_since = now if self.unheard_since is None else self.unheard_since
            self._changed_at = now
        elif not speaking and self._speaks_since is not None:
            self._voice_s += now - self._speaks_since
            self._speaks_since = None
            self._changed_at = now
            if self._voice_s < MIN_VOICE_S and not self.has_words:
                # A cough, or the end of what has its text already.
                self.unheard_since, self._voice_s = None, 0.0

    def words(self, *, final: bool, now: float) -> None:
        """The recognizer gives text."""
        self._changed_at = now
        if not final:
            self.has_words = True
            return
        self.settle(now)

    def settle(self, now: float) -> None:
        """There is nothing more to come of what was said so far."""
        self.has_words, self._voice_s = False, 0.0
        speaks = self._speaks_since is not None
        self.unheard_since = now if speaks else None
        self._speaks_since = now if speaks else None

    def doubtful_at(self) -> float | None:
        """When somebody else should be asked; None: there is nothing to doubt."""
        if self.unheard_since is None:
            return None
        if self._speaks_since is not None:
            return self._changed_at + max(LONG_SPEECH_S, self.patience_s)
        patience_s = self.patience_s
        if self.has_words:
            patience_s = max(FINAL_PATIENCE_S, patience_s)
        return self._changed_at + patience_s
