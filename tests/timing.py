"""Time limits of the tests, scaled by one factor for slow machines."""

import os

TIME_SCALE = float(os.environ.get("TEST_TIME_SCALE", "1"))


def scaled(seconds: float) -> float:
    """A time limit of `seconds` on the reference machine (2 cores), scaled for this one."""
    return seconds * TIME_SCALE
