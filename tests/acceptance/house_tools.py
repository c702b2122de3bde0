"""Tools that an agent's neighbours in its process have to live with."""

import time

HELD_S = 1.5


async def alarm() -> str:
    """Raises."""
    raise RuntimeError("the alarm is broken")


async def siesta() -> str:
    """Holds the loop of its process, as no function should."""
    time.sleep(HELD_S)  # noqa: ASYNC251 - that is what it is for
    return "It was a short siesta."
