"""How long a caller has been waiting for an answer. Pure."""

from dataclasses import dataclass


@dataclass
class Wait:
    """The time between the end of the caller's turn and the first word of the answer.

    Times are monotonic seconds. What the agent does in between does not matter: a failed answer
    leaves the caller as alone as a slow one.
    """

    #: When the caller stopped speaking; None: nobody waits.
    since: float | None = None
    _user_speaks: bool = False
    _agent_speaks: bool = False
    #: Whether there is something to answer in what the caller said last.
    _asked: bool = False

    def user(self, *, speaking: bool, now: float) -> None:
        self._user_speaks = speaking
        if speaking:
            self.since = None
        elif self._asked:
            self._begin(now)

    def asked(self, now: float) -> None:
        """The caller's words, spoken or typed, have been understood."""
        self._asked = True
        self._begin(now)

    def agent(self, *, speaking: bool) -> None:
        self._agent_speaks = speaking
        if speaking:
            self._asked, self.since = False, None

    def dismissed(self) -> None:
        """The answer was called off; the caller waits no more."""
        self._asked, self.since = False, None

    def lasted_s(self, now: float) -> float | None:
        return None if self.since is None else now - self.since

    def _begin(self, now: float) -> None:
        if self.since is None and not self._user_speaks and not self._agent_speaks:
            self.since = now
