"""Logging: structlog through stdlib, one constant event name and fields a line.

Nothing personal gets into a log: secrets by their fields' names, what callers say by the mark that
the SDK sets (`lk.pii.`), and e-mail addresses, phone and card numbers wherever they stand.
"""

import json
import logging
import logging.config
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

import structlog

from assistant.redaction import redacted, redacted_value

_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_RESERVED = _OF_RECORDS - {"exc_info", "stack_info"}
_REDACTED_FIELDS = ("token", "secret", "api_key", "authorization", "password")
# What the SDK itself says to hold somebody's words. Source: livekit-agents 1.8.9.
_WORDS_PREFIX = "lk.pii."
# Ids, that may look like numbers of somebody's; a line without them helps nobody.
_NEVER_PERSONAL = frozenset(
    {"timestamp", "level", "logger", "session", "room", "worker", "attempt", "jobID", "roomID"}
)
_json = json.JSONEncoder(default=str).encode
_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=MappingProxyType({}))
_OURS = ("assistant", "token_service")


def configure(*, level: str, style: Literal["auto", "json", "text"]) -> None:
    """Send every log record of the process to standard error.

    `style` "auto" writes text on a terminal and JSON lines elsewhere.
    """
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_text_lines() if as_text else _JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiohttp.access", "httpx", "httpx2", "httpcore", "openai", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _text_lines() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            # Its other way of showing exceptions has all variables' values.
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
    )


class _JsonLines(logging.Formatter):
    """A JSON object a line. Servers write one a request, so this one takes the short way."""

    def format(self, record: logging.LogRecord) -> str:
        return _json(told(record))


def told(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says of a record: its fields, redacted."""
    line = {
        key: _shown(key, value) for key, value in vars(record).items() if key not in _OF_RECORDS
    }
    line["event"] = redacted(record.getMessage())
    line["logger"] = record.name
    line["level"] = record.levelname.lower()
    at = datetime.fromtimestamp(record.created, UTC)
    line["timestamp"] = at.isoformat().replace("+00:00", "Z")
    if record.exc_info:
        line["exception"] = redacted(logging.Formatter().formatException(record.exc_info))
    return line


class Log:
    """A logger of ours. A line that the level leaves out costs next to nothing."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        self.say(logging.DEBUG, event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        self.say(logging.INFO, event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        self.say(logging.WARNING, event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        self.say(logging.ERROR, event, **fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error, with the exception that is being handled."""
        self.say(logging.ERROR, event, exc_info=True, **fields)

    def says(self, level: int) -> bool:
        """Whether a line of this level is written."""
        return self._logger.isEnabledFor(level)

    def say(
        self, level: int, event: str, *, exc_info: BaseException | bool = False, **fields: Any
    ) -> None:
        """A line of any level. `exc_info`: with that exception; True: the one being handled."""
        if not self._logger.isEnabledFor(level):
            return
        extra = dict(_bound.get()) | fields
        for key in _RESERVED & extra.keys():
            # Records keep these for themselves, and raise at them.
            extra[f"{key}_"] = extra.pop(key)
        raised: Any = sys.exc_info() if exc_info else None
        if isinstance(exc_info, BaseException):
            raised = (type(exc_info), exc_info, exc_info.__traceback__)
        logger = self._logger
        # As `logger.log` does, which first goes through the stack for the place of the call: our
        # events' names are places enough.
        logger.handle(logger.makeRecord(logger.name, level, "", 0, event, (), raised, extra=extra))


def bind(**fields: Any) -> None:
    """Put fields on every line of this task, and of those that it begins; replaces earlier ones."""
    _bound.set(fields)


def get(name: str) -> Log:
    """A logger whose first argument is a constant event name, and whose keywords are fields."""
    return Log(name)


def _redact(_logger: Any, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A last guard over every field, the event's name and an exception's text among them."""
    return {key: _shown(key, value) for key, value in event.items()}


@lru_cache(maxsize=1024)
def _is_withheld(key: str) -> bool:
    """Whether a field of this name is never shown."""
    return key.startswith(_WORDS_PREFIX) or any(part in key.lower() for part in _REDACTED_FIELDS)


def _shown(key: str, value: Any) -> Any:
    if _is_withheld(key):
        return "[redacted]"
    if key in _NEVER_PERSONAL or value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict | list | tuple):
        return redacted_value(value)
    # What the renderer would make of it, or of its attributes, is not ours to know.
    return redacted(str(value))


class _PlaceOnly(logging.Filter):
    """Leaves of a record what cannot hold anybody's words: where it comes from, and how bad it is.

    Our own records keep event and fields, which are never words, but not an exception's text.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[0] if record.exc_info else None
        record.exc_info, record.exc_text, record.stack_info = None, None, None
        if not record.name.startswith(_OURS):
            for name in vars(record).keys() - _RESERVED - {"exc_info", "stack_info"}:
                delattr(record, name)
            record.msg, record.args = "library.said", ()
            record.place = f"{record.module}:{record.lineno}"
        if error is not None:
            record.error_type = error.__name__
        return True


_place_only = _PlaceOnly()


def withhold_words() -> None:
    """From now on no line of this process says what a library or an exception has to say.

    For a job of a conversation of which nothing may be written down. Jobs that share its process
    share this too, to the process's end: no line of a library tells for sure whose words it has.
    """
    for handler in logging.getLogger().handlers:
        handler.addFilter(_place_only)
