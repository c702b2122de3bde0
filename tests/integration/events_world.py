"""A receiver of webhooks, a reader of event streams, and sessions that things happen to."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from redis.asyncio import Redis

from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.probes import http_ready
from assistant.sessions import events as ev
from assistant.sessions.record import Reason
from assistant.sessions.store.records import Bounds, SessionStore
from tests.integration.http_stack import PROJECT, WITH_KEYS, Running, service_part
from tests.integration.session_servers import new_session
from tests.timing import scaled

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
TURN: dict[str, Any] = {
    "attempt": 1,
    "transcription_delay_s": 0.1,
    "end_of_turn_delay_s": None,
    "llm_ttft_s": 0.2,
    "tts_ttfb_s": 0.1,
    "e2e_latency_s": 0.9,
    "interrupted": False,
}
LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Post:
    """One request that the receiver got."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def session(self) -> str:
        return str(self.said["data"]["sessionId"])

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said

    def is_signed(self, key: bytes = KEY) -> bool:
        """As a receiver checks it, by the specification."""
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(self.headers["webhook-timestamp"])) < 300
        return fresh and f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """Answers with what `answer` says: a status, or a coroutine that comes to one."""

    port: int
    answer: Callable[[web.Request, bytes], Awaitable[web.Response]]
    posts: list[Post] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/hook") -> str:
        return f"http://{HOST}:{self.port}{path}"

    def taken(self, path: str = "/hook") -> list[Post]:
        """What it answered with 2xx, in order."""
        return [p for p in self.posts if p.path == path and 200 <= p.status < 300]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(scaled(20)), self.news:
            await self.news.wait_for(holds)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        response = await self.answer(request, body)
        headers = {name.lower(): value for name, value in request.headers.items()}
        async with self.news:
            self.posts.append(Post(request.path, headers, body, response.status))
            self.news.notify_all()
        return response


async def fine(_request: web.Request, _body: bytes) -> web.Response:
    return web.Response(status=204)


@asynccontextmanager
async def running_receiver(
    answer: Callable[[web.Request, bytes], Awaitable[web.Response]] = fine,
    *,
    port: int | None = None,
) -> AsyncIterator[Receiver]:
    receiver = Receiver(port or free_port(), answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, receiver.port, reuse_address=True).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()


def make_store(redis: Redis) -> SessionStore:
    return SessionStore(redis, Bounds(max_bots=1000, queue_limit=1000, keep_s=3600.0))


async def live(store: SessionStore, session_id: str, *, turns: int = 2, **changes: Any) -> None:
    """A session from its beginning until its agent has answered some turns."""
    now = time.time()
    await store.create(new_session(session_id, **changes))
    await store.record(session_id, ev.Started(at=now, task_id="task", spec='{"canary": 1}'))
    await store.record(session_id, ev.Admitted(at=now))
    await store.record(session_id, ev.Dispatched(at=now, attempt=1))
    await store.record(session_id, ev.Accepted(at=now, attempt=1, worker="worker-1"))
    await store.record(session_id, ev.Claimed(at=now, attempt=1, worker="worker-1", pid=1))
    await store.record(session_id, ev.AgentJoined(at=now, attempt=1))
    await turn(store, session_id, *range(turns))


async def turn(store: SessionStore, session_id: str, *numbers: int) -> None:
    for number in numbers:
        completed = ev.TurnCompleted(at=time.time(), turn=number, **TURN)
        await store.note(session_id, completed)


async def end(store: SessionStore, session_id: str) -> None:
    asked = ev.EndRequested(at=time.time(), reason=Reason.USER_REQUESTED, detail="canary")
    await store.record(session_id, asked)
    await store.record(session_id, ev.Closed(at=time.time()))


LIVED = [
    "session.created",
    "session.queued",
    "session.admitted",
    "session.dispatched",
    "agent.accepted",
    "agent.joined",
    "session.active",
    "turn.completed",
    "turn.completed",
]
ENDED = ["session.ending", "session.ended"]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what nothing tells."""
    async with asyncio.timeout(scaled(20)):
        while not await holds():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(LOOK_EVERY_S)


@dataclass
class Told:
    """One event of a stream; `id` is None where the stream gave none."""

    id: str | None
    name: str
    data: dict[str, Any]


class Reader:
    """Reads one event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def opened(self) -> str | None:
        """The id that the stream opens with; ask for it first."""
        found = None
        async with asyncio.timeout(scaled(20)):
            async for line in self._lines:
                if not line:
                    break
                name, _, value = line.partition(": ")
                found = value if name == "id" else found
        return found

    async def next(self) -> Told | None:
        """The next event; None: the stream has ended."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(scaled(20)):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments.append(line[1:].strip())
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    return Told(fields.get("id"), fields["event"], json.loads(fields["data"]))
                else:
                    fields.clear()
        return None

    async def take(self, count: int) -> list[Told]:
        told = [await self.next() for _ in range(count)]
        assert None not in told
        return [one for one in told if one is not None]

    async def rest(self) -> list[Told]:
        told = []
        with contextlib.suppress(httpx.RemoteProtocolError):
            while (one := await self.next()) is not None:
                told.append(one)
        return told

    async def comment(self) -> str:
        """The next comment."""
        async with asyncio.timeout(scaled(20)):
            async for line in self._lines:
                if line.startswith(":"):
                    return line[1:].strip()
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def reading(url: str, *, after: str | None = None, **headers: str) -> AsyncIterator[Reader]:
    if after is not None:
        headers["Last-Event-ID"] = after
    async with (
        httpx.AsyncClient(timeout=scaled(20)) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Reader(response)


def running_service(folder: Path, redis_url: str, **environ: str) -> tuple[Running, str]:
    """A service process and its address; LiveKit is named and not there. Stop it in the end."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "LIVEKIT_URL": f"ws://{HOST}:{free_port(taken=[port])}",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "s" * 32,
        "REDIS_URL": redis_url,
        "ASSISTANT_AGENTS_FILE": str(PROJECT / "agents.yaml"),
        "ASSISTANT_WEB_DIR": str(folder / "web"),
        "ASSISTANT_HTTP_PORT": str(port),
        "ASSISTANT_LOG_LEVEL": "debug",
        "PYTHONPATH": str(PROJECT / "src"),
        **WITH_KEYS,
        **environ,
    }
    part = service_part(port, settings, folder, name=f"service-{port}")
    # Only then is it sure to follow events.
    part = replace(part, ready=http_ready(port, "/readyz"))
    return Running(part, folder / f"{part.name}.log"), f"http://{HOST}:{port}"


def small_listener() -> socket.socket:
    """A listening socket whose connections hold little for a reader that does not read."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    listener.bind((HOST, 0))
    listener.listen(16)
    return listener
