"""The worker's own health page; the SDK's says "OK" while draining and while disconnected.

`GET /livez`: the loop runs. `GET /readyz`: jobs are taken; 503 with the reason otherwise.
`GET /worker`: the last beat, as JSON.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from assistant.sessions.store.workers import Beat
from assistant.worker.errors import HealthPageError


@asynccontextmanager
async def serve(
    host: str, port: int, *, beat: Callable[[], Beat], unready: Callable[[], str | None]
) -> AsyncIterator[int]:
    """Serve the page; yields the port, which is a free one if `port` was 0.

    `unready` says why no job can be taken; None: jobs can be taken.

    Raises:
        HealthPageError: the address is not to be had.
    """

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        reason = unready()
        if reason is None:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready", "reason": reason}, status=503)

    async def worker(_request: web.Request) -> web.Response:
        return web.json_response(beat().model_dump())

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/worker", worker)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise HealthPageError(host, port, error.strerror or str(error)) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
