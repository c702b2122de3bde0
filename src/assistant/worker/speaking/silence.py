"""How long a caller has been waiting for an answer. Pure."""

from dataclasses import dataclass

# Sounds of a caller of which nobody understood a word are taken for speech from this length on.
UNHEARD_S = 1.0


@dataclass
class Wait:
    """The time between the end of the caller's turn and the first word of the answer.

    Times are monotonic seconds. What the agent does in between does not matter: a failed answer
    leaves the caller as alone as a slow one.
    """

    #: When the caller stopped speaking; None: nobody waits.
    since: float | None = None
    #: Nobody knows whether there is something to answer: no words were found in what was said.
    is_doubtful: bool = False
    _user_since: float | None = None
    _agent_speaks: bool = False
    #: Whether there is something to answer in what the caller said last.
    _asked: bool = False

    def user(self, *, speaking: bool, now: float) -> None:
        spoke_since, self._user_since = self._user_since, now if speaking else None
        if speaking:
            self.since = None
        elif self._asked:
            self._begin(now)
        elif spoke_since is not None and now >= spoke_since + UNHEARD_S:
            self._begin(now, doubtful=True)

    def asked(self, now: float) -> None:
        """The caller's words, spoken or typed, have been understood."""
        self._asked, self.is_doubtful = True, False
        self._begin(now)

    def agent(self, *, speaking: bool, now: float) -> None:
        self._agent_speaks = speaking
        if speaking:
            self._asked, self.since = False, None
        elif self._asked:
            self._begin(now)

    def broke_off(self, now: float) -> None:
        """The answer was lost, perhaps in the middle; the rest of it is still owed."""
        self._asked = True
        self._begin(now)

    def dismissed(self) -> None:
        """The answer was called off; the caller waits no more."""
        self._asked, self.since = False, None

    def lasted_s(self, now: float) -> float | None:
        return None if self.since is None else now - self.since

    def _begin(self, now: float, *, doubtful: bool = False) -> None:
        if self.since is None and self._user_since is None and not self._agent_speaks:
            self.since, self.is_doubtful = now, doubtful
