"""The way of words that are being spoken from a session's job to whoever watches. Never stored.

They go by PUBLISH: who does not listen now misses them, and nobody needs them afterwards. What was
said in the end is an item of the conversation.
"""

from redis.asyncio import Redis

from assistant.sessions.store import keys
from assistant.sessions.store.client import translated
from assistant.sessions.words import Words


class WordsChannel:
    """Raises StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, session_id: str, words: Words) -> int:
        """Tell whoever listens now; how many that are."""
        with translated():
            return int(await self._redis.publish(keys.session_words(session_id), words.encode()))
