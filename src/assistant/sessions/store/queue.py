"""Which sessions are due for a check, shared by every replica of the service."""

import time
from collections.abc import Callable

from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated

# A replica that died gives its claims back after this long. Longer than any one call of a
# reconcile, which renews its claim between them.
CLAIM_S = 5.0
RENEW_AFTER_S = 1.0
# The schedule of a deployment that nobody runs any more; live sessions renew it every few seconds.
KEEP_S = 7 * 86_400


class DueQueue:
    """Sessions by the time of their next check. Methods raise StoreUnavailableError."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._clock = clock
        self._claim = redis.register_script(script("due.lua"))
        self._defer = redis.register_script(script("defer.lua"))
        self._renew = redis.register_script(script("renew.lua"))

    async def claim(self, limit: int) -> list[str]:
        """Up to `limit` due sessions, each handed to this caller alone for CLAIM_S."""
        now = self._clock()
        with translated():
            ids: list[str] = await self._claim(keys=[keys.DUE], args=[now, now + CLAIM_S, limit])
        return ids

    async def hold(self, session_id: str) -> float:
        """Claim this one session, due or not, for CLAIM_S; returns until when (Unix seconds).

        Passed on to `check_at`, it makes that do nothing if somebody asked for a check after the
        hold, whose news the holder may not have seen.
        """
        until = self._clock() + CLAIM_S
        await self._set(session_id, until)
        return until

    async def renew(self, session_id: str, held: float) -> float:
        """Hold the session for CLAIM_S from now; returns until when.

        `held` comes back if it was claimed less than RENEW_AFTER_S ago, or if somebody asked for a
        check since.
        """
        until = self._clock() + CLAIM_S
        if until < held + RENEW_AFTER_S:
            return held
        with translated():
            renewed = await self._renew(keys=[keys.DUE], args=[session_id, held, until])
        return until if renewed else held

    async def check_at(
        self, session_id: str, at: float, *, version: int, held: float | None = None
    ) -> None:
        """Look at the session again at `at` (Unix seconds).

        Does nothing if the record is no longer at `version`, or if a check was asked for since
        the hold `held`: that check must not be put off.
        """
        with translated():
            await self._defer(
                keys=[keys.DUE, keys.session(session_id)],
                args=[session_id, at, version, "" if held is None else held],
            )

    async def check_now(self, session_id: str) -> None:
        await self._set(session_id, self._clock())

    async def forget(self, session_id: str) -> None:
        """Never look at the session again; it has ended, and its room is gone."""
        with translated():
            await self._redis.zrem(keys.DUE, session_id)

    async def _set(self, session_id: str, at: float) -> None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zadd(keys.DUE, {session_id: at})
                pipe.expire(keys.DUE, KEEP_S)
                await pipe.execute()
