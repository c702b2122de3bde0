"""Everything that a Redis holds, as one text to look for something in."""

from typing import Any

from redis import Redis

READERS: dict[str, Any] = {
    "string": lambda redis, key: redis.get(key),
    "hash": lambda redis, key: redis.hgetall(key),
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "set": lambda redis, key: redis.smembers(key),
    "zset": lambda redis, key: redis.zrange(key, 0, -1, withscores=True),
    "stream": lambda redis, key: redis.xrange(key),
}


def everything(redis: Any) -> dict[str, str]:
    """By key; `redis` decodes its answers. A key of an unknown type is an error."""
    held = {}
    for key in redis.scan_iter(count=1000):
        kind = redis.type(key)
        if kind != "none":  # it expired meanwhile
            held[key] = repr(READERS[kind](redis, key))
    return held


def keys_with(url: str, *words: str) -> list[str]:
    """The keys that hold one of the words, in their names or their values; in any case."""
    redis = Redis.from_url(url, decode_responses=True)
    try:
        held = everything(redis)
    finally:
        redis.close()
    assert held, "an empty Redis proves nothing"
    sought = [word.lower() for word in words]
    return sorted(
        key for key, value in held.items() if any(w in f"{key} {value}".lower() for w in sought)
    )
