"""What the tools of one session may still cost."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from livekit.agents.llm import ToolError

from assistant.catalog.tools import ToolLimits
from assistant.sessions.item import Item

BYTES_PER_TOKEN = 4  # English prose; an estimate suffices, since the bound is there against floods.
#: What costs nothing, and is always allowed.
FREE = frozenset({"date_time", "end_call"})
_USED_UP = "This conversation has used up its {what}. Go on without tools."


class Allowance:
    """Counts calls, their time and their results; refuses in words for the model.

    `said` is what earlier attempts of the session left on record: what their tools cost is gone.
    """

    def __init__(
        self,
        limits: ToolLimits,
        said: Iterable[Item] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._calls = 0
        self._spent_s = 0.0
        self._tokens = 0
        for item in said:
            if item.tool is not None and item.tool.name not in FREE:
                self._calls += 1
                self._spent_s += (item.ended_at or item.at) - (item.started_at or item.at)
                self._tokens += _tokens(item.tool.output)

    @property
    def left_s(self) -> float:
        return max(self._limits.max_total_s - self._spent_s, 0.0)

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call, from its admission to its end.

        Raises:
            ToolError: nothing is left.
        """
        if self._calls >= self._limits.max_calls:
            raise ToolError(_USED_UP.format(what="calls of tools"))
        if self.left_s <= 0:
            raise ToolError(_USED_UP.format(what="time for tools"))
        if self._tokens >= self._limits.max_result_tokens:
            raise ToolError(_USED_UP.format(what="room for results of tools"))
        self._calls += 1
        started = self._clock()
        try:
            yield
        finally:
            self._spent_s += self._clock() - started

    def take(self, result: str) -> str:
        """The result, if it still fits.

        Raises:
            ToolError: it does not.
        """
        self._tokens += _tokens(result)
        if self._tokens > self._limits.max_result_tokens:
            raise ToolError(_USED_UP.format(what="room for results of tools"))
        return result


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)
