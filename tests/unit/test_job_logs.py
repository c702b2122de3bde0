"""A job's last lines, as its worker keeps them."""

import json
import logging
from typing import Any

from assistant.worker.record.job_logs import (
    LINES_PER_JOB,
    MAX_EVENT_CHARS,
    MAX_FIELD_CHARS,
    MAX_JOBS,
    JobLogs,
)


def said(event: str, level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("assistant.worker.job", level, "job.py", 1, event, (), None)
    vars(record).update(fields)
    return record


def test_each_job_has_its_own_lines_once() -> None:
    """As they were logged, without what the session says of itself; then they are forgotten."""
    logs = JobLogs()
    logs.handle(said("worker.beat"))
    logs.handle(said("job.leaving", job_id="a", room="r", session="s", attempt=1, why="superseded"))
    logs.handle(said("job.inactive", logging.WARNING, job_id="b"))
    (line,) = logs.take("a")
    assert (line["event"], line["level"]) == ("job.leaving", "info")
    assert line["fields"] == {"why": "superseded", "logger": "assistant.worker.job"}
    assert logs.take("a") == []
    assert [each["level"] for each in logs.take("b")] == ["warning"]


def test_lines_are_redacted_and_bounded() -> None:
    """No secret and no number of anybody's; an exception's text is a field, and cut."""
    logs = JobLogs()
    text = "Traceback\n" + "x" * 5000
    logs.handle(
        said(f"job.failed {'y' * 500}\n{text}", logging.ERROR, job_id="a", api_key="secret-1")
    )
    logs.handle(said("said", job_id="a", to="jane@example.com", words={"lk": "4111111111111111"}))
    failed, told = logs.take("a")
    assert len(failed["event"]) == MAX_EVENT_CHARS
    assert failed["fields"]["exception"].startswith("Traceback")
    assert sum(len(k) + len(v) for k, v in failed["fields"].items()) <= MAX_FIELD_CHARS
    assert "secret-1" not in json.dumps(failed)
    assert told["fields"]["to"] == "[email]"
    assert "4111" not in json.dumps(told)


def test_what_is_kept_is_bounded() -> None:
    """Of a job the last lines, and of all jobs the newest ones, though nobody takes them."""
    logs = JobLogs()
    for n in range(LINES_PER_JOB + 5):
        logs.handle(said("line", job_id="a", n=n))
    kept = logs.take("a")
    assert [kept[0]["fields"]["n"], kept[-1]["fields"]["n"]] == [5, LINES_PER_JOB + 4]
    for n in range(MAX_JOBS + 1):
        logs.handle(said("line", job_id=f"job-{n}"))
    assert logs.take("job-0") == []
    assert len(logs.take("job-1")) == 1
    logs.handle(said("detail", logging.DEBUG, job_id="d"))
