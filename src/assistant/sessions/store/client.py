"""The connection to Redis, and the translation of its errors."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.connection import HiredisRespSerializer
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from assistant.sessions.errors import StoreUnavailableError

CONNECT_TIMEOUT_S = 2.0
# Longer than a slow disk's fsync pause, shorter than a caller's patience.
ANSWER_TIMEOUT_S = 1.0
POOL_WAIT_S = 2.0
MAX_CONNECTIONS = 32
RETRIES = (
    1  # A connection that Redis dropped while idle is replaced once; more would hide an outage.
)
# What each connection says it is; left to the client, each looks its package up on disk for it.
DRIVER = DriverInfo()


def connect(url: str) -> Redis:
    """A client with bounded waits; connects at its first command.

    Raises:
        ValueError: `url` is not a Redis URL.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        decode_responses=True,
        max_connections=MAX_CONNECTIONS,
        timeout=POOL_WAIT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        driver_info=DRIVER,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.2), RETRIES),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    pool.connection_class = _packing(pool.connection_class)
    return Redis.from_pool(pool)


class _Packing:
    """Writes commands in C, as redis-py's blocking client does; its other one does it in Python.

    Source: redis 8.1.0, asyncio/connection.py.
    """

    _serializer = HiredisRespSerializer()

    def pack_command(self, *args: Any) -> list[bytes]:
        packed: list[bytes] = self._serializer.pack(*args)
        return packed


def _packing(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    return type(f"Packing{kind.__name__}", (_Packing, kind), {})


def connect_blocking(url: str, *, block_s: float) -> Redis:
    """A client for one connection, patient enough for reads that block for `block_s`."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=block_s + ANSWER_TIMEOUT_S,
        driver_info=DRIVER,
    )


def entries_of(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """The entries of an XREAD of one stream, whichever shape the client gives it."""
    if not answer:
        return []
    found = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    # RESP3's maps hold the entries one list deeper.
    if found and isinstance(found[0], list) and found[0] and not isinstance(found[0][0], str):
        found = found[0]
    return [(entry_id, row) for entry_id, row in found]


@contextmanager
def translated() -> Iterator[None]:
    """Turn every error of the Redis client into ours; inside a task.

    Raises:
        StoreUnavailableError: Redis did not answer, or refused.
        CancelledError: the task was cancelled meanwhile, and the client did not say so.
    """
    cancelled = _cancellations()
    try:
        yield
    except (RedisError, OSError) as error:
        if _cancellations() > cancelled:
            raise asyncio.CancelledError from error
        raise StoreUnavailableError(str(error) or type(error).__name__) from error
    # The client sends with asyncio.wait_for, which before Python 3.12 loses a cancellation that
    # comes just when the sending is done; a loop would then never end.
    if _cancellations() > cancelled:
        raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def script(name: str) -> str:
    return resources.files("assistant.sessions.store").joinpath(name).read_text(encoding="utf-8")
