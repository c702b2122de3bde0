"""Setting a logger's level to what it is already, without Python's looking at all loggers.

The SDK tells each job process the level of every logger there is, some 130, which the process has
from the worker by birth. Each time Python has all of them forget what they have looked up, so that
each process writes to the pages of all of them, 130 times.
"""

import logging

_set = logging.Logger.setLevel


def set_level(logger: logging.Logger, level: int | str) -> None:
    """As `Logger.setLevel`, which checks `level` too."""
    if logger.level != level:
        _set(logger, level)


def install() -> None:
    """In this process and in those that are forked off it."""
    logging.Logger.setLevel = set_level  # type: ignore[method-assign, assignment]
