"""A post office between LiveKit and the service that loses, doubles and shuffles webhooks."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from assistant.local_stack.ports import HOST, free_port

MODES = ("plain", "lost", "doubled")
#: Doubled ones come in any order within this time.
SHUFFLE_S = 1.0
_FORWARDED = ("Authorization", "Content-Type")


class WebhookPost:
    """Forwards each webhook as its room's name says: a name that holds a mode gets that mode.

    Bodies and signatures are passed on untouched. `handled` counts webhooks by mode.
    """

    def __init__(self, *, seed: int) -> None:
        self.port = free_port(taken=())
        self.handled: Counter[str] = Counter()
        #: The service's URL; None as long as it is not up.
        self.target: str | None = None
        self._rng = random.Random(seed)  # noqa: S311 - it orders webhooks
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        room = json.loads(body).get("room", {}).get("name", "")
        mode = next((mode for mode in MODES if mode in room), "plain")
        self.handled[mode] += 1
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        if mode == "plain":
            await self._forward(body, headers, 0.0)
        elif mode == "doubled":
            for _ in range(2):
                later = self._forward(body, headers, self._rng.uniform(0, SHUFFLE_S))
                task = asyncio.create_task(later, name="webhook on its way")
                self._on_the_way.add(task)
                task.add_done_callback(self._on_the_way.discard)
        return web.Response()

    async def _forward(self, body: bytes, headers: dict[str, str], delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if self.target is None or self._http is None:
            return
        url = f"{self.target}/livekit/webhook"
        async with self._http.post(url, data=body, headers=headers) as answer:
            await answer.read()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["WebhookPost"]:
        app = web.Application()
        app.router.add_post("/livekit/webhook", self.receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, HOST, self.port).start()
        try:
            async with aiohttp.ClientSession() as self._http:
                yield self
                for task in self._on_the_way:
                    task.cancel()
                await asyncio.gather(*self._on_the_way, return_exceptions=True)
        finally:
            await runner.cleanup()
