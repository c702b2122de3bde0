"""How many tokens and starts one user or address may ask for in a minute, counted in Redis.

| key | type | holds | written by | expires |
|---|---|---|---|---|
| `assistant:rate:{hash}:{minute}` | string | calls in that minute | glance.lua | 2 minutes |

Fixed windows: around a minute's turn, twice the limit may pass. That is enough against a flood,
and the count is had in the trip to Redis that every such call makes.
"""

import hashlib
import time
from collections.abc import Callable

from token_service.auth import Caller
from token_service.errors import RateLimitedError

WINDOW_S = 60
#: A window's counter is of no use afterwards; clocks of replicas may differ.
KEEP_S = 2 * WINDOW_S


class RateLimiter:
    """Knows whom a call counts for, and what is too many. Pure but for its clock."""

    def __init__(self, *, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._clock = clock

    def counter(self, caller: Caller, user_id: str) -> str:
        """The key to count a token or start of a user under; behind a publishable key, an address.

        A page names its users as it likes: a flood would hide behind many names, or use up
        somebody else's.
        """
        window = int(self._clock() // WINDOW_S)
        by_address = caller.is_public and caller.address is not None
        return _key(f"address:{caller.address}" if by_address else f"user:{user_id}", window)

    def check(self, count: int) -> None:
        """Refuse what is too many.

        Raises:
            RateLimitedError: says when the next will pass.
        """
        if count > self._limit:
            now = self._clock()
            raise RateLimitedError(self._limit, WINDOW_S - now % WINDOW_S)


def _key(subject: str, window: int) -> str:
    # Hashed, so that user ids and addresses do not stand in key listings.
    return f"assistant:rate:{hashlib.sha256(subject.encode()).hexdigest()[:32]}:{window}"
