"""The talk page in a page of somebody else's, from another origin, in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import FrameLocator

from assistant.local_stack.ports import HOST, free_port
from assistant.rehearsal.api import ServiceClient
from tests.acceptance.browser import Visit, chromium, microphone_file, visit
from tests.acceptance.system import System
from tests.acceptance.test_browser import GREETING_WITHIN_S
from tests.acceptance.test_livekit_js_client import service_for
from tests.acceptance.test_main_job import settled
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = (Path(__file__).parent / "pages" / "embed.html").read_text()
KEY = "pk_0123456789abcdef"
# With keys, and without a talk page: an embedder's own key is all that it takes.
ENVIRON = {
    "ASSISTANT_SECRET_KEYS": "backend:sk_0123456789abcdef",
    "ASSISTANT_PUBLISHABLE_KEYS": f"shop:{KEY}",
}


@dataclass
class Offered:
    """What the site's page names."""

    service_url: str = ""
    key: str = KEY


@asynccontextmanager
async def shop(offered: Offered) -> AsyncIterator[str]:
    """A site of its own that offers the assistant.

    It is as strict as a site can be: its policies let in the service's script and frame, no style
    or script in its markup, and nothing that does not say itself that it may be there.
    """

    async def index(_request: web.Request) -> web.Response:
        url = offered.service_url
        policy = f"default-src 'none'; img-src data:; script-src {url}; frame-src {url}"
        text = PAGE.replace("SERVICE", url).replace("KEY", offered.key)
        headers = {
            "Content-Security-Policy": policy,
            "Cross-Origin-Embedder-Policy": "require-corp",
        }
        return web.Response(text=text, content_type="text/html", headers=headers)

    app = web.Application()
    app.router.add_get("/", index)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{port}"
    finally:
        await runner.cleanup()


async def frame_of(page: Visit) -> FrameLocator:
    """Opens the assistant."""
    await page.page.click("assistant-talk button")
    return page.page.frame_locator("assistant-talk iframe")


async def test_a_site_embeds_the_assistant(system: System, tmp_path: Path) -> None:
    """One script and one element: a visitor talks on the site, and what they do ends with it.

    With a key that is not known, what was begun by `autostart` says that it may not be.
    """
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    offered = Offered()
    async with (
        shop(offered) as origin,
        service_for(system, origin, **ENVIRON) as service,
        chromium(quiet) as browser,
        ServiceClient(service, key=KEY) as client,
    ):
        offered.service_url = service
        async with visit(browser, origin, tmp_path) as page:
            await page.page.evaluate(
                "document.addEventListener('assistant-talk', (e) => (globalThis.told = e.detail))"
            )
            # Nobody opened it, so the site has loaded the script and nothing else of it.
            assert page.strangers(origin) == [f"{service}/embed.js"]
            frame = await frame_of(page)
            await frame.locator("#choices").wait_for(state="hidden")
            await page.accessible()
            async with page.page.expect_response("**/api/session/start") as answered:
                await frame.locator("#talk").click()
            started = await (await answered.value).json()
            said = frame.locator(".turn[data-who=agent] .words", has_text="concierge").first
            await said.wait_for(timeout=scaled(GREETING_WITHIN_S) * 1000)
            assert (await page.wait_for("globalThis.told", 1))["live"] is True
            # Closed, it goes on; the site's own button shows that it does.
            await frame.locator("#message").press("Escape")
            await said.wait_for(state="hidden")
            assert await page.page.locator("assistant-talk .live").is_visible()
            session_id, session_key = started["sessionId"], started["sessionKey"]
            shown = await client.session(session_id, session_key=session_key)
            assert shown.status == "active"
            await page.accessible()
            await page.page.evaluate("document.querySelector('assistant-talk').remove()")
            assert await settled(system, session_id) == "ended"
            assert page.errors == []

        offered.key = "pk_that_nobody_knows"
        async with visit(browser, origin, tmp_path) as page:
            # The click that opens it is all that it takes to begin.
            await page.page.evaluate(
                "document.querySelector('assistant-talk').toggleAttribute('autostart')"
            )
            frame = await frame_of(page)
            await frame.locator("#error-title", has_text="may not start a conversation").wait_for()


async def test_another_site_may_not(system: System, tmp_path: Path) -> None:
    """The browser refuses the frame to an origin that is not allowed, and the visitor is told."""
    async with (
        shop(Offered(system.service_url)) as origin,
        chromium(None) as browser,
        visit(browser, origin, tmp_path) as page,
    ):
        frame = await frame_of(page)
        assert "did not load" in await page.shown("assistant-talk .trouble")
        assert await frame.locator("#talk").count() == 0
        assert any("frame-ancestors" in line for line in page.errors), page.console
