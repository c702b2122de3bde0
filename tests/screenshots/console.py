"""The console's views, with two conversations that run and one that is over."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from playwright.async_api import expect

from assistant.rehearsal.scenario import Call
from tests.acceptance.asking import A_JOKE, THE_TIME, asks_aloud
from tests.acceptance.browser import DESKTOP, PHONE, chromium, visit
from tests.acceptance.system import PROJECT, System
from tests.integration.http_stack import running_stack
from tests.screenshots.history import keep_beating, live_through
from tests.screenshots.shots import Shots
from tests.timing import scaled

SHOWN_S = 20.0
TALL_PX = 1080
TABS = ("Conversation", "Timeline", "Report", "Logs", "Webhooks")
VIEWS = {
    "overview": "Workers",
    "agents": "Hotel concierge",
    "webhooks": "Webhooks",
    "checks": "redis",
}
Lead = Callable[[System, Shots, Path], Awaitable[None]]


async def views(system: System, shots: Shots, folder: Path) -> None:
    """Each view and each tab of a session, while it runs and when it is over."""
    async with system.service() as service:
        async with Call(service, user_id="cleo", config={"agent": "storyteller"}) as past:
            await past.agent_joins()
            await past.greeting()
            await past.end()
        async with (
            chromium(None) as browser,
            visit(
                browser, f"{system.service_url}/console#/sessions", folder, scale=shots.scale
            ) as console,
            Call(service, user_id="ada") as ada,
            Call(service, user_id="bruno", config={"agent": "concierge"}) as bruno,
        ):

            async def shown(text: str | re.Pattern[str]) -> None:
                found = console.page.locator("#main").get_by_text(text).first
                await expect(found).to_be_visible(timeout=scaled(SHOWN_S) * 1000)

            for call in (ada, bruno):
                await call.agent_joins()
                await call.greeting()
            await asyncio.gather(asks_aloud(ada, THE_TIME), asks_aloud(bruno, A_JOKE))
            await asks_aloud(ada, A_JOKE)
            await shots.take(console, "sessions")
            await console.page.locator(f"#option-{ada.session_id}").click()
            await shown("with ada")
            for tab in TABS:
                await console.page.get_by_role("tab", name=tab).click()
                await shots.take(console, f"session-{tab.lower()}")
            for view, text in VIEWS.items():
                await console.page.goto(f"{system.service_url}/console#/{view}")
                await shown(text)
                await shots.take(console, view)


async def overview(_system: System, shots: Shots, folder: Path) -> None:
    """What an operator keeps open: a fleet that has been at work for an hour, and is."""
    environ = {"ASSISTANT_WEB_DIR": str(PROJECT / "web" / "dist"), "MAX_BOTS": "24"}
    with ExitStack() as running:
        stack = await asyncio.to_thread(
            running.enter_context, running_stack(folder / "fleet", **environ)
        )
        spec = await asyncio.to_thread(stack.default_spec)
        jobs = await live_through(stack, spec)
        beating = asyncio.create_task(keep_beating(stack, jobs), name="workers")
        running.callback(beating.cancel)
        async with (
            chromium(None) as browser,
            visit(browser, f"{stack.url}/console#/overview", folder, scale=shots.scale) as console,
        ):
            for view, text in (("overview", "voice-2"), ("sessions", "concierge")):
                await console.page.goto(f"{stack.url}/console#/{view}")
                found = console.page.locator("#main").get_by_text(text).first
                await expect(found).to_be_attached(timeout=scaled(SHOWN_S) * 1000)
                await shots.take(console, f"fleet-{view}")
            await console.page.goto(f"{stack.url}/console#/overview")
            # So tall that the workers are in sight as well.
            await console.page.set_viewport_size({"width": DESKTOP["width"], "height": TALL_PX})
            await console.page.locator(".fleet").wait_for(timeout=scaled(SHOWN_S) * 1000)
            await shots.picture(console, "fleet-whole")
            await console.page.set_viewport_size(PHONE)
            await console.page.get_by_role("button", name="3 workers").click()
            await shots.picture(console, "fleet-workers-phone")


STATES: dict[str, Lead] = {"views": views, "overview": overview}
