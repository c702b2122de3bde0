"""Is Redis there, and set up so that it keeps what it is told?"""

import time
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from assistant.operator.findings import Finding, fail, ok, warn

OLDEST_REDIS = (7, 0)  # ZADD LT, XADD NOMKSTREAM and the like; older ones are out of support.
# Workers' beats and sessions' deadlines are compared with clocks of several hosts.
CLOCK_WARN_S = 1.0
CLOCK_FAIL_S = 30.0


async def check_redis(redis: Redis) -> AsyncIterator[Finding]:
    """Everything about Redis; stops at the first answer that does not come."""
    try:
        asked_at = time.monotonic()
        await redis.ping()
        took_ms = (time.monotonic() - asked_at) * 1000
        info = await redis.info()
    except (RedisError, OSError) as error:
        cause = str(error) or type(error).__name__
        yield fail("redis", cause, "start it, or correct REDIS_URL")
        return
    yield _version(info, took_ms)
    yield _policy(info)
    yield _persistence(info)
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


def major_minor(version: str) -> tuple[int, int] | None:
    """The first two numbers of a version; None: it has none."""
    parts = version.lstrip("v").split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    return int(parts[0]), int(parts[1])


def _version(info: dict[str, Any], took_ms: float) -> Finding:
    name = "Valkey" if info.get("valkey_version") else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "")
    detail = f"{name} {version or 'of unknown version'}, answers in {took_ms:.1f} ms"
    known = major_minor(version)
    if known is not None and known < OLDEST_REDIS:
        return fail("redis", detail, "use Redis 7 or Valkey 7.2, or newer")
    return ok("redis", detail)


def _policy(info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction" or not info.get("maxmemory"):
        return ok("redis eviction", f"{policy}, maxmemory {info.get('maxmemory', 0)}")
    return fail(
        "redis eviction",
        f"maxmemory-policy is {policy}: it may drop live sessions",
        "set maxmemory-policy noeviction, or use a Redis of its own",
    )


def _persistence(info: dict[str, Any]) -> Finding:
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status") not in {None, "ok"}:
            return fail("redis persistence", "the last AOF write failed", "see its disk and log")
        return ok("redis persistence", "append-only file")
    return warn(
        "redis persistence",
        "no append-only file: a restart forgets the sessions",
        "set appendonly yes",
    )
