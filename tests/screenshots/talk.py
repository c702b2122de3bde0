"""The talk page's states, from the first look until it is over, and what goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Route

from assistant.local_stack.ports import HOST
from tests.acceptance.asking import THE_TIME
from tests.acceptance.browser import Visit, chromium, microphone_file, visit
from tests.acceptance.recovery import kill_job, whereabouts
from tests.acceptance.system import System, another_service
from tests.acceptance.test_browser import ANSWER_WITHIN_S, GREETING, GREETING_WITHIN_S, talk, write
from tests.acceptance.test_main_job import CLOCK
from tests.acceptance.test_voice import fault
from tests.acceptance.wire import wire
from tests.screenshots.shots import Shots
from tests.timing import scaled

QUESTION_AFTER_S = 8.0
INTO_IT_MS = 1_000
Lead = Callable[[System, Shots, Path], Awaitable[None]]


@asynccontextmanager
async def opened(
    system: System,
    shots: Shots,
    folder: Path,
    *,
    says: str | None = None,
    url: str | None = None,
    refused: bool = False,
) -> AsyncIterator[Visit]:
    """The page; `says`: what the microphone hears once the greeting is over. `refused`: no."""
    sound = await microphone_file(folder / "said.wav", text=says, after_s=QUESTION_AFTER_S)
    async with (
        chromium(None if refused else sound) as browser,
        visit(browser, url or system.service_url, folder, scale=shots.scale) as page,
    ):
        await page.page.locator("#choices").wait_for()
        yield page


async def state_is(page: Visit, state: str) -> None:
    await page.page.locator(f"#status[data-state={state}]").wait_for(
        timeout=scaled(ANSWER_WITHIN_S) * 1000
    )


async def first(system: System, shots: Shots, folder: Path) -> None:
    """What somebody sees who has come for the first time, and the settings."""
    async with opened(system, shots, folder) as page:
        await shots.take(page, "first")
        await page.page.click("#settings")
        await shots.take(page, "settings")


async def conversation(system: System, shots: Shots, folder: Path) -> None:
    """It is greeted, asks aloud and in writing, mutes, and has it all before it when it is over."""
    async with opened(system, shots, folder, says=THE_TIME.text) as page:
        await page.page.click("#settings")
        await page.page.click("#timings")
        await page.page.keyboard.press("Escape")
        await talk(page)
        await page.turn("agent", GREETING, GREETING_WITHIN_S)
        await page.turn("agent", CLOCK.pattern, ANSWER_WITHIN_S)
        await state_is(page, "listening")
        await write(page, "What is two plus three?")
        await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)
        await state_is(page, "listening")
        await shots.take(page, "listening")
        await page.page.click("#mute")
        await shots.take(page, "muted")
        await page.page.click("#mute")
        await fault(system, kind="slow", service="groq", operation="chat", delay_s=8)
        await write(page, "Tell me a joke.")
        await state_is(page, "thinking")
        await shots.take(page, "thinking")
        await state_is(page, "speaking")
        await state_is(page, "listening")
        await page.page.click("#end")
        await page.shown("#summary-why")
        await shots.take(page, "ended")


async def speaking(system: System, shots: Shots, folder: Path) -> None:
    """The assistant's own voice in the string, in the middle of a conversation."""
    async with opened(system, shots, folder) as page:
        await talk(page)
        await page.turn("agent", GREETING, GREETING_WITHIN_S)
        await state_is(page, "listening")
        await write(page, "What is two plus three?")
        await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)
        await state_is(page, "listening")
        await write(page, "Tell me a joke.")
        await state_is(page, "speaking")
        # The pictures are of a voice that is heard, and of one that has said something.
        await page.page.locator(".turn[data-who=agent]").nth(2).wait_for()
        await page.page.wait_for_timeout(INTO_IT_MS)
        await shots.take(page, "speaking")
        await page.page.click("#end")


async def coming(system: System, shots: Shots, folder: Path) -> None:
    """Between the click and the assistant: the page connects, and stands in line."""
    taken = asyncio.Event()

    async def later(route: Route) -> None:
        await taken.wait()
        await route.continue_()

    async with opened(system, shots, folder) as page:
        await page.page.route("**/api/token", later)
        await page.page.click("#talk")
        await shots.take(page, "connecting")
        await page.page.click("#end")
        taken.set()
        await page.page.unroute_all(behavior="wait")
    async with (
        alone(system, ASSISTANT_QUEUE_TIMEOUT="20") as url,
        opened(system, shots, folder, url=url) as page,
    ):
        await talk(page)
        await page.page.locator("#headline", has_text="in line").wait_for()
        await shots.take(page, "in-line")
        await page.shown("#error-title", 40)
        await shots.take(page, "nobody")


@asynccontextmanager
async def alone(system: System, **environ: str) -> AsyncIterator[str]:
    """A service whose Redis knows of no worker."""
    redis = system.redis_url.rstrip("/").removesuffix("/0") + "/1"
    async with another_service(system, REDIS_URL=redis, **environ) as url:
        yield url


async def lost(system: System, shots: Shots, folder: Path) -> None:
    """The line is cut, and the assistant drops out."""
    async with wire(system.ports["livekit"]) as line:
        public = f"ws://{HOST}:{line.port}"
        async with (
            another_service(system, ASSISTANT_LIVEKIT_PUBLIC_URL=public) as url,
            opened(system, shots, folder, url=url) as page,
        ):
            session_id = await talk(page)
            await page.turn("agent", GREETING, GREETING_WITHIN_S)
            await state_is(page, "listening")
            await line.cut()
            await page.page.locator("#headline", has_text="Connection lost").wait_for()
            await shots.take(page, "reconnecting")
            await line.mend()
            await page.page.locator("#headline", has_text="Listening").wait_for()
            kill_job((await whereabouts(system, session_id)).job_pid)
            await page.page.locator("#headline", has_text="dropped out").wait_for()
            await shots.take(page, "dropped-out")
            await page.page.click("#end")


async def refused(system: System, shots: Shots, folder: Path) -> None:
    """The microphone is blocked; what is written instead is answered."""
    async with opened(system, shots, folder, refused=True) as page:
        await talk(page)
        await page.shown("#error-title")
        await shots.take(page, "blocked")
        await page.page.click("#type-instead")
        await page.turn("agent", GREETING, GREETING_WITHIN_S)
        await state_is(page, "listening")
        await write(page, "What is two plus three?")
        await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)
        await state_is(page, "listening")
        await shots.take(page, "in-writing")
        await page.page.click("#end")


async def full(system: System, shots: Shots, folder: Path) -> None:
    """Every place is taken, in the line as well."""
    async with (
        alone(system, ASSISTANT_QUEUE_LIMIT="0") as url,
        opened(system, shots, folder, url=url) as page,
    ):
        await talk(page)
        await page.shown("#error-title")
        await shots.take(page, "full")


STATES: dict[str, Lead] = {
    each.__name__: each for each in (first, conversation, speaking, coming, lost, refused, full)
}
