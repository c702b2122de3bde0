"""Logging: structlog through stdlib, one constant event name and fields a line."""

import logging
import logging.config
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

_RESERVED = (frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}) - {
    "exc_info",
    "stack_info",
}
_REDACTED_FIELDS = ("token", "secret", "api_key", "authorization", "password")


def configure(*, level: str, style: Literal["auto", "json", "text"]) -> None:
    """Send every log record of the process to standard error.

    `style` "auto" writes text on a terminal and JSON lines elsewhere.
    """
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    renderer: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiohttp.access", "httpx", "httpx2", "httpcore", "openai", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    configure_events()


def configure_events() -> None:
    """Turn our log calls into stdlib records: the event's name as message, the fields as extras.

    All that a job process needs, since the SDK sends its records to the worker.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            _unreserve,
            structlog.stdlib.render_to_log_kwargs,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose first argument is a constant event name, and whose keywords are fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _unreserve(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Rename fields that stdlib's records keep for themselves; it raises at them."""
    for key in _RESERVED & event.keys():
        event[f"{key}_"] = event.pop(key)
    return event


def _redact(_logger: Any, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """A last guard: a field with a secret's name never reaches the output."""
    return {
        key: "[redacted]" if any(part in key.lower() for part in _REDACTED_FIELDS) else value
        for key, value in event.items()
    }
