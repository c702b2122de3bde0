"""Functions that tests declare as Python tools."""

import time
from typing import Literal

added: list[tuple[int, int]] = []


async def add_numbers(first: int, second: int) -> int:
    """Adds two numbers.

    Args:
        first: The one.
        second: The other.
    """
    added.append((first, second))
    return first + second


def look_up_slowly(shelf: Literal["top", "bottom"]) -> dict[str, str]:
    """Looks into a shelf; blocks while it does."""
    time.sleep(0.05)
    return {"shelf": shelf}


def burst(secret: str) -> str:
    """Raises."""
    raise RuntimeError(secret)


def flood() -> str:
    """Gives back more than a model can read."""
    return "x" * 100_000


NOT_A_FUNCTION = 5
