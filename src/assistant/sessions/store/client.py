"""The connection to Redis, and the translation of its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
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
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.2), RETRIES),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    return Redis.from_pool(pool)


@contextmanager
def translated() -> Iterator[None]:
    """Turn every error of the Redis client into ours.

    Raises:
        StoreUnavailableError: Redis did not answer, or refused.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailableError(str(error) or type(error).__name__) from error


def script(name: str) -> str:
    return resources.files("assistant.sessions.store").joinpath(name).read_text(encoding="utf-8")
