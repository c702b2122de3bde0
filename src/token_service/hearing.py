"""Since when LiveKit answers without a break. Pure."""

# Shorter silences hide no restart; one lost packet must not put off that a lost agent is replaced.
BREAK_S = 2.0


class Hearing:
    """What a replica learns from its own looks; times are Unix seconds."""

    def __init__(self) -> None:
        self._answered_at: float | None = None
        self._failing = False
        #: When LiveKit answered for the first time after its last long silence; None: it never
        #: was silent for long.
        self.since: float | None = None

    def looked(self, at: float, *, answered: bool) -> None:
        """A look that was over at `at`."""
        if not answered:
            self._failing = True
            return
        silent_s = 0.0 if self._answered_at is None else at - self._answered_at
        # No looks in between are no silence.
        if self._failing and silent_s > BREAK_S:
            self.since = at
        self._failing = False
        self._answered_at = at
