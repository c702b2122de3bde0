"""What a session's jobs have logged, as it is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from token_service.answers import Answer


class LogLineAnswer(Answer):
    attempt: int
    at: float
    level: str
    """`info`, `warning`, `error` or `critical`."""
    event: str
    fields: dict[str, Any]
    """Redacted, as logs are; never what was said."""


class LogsAnswer(Answer):
    session_id: str
    lines: list[LogLineAnswer]
    """Oldest first; of each attempt the last 200, up to about a second ago while it runs."""

    @classmethod
    def of(cls, session_id: str, logs: Mapping[int, Sequence[Mapping[str, Any]]]) -> "LogsAnswer":
        lines = [
            LogLineAnswer(
                attempt=attempt,
                at=line["at"],
                level=line["level"],
                event=line["event"],
                fields=line["fields"],
            )
            for attempt, told in sorted(logs.items())
            for line in told
        ]
        return cls(session_id=session_id, lines=lines)
