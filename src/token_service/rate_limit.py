"""How many tokens and starts one user or address may ask for in a minute, counted in Redis.

| key | type | holds | written by | expires |
|---|---|---|---|---|
| `assistant:rate:{hash}:{minute}` | string | calls in that minute | rate_limit.py | 2 minutes |

Fixed windows: around a minute's turn, twice the limit may pass. That is enough against a flood,
and costs one round trip.
"""

import hashlib
import time
from collections.abc import Callable

from redis.asyncio import Redis

from assistant.sessions.store.client import translated
from token_service.auth import Caller
from token_service.errors import RateLimitedError

WINDOW_S = 60


class RateLimiter:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis, *, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._limit = limit
        self._clock = clock

    async def count(self, caller: Caller, user_id: str) -> None:
        """Count one token or start of a user; behind a publishable key, of an address.

        A page names its users as it likes: a flood would hide behind many names, or use up
        somebody else's.

        Raises:
            RateLimitedError: there were too many; says when the next will pass.
        """
        now = self._clock()
        window = int(now // WINDOW_S)
        by_address = caller.is_public and caller.address is not None
        key = _key(f"address:{caller.address}" if by_address else f"user:{user_id}", window)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.incr(key)
                pipe.expire(key, 2 * WINDOW_S)
                count, _ = await pipe.execute()
        if count > self._limit:
            raise RateLimitedError(self._limit, (window + 1) * WINDOW_S - now)


def _key(subject: str, window: int) -> str:
    # Hashed, so that user ids and addresses do not stand in key listings.
    return f"assistant:rate:{hashlib.sha256(subject.encode()).hexdigest()[:32]}:{window}"
