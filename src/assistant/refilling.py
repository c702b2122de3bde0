"""When a pool fills up again: not while the agents that emptied it join their rooms. Pure.

Making a process takes CPU for which they, and their callers, would wait.
"""

# An agent alone has been heard by then, also by a browser on the same machine.
AFTER_START_S = 1.0
# More starts than processes: each core has several agents to bring in.
AFTER_BURST_S = 2.0
# The SDK looks every 0.1 s whether a process is missing. However many starts follow each other,
# it gets to see it.
OPEN_S = 0.25


class Refilling:
    """Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._since = self._until = float("-inf")

    def started(self, now: float, *, emptied: bool) -> float | None:
        """A job took a process; until when none is made for the pool. None: go on making them.

        `emptied`: it took the last one.
        """
        if now >= self._until:
            if now < self._until + OPEN_S:
                return None
            self._since, self._until = now, now + AFTER_START_S
        if emptied:
            self._until = self._since + AFTER_BURST_S
        return self._until
