"""Leaving out what is not set, so that the plugins' own defaults apply."""

from typing import Any


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
