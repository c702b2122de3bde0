"""Is Redis there, and set up so that it keeps what it is told?"""

import time
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from assistant.findings import Finding, fail, ok, warn
from assistant.sessions.store.server import examine

# Workers' beats and sessions' deadlines are compared with clocks of several hosts.
CLOCK_WARN_S = 1.0
CLOCK_FAIL_S = 30.0


async def check_redis(redis: Redis) -> AsyncIterator[Finding]:
    """Everything about Redis; stops at the first answer that does not come."""
    try:
        asked_at = time.monotonic()
        await redis.ping()
        latency_s = time.monotonic() - asked_at
        info = await redis.info()
    except (RedisError, OSError) as error:
        cause = str(error) or type(error).__name__
        yield fail("redis", cause, "start it, or correct REDIS_URL")
        return
    for finding in examine(info, latency_s):
        yield finding
    try:
        before = time.time()
        seconds, microseconds = await redis.time()
        middle = (before + time.time()) / 2
    except (RedisError, OSError) as error:
        yield fail("redis clock", str(error) or type(error).__name__, "see Redis's log")
        return
    yield clock_finding("redis clock", seconds + microseconds / 1e6 - middle, CLOCK_WARN_S)


def clock_finding(check: str, ahead_s: float, warn_above_s: float) -> Finding:
    """How far another host's clock is from ours; positive: it is ahead."""
    detail = f"{ahead_s:+.2f} s from this host's"
    if abs(ahead_s) > CLOCK_FAIL_S:
        return fail(check, detail, "run NTP on both hosts; tokens and deadlines depend on it")
    if abs(ahead_s) > warn_above_s:
        return warn(check, detail, "run NTP on both hosts")
    return ok(check, detail)
