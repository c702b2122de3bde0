"""Whom the conversation's parts tell of it, where there is no session."""

from collections.abc import Callable

from assistant.console.screen import Screen
from assistant.sessions import events as ev
from assistant.sessions.record import Reason


class Terminal:
    """Shows what a session's timeline would have; `end` ends the conversation for a reason."""

    session_id = "console"
    attempt = 1

    def __init__(self, screen: Screen, end: Callable[[Reason, str | None], None]) -> None:
        self._screen = screen
        self._end = end

    def tell(self, event: ev.Event) -> None:
        match event:
            case ev.DeadAir(silence_s=silence_s, apologized=apologized):
                told = "the caller is told" if apologized else "there is nothing to tell the caller"
                self._screen.note(f"no answer for {silence_s:.1f} s; {told}", style="yellow")
            case ev.EndRequested(reason=reason, detail=detail):
                self._end(reason, detail)
            case _:
                pass  # What is only counted.
