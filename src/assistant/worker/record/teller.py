"""What one job tells its session, and whether the session knows yet why the job ends."""

import os
import time

from assistant.sessions import events as ev
from assistant.sessions.item import Item
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.usage import Spent
from assistant.worker.record.discretion import NOTHING, Discretion
from assistant.worker.record.reporter import Reporter


class Teller:
    """Speaks for one attempt of one session; nothing here waits."""

    def __init__(self, reporter: Reporter, metadata: JobMetadata, *, worker: str) -> None:
        self._reporter = reporter
        self._worker = worker
        self.session_id = metadata.session
        self.attempt = metadata.attempt
        #: What may be told of what is said: nothing, until the session's agent is known.
        self.discretion: Discretion = NOTHING
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

    def keep(self, item: Item) -> None:
        """Have something kept that was said, as far as it may be."""
        kept = self.discretion.item(item)
        if kept is not None:
            self._reporter.keep(self.session_id, self.attempt, kept)

    def spend(self, spent: Spent) -> None:
        """Have written down what this attempt has used so far, in all."""
        self._reporter.spend(self.session_id, self.attempt, spent)
