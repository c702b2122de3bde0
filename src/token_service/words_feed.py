"""One replica's ear for words while they are spoken: of those sessions that somebody watches."""

import asyncio
import time

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store import keys
from assistant.sessions.store.client import translated
from assistant.sessions.words import Words
from token_service.event_feed import BLOCK_S, RETRY_S, Listener

# Holds the connection open while nobody watches; nothing is ever told there.
_NOTHING = keys.session_words("")

_log = log.get(__name__)


class WordsFeed:
    """`run` hears until cancelled; it owns `redis`, whose answers may take BLOCK_S.

    Words are told while Redis can be heard, and missed otherwise: whoever reads them has the items.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, set[Listener]] = {}
        self._changed = asyncio.Event()

    def follow(self, listener: Listener) -> None:
        """Let a listener of one session hear words, until it is handed back to `leave`."""
        self._listeners.setdefault(_channel(listener), set()).add(listener)
        self._changed.set()

    def leave(self, listener: Listener) -> None:
        channel = _channel(listener)
        others = self._listeners.get(channel, set())
        others.discard(listener)
        if not others:
            self._listeners.pop(channel, None)
        self._changed.set()

    async def run(self) -> None:
        try:
            while True:
                try:
                    async with self._redis.pubsub(ignore_subscribe_messages=True) as channels:
                        await self._hear(channels)
                except StoreUnavailableError as error:
                    _log.info("words.unavailable", error=str(error))
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._redis.aclose()

    async def _hear(self, channels: PubSub) -> None:
        with translated():
            await channels.subscribe(_NOTHING)
        self._changed.set()
        subscribing = asyncio.create_task(self._subscribe(channels), name="words' channels")
        try:
            asked = False
            while not subscribing.done():
                waits_since = time.monotonic()
                with translated():
                    told = await channels.get_message(timeout=BLOCK_S)
                    # Other answers than words, a ping's among them, come as nothing, but at once.
                    silent = told is None and time.monotonic() - waits_since > BLOCK_S / 2
                    if silent and asked:
                        raise StoreUnavailableError("no answer")
                    if silent:
                        await channels.ping()
                asked = silent
                if told and told["type"] == "message":
                    self._tell(told["channel"], told["data"])
            await subscribing
        finally:
            subscribing.cancel()
            await asyncio.gather(subscribing, return_exceptions=True)

    async def _subscribe(self, channels: PubSub) -> None:
        """Listen to the channels of what is watched, and to no others: jobs tell only then."""
        heard: set[str] = set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._listeners)
            with translated():
                if fresh := wanted - heard:
                    await channels.subscribe(*fresh)
                if gone := heard - wanted:
                    await channels.unsubscribe(*gone)
            heard = wanted

    def _tell(self, channel: str, data: str) -> None:
        words = Words.decode(data)
        if words is None:
            return
        for listener in self._listeners.get(channel, ()):
            listener.hear(words)


def _channel(listener: Listener) -> str:
    return keys.session_words(listener.session_id or "")
