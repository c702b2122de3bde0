"""How late a loop is, and what holds it: conversations that share a loop wait for each other."""

import asyncio
import selectors
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

BEAT_S = 0.25
#: From here on a loop counts as held: callers hear gaps, since 0.2 s of speech are sent ahead.
HELD_S = 0.5

#: The loop's function, below which there is only what runs it. Source: CPython 3.11 to 3.13.
_LOOP = "_run_once"
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib")})


@dataclass(frozen=True)
class Hold:
    """The loop was so late; `place` is the function that held it, None: nobody saw it."""

    late_s: float
    place: str | None


class LoopWatch:
    """Beats on the running loop; use it as a context manager on the loop's own thread.

    `on_beat` is called with the lateness of each beat, `on_hold` when that was HELD_S or more.
    A thread beside it looks which function does not return.
    """

    def __init__(
        self, *, on_beat: Callable[[float], None], on_hold: Callable[[Hold], None]
    ) -> None:
        self._on_beat = on_beat
        self._on_hold = on_hold
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._beat_at = time.monotonic()
        self._place: str | None = None
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        self._looker = threading.Thread(target=self._look, name="loop watch", daemon=True)
        self._looker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._over.set()
        self._looker.join()

    def _beat(self) -> None:
        now = time.monotonic()
        late_s = max(now - self._beat_at - BEAT_S, 0.0)
        self._beat_at, place, self._place = now, self._place, None
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        if late_s >= HELD_S:
            self._on_hold(Hold(late_s, place))
        self._on_beat(late_s)

    def _look(self) -> None:
        while not self._over.wait(BEAT_S):
            if self._place is None and time.monotonic() - self._beat_at > BEAT_S + HELD_S / 2:
                frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001
                self._place = place_of(frame) if frame is not None else None


def place_of(frame: FrameType) -> str | None:
    """`module:function`, as agents.yaml names tools: the innermost that is no library's, else the
    library's own; None: the loop waits, and it is the machine that does not let it run.
    """
    candidate: FrameType | None = frame
    while candidate is not None and candidate.f_code.co_name != _LOOP:
        if not candidate.f_code.co_filename.startswith(_LIBRARIES):
            return _name(candidate)
        candidate = candidate.f_back
    return None if frame.f_code.co_filename == selectors.__file__ else _name(frame)


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}"
