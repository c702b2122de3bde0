"""Event streams: a real valkey-server, the routes under uvicorn in this process, real readers."""

import asyncio
import hashlib
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from assistant.local_stack.ports import HOST
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.words import WordsChannel
from assistant.sessions.words import Words
from tests.integration.events_world import (
    ENDED,
    LIVED,
    end,
    live,
    make_store,
    reading,
    small_listener,
    turn,
    until,
)
from tests.integration.session_servers import running_valkey
from tests.timing import scaled
from token_service.auth import Authenticator, hashed, new_session_key
from token_service.event_feed import EventFeed, blocking_client
from token_service.event_streams import EventStreams, Timing
from token_service.problems import HANDLED, problem
from token_service.routes.context import SESSION_KEY_HEADER
from token_service.routes.events import EventRoutes
from token_service.settings import ApiKey
from token_service.stream_places import MAX_STREAMS_PER_ADDRESS, MAX_STREAMS_PER_SESSION
from token_service.words_feed import WordsFeed

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running_valkey(tmp_path_factory.mktemp("streams")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def redis(valkey: str) -> AsyncIterator[Redis]:
    client = connect(valkey)
    await client.flushall()
    yield client
    await client.aclose()


@dataclass
class Served:
    url: str
    streams: EventStreams
    feed: EventFeed

    def of(self, session_id: str) -> str:
        return f"{self.url}/api/sessions/{session_id}/events"

    @property
    def all(self) -> str:
        return f"{self.url}/api/events"


def api_key(key: str) -> ApiKey:
    return ApiKey(key, key, hashlib.sha256(key.encode()).digest())


async def _refuse(_request: Request, error: Exception) -> Response:
    return problem(error)


@asynccontextmanager
async def serving(
    url: str,
    *,
    timing: Timing | None = None,
    listener: socket.socket | None = None,
    authenticator: Authenticator | None = None,
) -> AsyncIterator[Served]:
    """The two routes, without keys if none are given."""
    redis, feed = connect(url), EventFeed(blocking_client(url))
    words = WordsFeed(blocking_client(url))
    streams = EventStreams(redis, feed, words, timing)
    routes = EventRoutes(streams, make_store(redis), authenticator or Authenticator((), ()))
    app = Starlette(
        routes=[
            Route("/api/sessions/{session_id}/events", routes.of_session),
            Route("/api/events", routes.of_all),
        ],
        exception_handlers=dict.fromkeys(HANDLED, _refuse),
    )
    listener = listener or socket.create_server((HOST, 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    following = asyncio.create_task(feed.run(), name="feed")
    hearing = asyncio.create_task(words.run(), name="words")
    running = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
    port = listener.getsockname()[1]
    try:

        async def hears() -> bool:
            return feed.is_live

        await until(hears)
        yield Served(f"http://{HOST}:{port}", streams, feed)
    finally:
        feed.close()
        server.should_exit = True
        await running
        following.cancel()
        hearing.cancel()
        await asyncio.gather(following, hearing, return_exceptions=True)
        await redis.aclose()


async def test_a_session_is_followed_to_its_end(redis: Redis, valkey: str) -> None:
    """What was before is told first, then what happens; the stream closes after the end."""
    store = make_store(redis)
    async with serving(valkey) as served:
        await live(store, "a")
        async with reading(served.of("a")) as reader:
            told = await reader.take(len(LIVED))
            await turn(store, "a", 2)
            await turn(store, "other", 2)
            await end(store, "a")
            told += await reader.rest()
        assert [one.name for one in told] == [*LIVED, "turn.completed", *ENDED]
        timeline = {entry["id"] for entry in await store.timeline("a")}
        assert {one.id for one in told} <= timeline
        last = told[-1].data
        assert (last["sessionId"], last["name"]) == ("a", "session.ended")
        assert last["data"] == {"reason": "user_requested"}
        assert "canary" not in json.dumps(told[1].data)
        async with httpx.AsyncClient() as client:
            again = await client.get(served.of("a"), headers={"Last-Event-ID": str(told[-1].id)})
        # A browser that comes back is told not to.
        assert again.status_code == 204


async def test_a_reader_resumes_where_it_was(redis: Redis, valkey: str) -> None:
    """From any event on, by header or by query, what follows is told: no less and no more."""
    store = make_store(redis)
    async with serving(valkey) as served:
        await live(store, "a")
        await end(store, "a")
        async with reading(served.of("a")) as reader:
            told = await reader.rest()
        for n in (0, 3, len(told) - 2):
            async with reading(served.of("a"), after=told[n].id) as reader:
                assert await reader.rest() == told[n + 1 :]
            async with reading(f"{served.of('a')}?lastEventId={told[n].id}") as reader:
                assert await reader.rest() == told[n + 1 :]


async def test_all_sessions_are_followed(redis: Redis, valkey: str) -> None:
    """`/api/events` tells what comes, of every session, in one order; also to many readers."""
    store = make_store(redis)
    async with serving(valkey) as served:
        await live(store, "before")
        async with reading(served.all) as one, reading(served.all) as two:
            assert served.streams.count == 2
            await asyncio.gather(live(store, "a"), live(store, "b"))
            told = await one.take(2 * len(LIVED))
            assert await two.take(2 * len(LIVED)) == told
        for session_id in ("a", "b"):
            mine = [each.name for each in told if each.data["sessionId"] == session_id]
            assert mine == LIVED

        async def gone() -> bool:
            return served.streams.count == 0

        await until(gone)


async def test_a_stream_that_breaks_before_its_first_event_is_resumed(
    redis: Redis, valkey: str
) -> None:
    """A stream opens with the id that it goes on from, without an event."""
    store = make_store(redis)
    async with serving(valkey) as served:
        async with reading(served.all) as reader:
            first = await reader.opened()
        await live(store, "a")
        async with reading(served.all, after=first) as reader:
            told = await reader.take(len(LIVED))
        assert [one.name for one in told] == LIVED
        async with reading(served.all) as reader:
            assert await reader.opened() == told[-1].id
        async with reading(served.all, after=told[2].id) as reader:
            assert await reader.opened() == told[2].id


async def test_history_and_news_meet_without_a_gap(redis: Redis, valkey: str) -> None:
    """A reader that comes while events come fast gets each one once."""
    store = make_store(redis)
    async with serving(valkey) as served:
        await live(store, "a", turns=1)

        async def talk() -> None:
            for number in range(1, 1200):
                await turn(store, "a", number)

        talking = asyncio.create_task(talk())
        readers = []
        for _ in range(4):
            async with reading(served.of("a")) as reader:
                told = await reader.take(400)
                readers.append([one.data["data"]["turn"] for one in told[7:]])
        await talking
    assert readers == [list(range(393))] * 4


async def test_silence_is_filled_with_heartbeats(valkey: str) -> None:
    """A reader and its proxies see that the stream still lives."""
    async with (
        serving(valkey, timing=Timing(heartbeat_s=0.05)) as served,
        reading(served.all) as reader,
    ):
        assert [await reader.comment() for _ in range(3)] == ["still here"] * 3


async def test_a_slow_reader_is_cut_off(redis: Redis, valkey: str) -> None:
    """One that does not read loses its place; another one beside it gets everything."""
    store, count = make_store(redis), 1500
    timing = Timing(send_timeout_s=0.5)
    async with serving(valkey, timing=timing, listener=small_listener()) as served:
        await live(store, "a", turns=0)
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect((HOST, int(served.url.rpartition(":")[2])))
        with slow:
            slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with reading(served.all) as reader:

                async def both() -> bool:
                    return served.streams.count == 2

                await until(both)
                began = time.monotonic()
                writing = asyncio.create_task(turn(store, "a", *range(count)))
                told = await reader.take(count)
                await writing
                assert [one.data["data"]["turn"] for one in told] == list(range(count))

                async def alone() -> bool:
                    return served.streams.count == 1

                await until(alone)
                assert time.monotonic() - began < scaled(20)


async def test_words_are_told_while_they_are_spoken(redis: Redis, valkey: str) -> None:
    """To who asks for them, and to nobody else; nobody can read them up, and none are told to no
    one: a job learns that nobody listens.
    """
    store, channel = make_store(redis), WordsChannel(redis)

    def words(text: str, item: str | None = None) -> Words:
        return Words(id="user-1-1", role="user", text=text, item=item, attempt=1, at=7.5)

    async def watched() -> bool:
        return await channel.publish("a", words("Are you there?")) == 1

    async def unwatched() -> bool:
        return await channel.publish("a", words("Are you there?")) == 0

    async with serving(valkey) as served:
        await live(store, "a")
        assert await unwatched()
        watching = f"{served.of('a')}?partials=true"
        async with reading(watching) as reader, reading(served.of("a")) as other:
            last = (await reader.take(len(LIVED)))[-1]
            await other.take(len(LIVED))
            await until(watched)
            first = await reader.next()
            assert first is not None
            assert (first.name, first.id) == ("conversation.partial", None)
            said = {"id": "user-1-1", "role": "user", "text": "Are you there?", "attempt": 1}
            name = "conversation.partial"
            assert first.data == {"sessionId": "a", "name": name, "at": 7.5, "data": said}
            await channel.publish("a", words("I am here.", item="item-1"))
            await channel.publish("b", words("Somebody else."))
            became = await reader.next()
            while became is not None and "item" not in became.data["data"]:
                became = await reader.next()  # asked twice whether it was there
            assert became is not None
            assert became.data["data"] == said | {"text": "I am here.", "item": "item-1"}
            await turn(store, "a", 2)
            for each in (reader, other):
                following = await each.next()
                assert following is not None
                assert following.name == "turn.completed"
        await until(unwatched)
        async with reading(watching, after=last.id) as reader:
            assert [one.name for one in await reader.take(1)] == ["turn.completed"]
        assert "there?" not in str([await redis.xrange(key) for key in await _streams(redis)])
        async with httpx.AsyncClient() as client:
            for wrong in (f"{served.of('a')}?partials=maybe", f"{served.all}?partials=true"):
                assert (await client.get(wrong)).status_code == 422


async def _streams(redis: Redis) -> list[str]:
    return [key async for key in redis.scan_iter(_type="stream")]


async def test_a_gap_is_told(redis: Redis, valkey: str) -> None:
    """Who comes back too late is told that something may be missing, and gets what is kept."""
    store = make_store(redis)
    async with serving(valkey) as served:
        await live(store, "a")
        async with reading(served.of("a")) as reader:
            told = await reader.take(len(LIVED))
        await redis.xtrim(keys.session_events("a"), maxlen=2, approximate=False)
        async with reading(served.of("a"), after=told[0].id) as reader:
            kept = await reader.take(3)
        assert [one.name for one in kept] == [
            "stream.truncated",
            "turn.completed",
            "turn.completed",
        ]
        assert kept[0].id is None
        async with reading(served.all, after="9" * 18) as reader:
            assert [one.name for one in await reader.take(2)] == [
                "stream.truncated",
                "session.created",
            ]


async def test_places_are_bounded(redis: Redis, valkey: str) -> None:
    """Beyond a session's places a reader is told when to come again; one that is left is free."""
    store = make_store(redis)
    async with serving(valkey) as served, httpx.AsyncClient() as client:
        await live(store, "a")
        async with asyncio.TaskGroup() as group:
            full, leave = asyncio.Barrier(MAX_STREAMS_PER_SESSION + 1), asyncio.Event()

            async def hold() -> None:
                async with reading(served.of("a")) as reader:
                    await reader.next()
                    await full.wait()
                    await leave.wait()

            for _ in range(MAX_STREAMS_PER_SESSION):
                group.create_task(hold())
            await full.wait()
            refused = await client.get(served.of("a"))
            assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
            assert int(refused.headers["Retry-After"]) > 0
            leave.set()

        async def free() -> bool:
            return served.streams.count == 0

        await until(free)
        async with reading(served.of("a")) as reader:
            assert await reader.next()


async def test_pages_do_not_shut_operators_out(redis: Redis, valkey: str) -> None:
    """One address has its bound of pages' streams; another, and a secret key there, have places."""
    store, proof = make_store(redis), new_session_key()
    known = Authenticator((api_key("sk"),), (api_key("pk"),))
    headers = {"Authorization": "Bearer pk", SESSION_KEY_HEADER: proof}
    sessions = [f"s-{n}" for n in range(MAX_STREAMS_PER_ADDRESS // MAX_STREAMS_PER_SESSION + 1)]
    for session_id in sessions:
        await live(store, session_id, session_key_hash=hashed(proof))
    async with (
        serving(valkey, authenticator=known) as served,
        AsyncExitStack() as pages,
        httpx.AsyncClient(headers=headers) as page,
    ):
        readers = []
        for n in range(MAX_STREAMS_PER_ADDRESS):
            url = served.of(sessions[n // MAX_STREAMS_PER_SESSION])
            readers.append(await pages.enter_async_context(reading(url, **headers)))
            assert await readers[-1].next()
        refused = await page.get(served.of(sessions[-1]))
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with (
            httpx.AsyncClient(transport=elsewhere, headers=headers) as other,
            other.stream("GET", served.of(sessions[-1])) as response,
            reading(served.all, Authorization="Bearer sk") as operator,
        ):
            assert response.status_code == 200
            await operator.opened()
            await turn(store, "s-0", 2)
            assert await operator.next()


@pytest.mark.parametrize("wrong", ["x", "1-2-3", "-1", "9" * 19, "1-1 "])
async def test_a_wrong_id_is_refused(redis: Redis, valkey: str, wrong: str) -> None:
    """An id that no stream has is named as wrong."""
    async with serving(valkey) as served, httpx.AsyncClient() as client:
        await live(make_store(redis), "a")
        answer = await client.get(served.all, params={"lastEventId": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
        unknown = await client.get(served.of("nobody"))
        assert unknown.json()["code"] == "session_not_found"


async def test_without_redis_the_stream_ends_and_can_be_resumed(tmp_path: Path) -> None:
    """Redis goes: the stream says so and ends, and new ones get 503 until it is back."""
    async with running_valkey(tmp_path) as url:
        redis = connect(url)
        store = make_store(redis)
        port = int(url.rpartition(":")[2].partition("/")[0])
        serving_here = serving(url)
        served = await serving_here.__aenter__()
        await live(store, "a")
        reading_here = reading(served.all, after="0")
        reader = await reading_here.__aenter__()
        told = await reader.take(len(LIVED))
    try:
        assert await reader.rest() == []
        assert "the session store is away; resume" in reader.comments
        await reading_here.__aexit__(None, None, None)
        async with httpx.AsyncClient() as client:
            away = await client.get(served.all)
        assert (away.status_code, away.json()["code"]) == (503, "store_unavailable")
        async with running_valkey(tmp_path, port=port):

            async def hears() -> bool:
                return served.feed.is_live

            await until(hears)
            async with reading(served.all, after=told[-1].id) as reader:
                await turn(store, "a", 7)
                following = await reader.next()
            assert following is not None
            assert (following.name, following.data["data"]["turn"]) == ("turn.completed", 7)
            heard = Words(id="u", role="user", text="Back", item=None, attempt=1, at=1.0)

            async def watched() -> bool:
                return await WordsChannel(redis).publish("a", heard) == 1

            async with reading(f"{served.of('a')}?partials=true"):
                await until(watched)
            await redis.aclose()
            await serving_here.__aexit__(None, None, None)
    finally:
        served.feed.close()
