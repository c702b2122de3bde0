"""What job processes log, kept by their worker: a job's last lines, also if it was killed.

Those of jobs that run are also stored every KEEP_EVERY_S, so that they outlive the worker.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from livekit.agents.job import RunningJobInfo

from assistant import log
from assistant.sessions.metadata import JobMetadata
from assistant.worker.record.reporter import Reporter

LINES_PER_JOB = 200
MAX_EVENT_CHARS = 200
#: Of a line's fields in all; the last ones, an exception's text among them, are cut.
MAX_FIELD_CHARS = 300
# More jobs than a worker ever runs; whoever takes none of the lines does not fill its memory.
MAX_JOBS = 500
#: So much of what its jobs have logged goes with a worker that dies.
KEEP_EVERY_S = 1.0
#: What the SDK puts on every line of a job, and a session's log says anyhow.
_OF_THE_JOB = frozenset(
    {"event", "level", "timestamp", "session", "attempt", "pid", "job_id", "room", "room_id"}
)


class JobLogs(logging.Handler):
    """Hears the records that job processes send to their worker, in whichever thread.

    The SDK hands all of a process's records over before it says that the process is gone.
    Source: livekit-agents 1.8.9, `ipc/log_queue.py`, `ipc/supervised_proc.py`.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._jobs: dict[str, deque[logging.LogRecord | dict[str, Any]]] = {}
        self._unstored: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        job: str | None = getattr(record, "job_id", None)
        if job is None:
            return
        if job not in self._jobs:
            if len(self._jobs) >= MAX_JOBS:
                oldest = next(iter(self._jobs))
                self._unstored.discard(oldest)
                del self._jobs[oldest]
            self._jobs[job] = deque(maxlen=LINES_PER_JOB)
        self._jobs[job].append(record)
        self._unstored.add(job)

    async def keep_storing(
        self, reporter: Reporter, running: Callable[[], Iterable[RunningJobInfo]]
    ) -> None:
        """Have the lines of running jobs stored as they come, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            # While Redis is away the lines wait here, and never drive news out of the queue.
            if not reporter.is_behind:
                self.store(reporter, running())

    def store(self, reporter: Reporter, running: Iterable[RunningJobInfo]) -> None:
        """Have the lines stored of those jobs that have logged since."""
        for info in running:
            job = JobMetadata.decode(info.job.metadata)
            if job is not None and info.job.id in self._unstored:
                with self._locked():
                    lines = self._lines(info.job.id)
                reporter.log(job.session, job.attempt, lines)

    def take(self, job: str) -> list[dict[str, Any]]:
        """The last lines of a job that is over, oldest first, redacted; they are forgotten here."""
        with self._locked():
            lines = self._lines(job)
            self._jobs.pop(job, None)
        return lines

    def _lines(self, job: str) -> list[dict[str, Any]]:
        """Behind the lock. A line is made of a record once, however often it is stored."""
        self._unstored.discard(job)
        heard = self._jobs.get(job, ())
        lines = [_line(each) if isinstance(each, logging.LogRecord) else each for each in heard]
        if job in self._jobs:
            self._jobs[job] = deque(lines, maxlen=LINES_PER_JOB)
        return lines

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


def _line(record: logging.LogRecord) -> dict[str, Any]:
    told = log.told(record)
    event, _, more = str(told["event"]).partition("\n")
    fields = {name: value for name, value in told.items() if name not in _OF_THE_JOB}
    if more:
        # The SDK sends an exception's text behind the message.
        fields["exception"] = more
    left, kept = MAX_FIELD_CHARS, {}
    for name, value in fields.items():
        shown = value if isinstance(value, bool | int | float | None) else str(value)
        size = len(name) + len(str(shown))
        if size > left:
            shown = str(shown)[: max(left - len(name), 0)]
        if left <= len(name):
            break
        kept[name] = shown
        left -= size
    return {
        "at": record.created,
        "level": told["level"],
        "event": event[:MAX_EVENT_CHARS],
        "fields": kept,
    }
