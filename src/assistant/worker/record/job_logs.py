"""What job processes log, kept by their worker: a job's last lines, also if it was killed."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from assistant import log

LINES_PER_JOB = 200
MAX_EVENT_CHARS = 200
#: Of a line's fields in all; the last ones, an exception's text among them, are cut.
MAX_FIELD_CHARS = 300
# More jobs than a worker ever runs; whoever takes none of the lines does not fill its memory.
MAX_JOBS = 500
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
        self._jobs: dict[str, deque[logging.LogRecord]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        job: str | None = getattr(record, "job_id", None)
        if job is None:
            return
        if job not in self._jobs:
            if len(self._jobs) >= MAX_JOBS:
                self._jobs.pop(next(iter(self._jobs)))
            self._jobs[job] = deque(maxlen=LINES_PER_JOB)
        self._jobs[job].append(record)

    def take(self, job: str) -> list[dict[str, Any]]:
        """The last lines of a job that is over, oldest first, redacted; they are forgotten here."""
        self.acquire()
        try:
            records: Sequence[logging.LogRecord] = self._jobs.pop(job, ())
        finally:
            self.release()
        return [_line(record) for record in records]


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
