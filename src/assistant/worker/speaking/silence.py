"""How long a caller has been waiting for an answer. Pure."""

from dataclasses import dataclass, field

# Sounds of a caller of which nobody understood a word are taken for speech from this length on.
UNHEARD_S = 1.0
# Shorter ones when they come one after the other, "Hello?" and again "Hello?". One more, of
# whatever length, and it is certain that nobody is understood: a laugh or a cough is not repeated.
REPEATED = 2
# Failures of all recognizers in a row; one alone is a connection that is opened once more.
FAILURES = 2


@dataclass
class Wait:
    """The time between the end of the caller's turn and the first word of the answer.

    Or, where the agent is to speak of its own accord, between that and its first sound. Times are
    monotonic seconds. What the agent does in between does not matter: a failed answer leaves the
    caller as alone as a slow one.
    """

    #: When the caller stopped speaking; None: nobody waits.
    since: float | None = None
    #: Nobody knows whether there is something to answer: no words were found in what was said.
    is_doubtful: bool = False
    agent_speaks: bool = False
    _user_since: float | None = None
    #: Whether there is something to answer in what the caller said last.
    _asked: bool = False
    #: What the agent is to say of its own accord and has not begun to.
    _promised: set[str] = field(default_factory=set)
    #: Sounds of the caller in a row without a word in them.
    _unheard: int = 0
    #: Failures of all recognizers since the last word.
    _failures: int = 0

    @property
    def is_deaf(self) -> bool:
        """It is known that nobody is understood."""
        return self._failures >= FAILURES or self._unheard > REPEATED

    @property
    def user_speaks(self) -> bool:
        return self._user_since is not None

    def user(self, *, speaking: bool, now: float) -> None:
        spoke_since, self._user_since = self._user_since, now if speaking else None
        if speaking:
            self.since = None
            return
        if self._asked or self._promised:
            self._begin(now)
            return
        if spoke_since is None or self.agent_speaks:
            return  # Who hums along asks nothing.
        self._unheard += 1
        if now >= spoke_since + UNHEARD_S or self._unheard >= REPEATED or self.is_deaf:
            self._begin(now, doubtful=not self.is_deaf)

    def words(self) -> None:
        """Some of the caller's words have been understood; perhaps not the last of them."""
        self._unheard = self._failures = 0

    def asked(self, now: float) -> None:
        """The caller's words, spoken or typed, have been understood."""
        self.words()
        self._asked, self.is_doubtful = True, False
        self._begin(now)

    def not_recognized(self, now: float, *, for_good: bool) -> None:
        """All recognizers failed; who was not understood before waits in vain."""
        self._failures += FAILURES if for_good else 1
        if not self.is_deaf:
            return
        self.is_doubtful = False
        if self._unheard:
            self._begin(now)

    def promised(self, speech: str, now: float) -> None:
        """The agent is to say something of its own accord."""
        self._promised.add(speech)
        self.is_doubtful = False
        self._begin(now)

    def over(self, speech: str) -> None:
        """What was promised has been said, or will not be."""
        if speech in self._promised:
            self._promised.discard(speech)
            if not self._promised and not self._asked:
                self.since = None

    def arrived(self, now: float) -> None:
        """The caller can hear the agent; nobody waited before."""
        self.since = None if self.since is None else now

    def agent(self, *, speaking: bool, now: float, speech: str | None = None) -> None:
        """`speech`: what it speaks; None: who knows."""
        self.agent_speaks = speaking
        if speaking:
            self._asked, self.since = False, None
            self._promised.discard(speech or "")
        elif self._asked or self._promised:
            self._begin(now)

    def broke_off(self, now: float) -> None:
        """The answer was lost, perhaps in the middle; the rest of it is still owed."""
        self._asked = True
        self._begin(now)

    def dismissed(self) -> None:
        """The answer was called off; the caller waits no more."""
        self._asked, self.since = False, None
        self._promised.clear()

    def _begin(self, now: float, *, doubtful: bool = False) -> None:
        if self.since is None and self._user_since is None and not self.agent_speaks:
            self.since, self.is_doubtful = now, doubtful
