"""LiveKit's own JavaScript client on somebody else's page, with our token endpoint."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import web

from assistant.local_stack.parts import service_part
from assistant.local_stack.ports import HOST, free_port
from tests.acceptance.browser import Visit, chromium, microphone_file, visit
from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_main_job import settled

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = Path(__file__).parent / "pages"
CLIENT = PROJECT / "web" / "node_modules" / "livekit-client" / "dist" / "livekit-client.esm.mjs"
AGENT_WITHIN_S = 15.0
GREETING_WITHIN_S = 15.0


async def _client(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(CLIENT, headers={"Content-Type": "text/javascript"})


@asynccontextmanager
async def second_origin() -> AsyncIterator[str]:
    """A server of the developer's own page; nothing of it comes from the service."""
    assert CLIENT.is_file(), f"{CLIENT} is missing: run `make web`"
    app = web.Application()
    app.router.add_get("/livekit-client.esm.mjs", _client)
    app.router.add_static("/", PAGES)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def service_for(system: System, origin: str, **environ: str) -> AsyncIterator[str]:
    """One more replica of the service, which lets pages of `origin` call and embed it."""
    port = free_port()
    environ = {**system.environ, "ASSISTANT_ALLOWED_ORIGINS": origin, **environ}
    name = "service-for-origin"
    await system.supervisor.start(service_part(name=name, port=port, env=environ, cwd=PROJECT))
    try:
        yield f"http://{HOST}:{port}"
    finally:
        await system.supervisor.stop(name)


@asynccontextmanager
async def their_page(service: str, origin: str, folder: Path, **wish: str) -> AsyncIterator[Visit]:
    quiet = await microphone_file(folder / "quiet.wav", text=None, after_s=1.0)
    query = urlencode({"endpoint": f"{service}/api/livekit/token", "wish": json.dumps(wish)})
    url = f"{origin}/livekit_client.html?{query}"
    async with chromium(quiet) as browser, visit(browser, url, folder) as page:
        yield page


async def test_livekits_client_gets_an_agent(system: System, tmp_path: Path) -> None:
    """`TokenSource.endpoint` and `room.connect` are all it takes, from another origin."""
    async with second_origin() as origin, service_for(system, origin) as service:
        async with their_page(
            service, origin, tmp_path, participantName="Ada", agentName="concierge"
        ) as page:
            agent = await page.wait_for("seen.failure ?? seen.agent", AGENT_WITHIN_S)
            assert agent.startswith("agent-"), agent
            subscribed = await page.wait_for("seen.subscribed", AGENT_WITHIN_S)
            assert subscribed == {"kind": "audio", "by": agent}
            await page.wait_for("probe.seen.audibleAt !== null", GREETING_WITHIN_S)
            said = await page.wait_for("seen.transcript[0]", GREETING_WITHIN_S)
            assert said["from"] == agent
            assert "concierge" in said["text"]

            session_id = agent.removeprefix("agent-").rpartition("-")[0]
            async with system.http() as client:
                shown = (await client.get(f"/api/sessions/{session_id}")).json()
            assert (shown["status"], shown["agent"]) == ("active", "concierge")
            assert shown["userId"] == await page.page.evaluate("seen.me")
            assert shown["room"] == await page.page.evaluate("seen.room")
            assert page.errors == []
            await page.page.evaluate("hangUp()")
        async with system.service() as client:
            await client.end(session_id)
        assert await settled(system, session_id) == "ended"


async def test_a_page_of_an_unknown_origin_gets_no_token(system: System, tmp_path: Path) -> None:
    """The browser keeps the answer from pages whose origin is not allowed."""
    async with second_origin() as origin, their_page(system.service_url, origin, tmp_path) as page:
        failure = await page.wait_for("seen.failure", AGENT_WITHIN_S)
        assert "Failed to fetch" in failure
        assert any("blocked by CORS policy" in line for line in page.errors)
        assert await page.page.evaluate("seen.me ?? null") is None
