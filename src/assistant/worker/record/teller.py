"""What one job tells its session, and whether the session knows yet why the job ends."""

import os
import time
from collections.abc import Iterable
from typing import Protocol

from assistant.sessions import events as ev
from assistant.sessions.item import Item
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.usage import Spent
from assistant.worker.record.discretion import NOTHING, Discretion
from assistant.worker.record.reporter import Reporter


class Tells(Protocol):
    """Whoever is told of what happens in a conversation: a session, or a terminal."""

    @property
    def session_id(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    def tell(self, event: ev.Event) -> None: ...


class Teller:
    """Speaks for one attempt of one session; nothing here waits."""

    def __init__(self, reporter: Reporter, metadata: JobMetadata, *, worker: str) -> None:
        self._reporter = reporter
        self._worker = worker
        self.session_id = metadata.session
        self.attempt = metadata.attempt
        #: What may be told of what is said: nothing, until the session's agent is known.
        self.discretion: Discretion = NOTHING
        #: Whether anything is written down that this attempt is in the middle of.
        self._has_begun = False
        #: Whether the session knows why this job ends, or need not.
        self.accounted = False

    def tell(self, event: ev.Event) -> None:
        self.accounted = self.accounted or isinstance(event, ev.EndRequested | ev.AgentLost)
        self._reporter.tell(self.session_id, event)

    def tell_lost(self, detail: str) -> None:
        """This attempt is over although the session is not."""
        lost = ev.AgentLost(
            at=time.time(),
            attempt=self.attempt,
            detail=detail,
            worker=self._worker,
            pid=os.getpid(),
        )
        self.tell(lost)

    def keep(self, item: Item, unfinished: Iterable[Item] = ()) -> None:
        """Have something kept that was said, as far as it may be.

        `unfinished`: what the agent is in the middle of now, as in `begin`.
        """
        kept = self.discretion.item(item)
        if kept is not None:
            rest = self._as_far_as_may_be(unfinished)
            self._has_begun = bool(rest)
            self._reporter.keep(self.session_id, self.attempt, kept, rest)

    def begin(self, unfinished: Iterable[Item]) -> None:
        """Have written down what is on record if the agent is lost now; nothing else of it is."""
        rest = self._as_far_as_may_be(unfinished)
        if rest or self._has_begun:
            self._reporter.begin(self.session_id, self.attempt, rest)
        self._has_begun = bool(rest)

    def _as_far_as_may_be(self, unfinished: Iterable[Item]) -> tuple[Item, ...]:
        known = (self.discretion.unfinished(item) for item in unfinished)
        return tuple(item for item in known if item is not None)

    def spend(self, spent: Spent) -> None:
        """Have written down what this attempt has used so far, in all."""
        self._reporter.spend(self.session_id, self.attempt, spent)
