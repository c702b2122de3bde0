"""A Redis with one worker that beats, and sessions for its jobs that stand by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from redis.asyncio import Redis

from assistant.sessions.metadata import Assignment, JobMetadata
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect

WORKER = "w1"
_numbers = count(1)


@asynccontextmanager
async def redis_of_a_worker(url: str) -> AsyncIterator[Redis]:
    """A client, with nothing in Redis but the worker's beat."""
    client = connect(url)
    await client.flushall()
    await client.set(keys.worker(WORKER), "a beat")
    yield client
    await client.aclose()


def an_assignment() -> Assignment:
    session = f"s{next(_numbers)}"
    return Assignment(job=JobMetadata(session=session, attempt=1), room=f"va-{session}")


def an_id() -> str:
    """Of a job that stands by."""
    return f"{next(_numbers):016x}"
