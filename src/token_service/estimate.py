"""How long a waiting session will probably wait. Pure arithmetic."""

from collections.abc import Sequence

# Fewer freed slots than this say nothing about the next one.
MIN_HOLDS = 3


def estimated_wait_s(position: int, slots: int, holds_s: Sequence[float]) -> float | None:
    """Seconds until the session at `position` (from 1) takes a slot; None: nobody knows.

    With all `slots` in use, and each held for `h` seconds on average, one comes free every
    `h / slots` seconds, so the n-th in the queue waits `n * h / slots`. `holds_s` are the seconds
    for which the slots that were freed last had been held. Without a slot, or with fewer than
    MIN_HOLDS holds, there is no telling.
    """
    if position < 1 or slots < 1 or len(holds_s) < MIN_HOLDS:
        return None
    return position * (sum(holds_s) / len(holds_s)) / slots
