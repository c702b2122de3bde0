"""Whether a Redis or Valkey is one that keeps what it is told, by its own INFO. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from assistant.findings import Finding, fail, ok, warn

OLDEST_REDIS = (7, 0)  # ZADD LT, XADD NOMKSTREAM and the like; older ones are out of support.


def examine(info: Mapping[str, Any], latency_s: float) -> Iterator[Finding]:
    """What its INFO says; `latency_s`: how long it took to answer a PING."""
    yield _version(info, latency_s * 1000)
    yield _policy(info)
    yield _persistence(info)


def major_minor(version: str) -> tuple[int, int] | None:
    """The first two numbers of a version; None: it has none."""
    parts = version.lstrip("v").split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    return int(parts[0]), int(parts[1])


def _version(info: Mapping[str, Any], took_ms: float) -> Finding:
    name = "Valkey" if info.get("valkey_version") else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "")
    detail = f"{name} {version or 'of unknown version'}, answers in {took_ms:.1f} ms"
    known = major_minor(version)
    if known is not None and known < OLDEST_REDIS:
        return fail("redis", detail, "use Redis 7 or Valkey 7.2, or newer")
    return ok("redis", detail)


def _policy(info: Mapping[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction" or not info.get("maxmemory"):
        return ok("redis eviction", f"{policy}, maxmemory {info.get('maxmemory', 0)}")
    return fail(
        "redis eviction",
        f"maxmemory-policy is {policy}: it may drop live sessions",
        "set maxmemory-policy noeviction, or use a Redis of its own",
    )


def _persistence(info: Mapping[str, Any]) -> Finding:
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status") not in {None, "ok"}:
            return fail("redis persistence", "the last AOF write failed", "see its disk and log")
        return ok("redis persistence", "append-only file")
    return warn(
        "redis persistence",
        "no append-only file: a restart forgets the sessions",
        "set appendonly yes",
    )
