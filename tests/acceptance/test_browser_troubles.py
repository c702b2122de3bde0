"""What goes wrong on the talk page, in a real browser: each failure in words, and the way on.

And both pages on a phone.
"""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.async_api import Locator

from assistant.local_stack.ports import HOST
from assistant.rehearsal.api import ServiceClient
from tests.acceptance.asking import THE_TIME
from tests.acceptance.browser import DESKTOP, PHONE, Visit, chromium, microphone_file, visit
from tests.acceptance.system import System, another_service
from tests.acceptance.test_browser import (
    ANSWER_WITHIN_S,
    GREETING,
    GREETING_WITHIN_S,
    LOST_WITHIN_S,
    SPOKEN_ENERGY,
    talk,
    write,
)
from tests.acceptance.test_main_job import CLOCK, settled
from tests.acceptance.wire import Wire, wire
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAST_IN_SIGHT = """(() => {
    const [turn, shown] = [".turn:last-child", "#transcript"].map((each) =>
        document.querySelector(each).getBoundingClientRect());
    return turn.bottom > shown.top && turn.bottom <= shown.bottom;
})()"""
KEYBOARD_HEIGHT = 340
# Asked again and again, for whoever is muted until the line is mended.
ASKED_EVERY_S = 4.0
ASKED_TIMES = 20
REGAINED_WITHIN_S = 30.0
# Of the page's time at once, while the client tries to connect again: ten times, up to 7 s apart.
FASTER_BY_MS = 2_000
PLACES = {
    "overview": "Workers",
    "sessions": "on-a-phone",
    "sessions/on-a-phone": "with ann",
    "agents": "Hotel concierge",
    "webhooks": "Webhooks",
    "checks": "redis",
}


async def test_without_a_microphone_a_person_is_told_and_may_type(
    system: System, tmp_path: Path
) -> None:
    """A refused microphone is explained and costs no agent; typing then works without one.

    All of it by the keyboard alone, and every state of the page without a fault for axe-core,
    also on a phone, where all that one needs is in sight.
    """
    async with chromium(None) as browser, visit(browser, system.service_url, tmp_path) as page:
        await page.accessible()
        await page.fits_a_phone("#talk", "#type-instead", "#agent", "#voice", "#settings")
        await page.tab_to("#settings")
        await page.page.keyboard.press("Enter")
        await page.accessible()
        await page.fits_a_phone("#panel", "#volume", "#timings")
        await page.page.keyboard.press("Escape")
        assert await page.page.evaluate("document.activeElement.id") == "settings"
        await page.tab_to("#talk")
        refused = await talk(page, by_key=True)
        assert await page.shown("#error-title") == "The microphone is blocked"
        assert "Allow the microphone for this page" in await page.shown("#error-advice")
        assert await page.shown("#status-words") == "Not connected"
        async with system.service() as service:
            assert (await service.session(refused)).status == "created"

        await page.accessible()
        await page.fits_a_phone("#error", "#talk", "#type-instead")
        await page.tab_to("#type-instead")
        second = await talk(page, by_key=True)
        assert second != refused
        # Written before anybody is there, it waits until somebody is.
        await page.page.keyboard.type("What is two plus three?")
        await page.page.keyboard.press("Enter")
        await page.turn("agent", r"\b5\b", ANSWER_WITHIN_S)
        await page.accessible()
        await page.fits_a_phone("#headline", "#end", "#message", "#send", ".turn:last-child")
        # The keyboard of the phone takes its room; the last words stay in sight.
        height = PHONE["height"] - KEYBOARD_HEIGHT
        await page.page.set_viewport_size({**PHONE, "height": height})
        await page.wait_for(LAST_IN_SIGHT, 5)
        await page.page.set_viewport_size(DESKTOP)
        await page.page.locator("#end").focus()
        await page.page.keyboard.press("Enter")
        assert "You ended the conversation." in await page.shown("#summary-why")
        assert await page.page.evaluate("document.activeElement.id") == "talk"
        await page.accessible()
        await page.fits_a_phone("#summary", "#talk", "#copy", "#download")
        assert await settled(system, second) == "ended"
        assert page.errors == []


async def test_an_absent_microphone_is_told(system: System, tmp_path: Path) -> None:
    """Who has none learns that, and leaves no agent behind."""
    async with (
        chromium(None, has_devices=False) as browser,
        visit(browser, system.service_url, tmp_path) as page,
    ):
        await page.page.context.grant_permissions(["microphone"])
        session_id = await talk(page)
        assert await page.shown("#error-title") == "No microphone found"
        assert "type instead" in await page.shown("#error-advice")
        assert await page.page.locator("#type-instead").is_visible()
        await page.accessible()
        assert await settled(system, session_id) == "ended"
        assert page.errors == []


async def test_a_lost_connection_is_regained(system: System, tmp_path: Path) -> None:
    """The person sees that the line is down, and what they write meanwhile is answered after it.

    Sound goes both ways again as well. A line that stays down is told as one in the end.
    """
    question = await microphone_file(
        tmp_path / "question.wav",
        text=THE_TIME.text,
        after_s=ASKED_EVERY_S,
        again_after_s=ASKED_EVERY_S,
        times=ASKED_TIMES,
    )
    async with wire(system.ports["livekit"]) as line:
        public = f"ws://{HOST}:{line.port}"
        async with (
            another_service(system, ASSISTANT_LIVEKIT_PUBLIC_URL=public) as url,
            chromium(question) as browser,
            visit(browser, url, tmp_path) as page,
        ):
            session_id = await talk(page)
            await page.page.click("#mute")
            await page.turn("agent", GREETING, GREETING_WITHIN_S)
            await regain(system, page, line)
            async with system.service() as service:
                assert (await service.session(session_id)).status == "active"

            # Time passes faster for the page than for the service, which is not to notice yet.
            await page.page.clock.install()
            await line.cut()
            await lost(page).wait_for(timeout=scaled(LOST_WITHIN_S) * 1000)
            async with asyncio.timeout(scaled(REGAINED_WITHIN_S)):
                while not await page.page.locator("#error-title").is_visible():
                    await page.page.clock.run_for(FASTER_BY_MS)
            assert await page.shown("#error-title") == "The connection was lost"
            assert await settled(system, session_id) == "ended"


def lost(page: Visit) -> Locator:
    return page.page.locator("#headline", has_text="Connection lost. Reconnecting")


async def regain(system: System, page: Visit, line: Wire) -> None:
    """Loses the connection, its sound as well, and has it back."""
    media = system.supervisor["livekit"].pid
    await line.cut()
    # Nothing but the server can stop the sound: it comes by UDP, and from no port but its own.
    os.kill(media, signal.SIGSTOP)
    try:
        await lost(page).wait_for(timeout=scaled(LOST_WITHIN_S) * 1000)
        await write(page, "What is two plus three?")
        waiting = page.page.locator(".turn[data-who=user][data-final=false] .words")
        assert await waiting.inner_text() == "What is two plus three?"
        await page.wait_for("probe.ice().includes('disconnected')", LOST_WITHIN_S)
        silent = await page.wait_for("probe.energy()", 1)
    finally:
        os.kill(media, signal.SIGCONT)
    await line.mend()
    await page.turn("agent", r"\b5\b", REGAINED_WITHIN_S)
    assert not await lost(page).is_visible()
    await page.wait_for(f"(await probe.energy()) > {silent + SPOKEN_ENERGY}", ANSWER_WITHIN_S)
    await page.page.click("#mute")
    await page.turn("user", THE_TIME.understood.pattern, REGAINED_WITHIN_S)
    await page.turn("agent", CLOCK.pattern, ANSWER_WITHIN_S)


async def test_a_refused_start_is_told_in_words(system: System, tmp_path: Path) -> None:
    """Each 503 of the service reaches the person as what it means and when to try again.

    It cannot reach LiveKit, then not its store, and then every place in its queue is taken.
    """
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with wire(system.ports["livekit"]) as livekit, wire(system.ports["valkey"]) as store:
        environ = {
            "LIVEKIT_URL": f"ws://{HOST}:{livekit.port}",
            # A database of its own: none of the system's workers beats in it.
            "REDIS_URL": f"redis://{HOST}:{store.port}/2",
            "ASSISTANT_QUEUE_LIMIT": "1",
        }
        async with (
            another_service(system, **environ) as url,
            chromium(quiet) as browser,
            visit(browser, url, tmp_path) as page,
            ServiceClient(url) as others,
        ):
            await page.page.locator("#choices").wait_for()

            async def told(title: str, advice: str) -> None:
                await talk(page)
                assert title in await page.shown("#error-title")
                assert re.fullmatch(advice, await page.shown("#error-advice"))
                assert await page.shown("#talk-words") == "Try again"
                assert not await page.page.locator("#end").is_visible()

            await livekit.cut()
            await told("The audio server does not answer", r"Try again in 3 seconds\.")
            await livekit.mend()
            await store.cut()
            await told("The server has lost its memory", r"Try again in 3 seconds\.")
            await store.mend()
            grant = await others.token("in-line", "ann")
            await others.start("in-line", "ann", session_key=grant.session_key)
            await told("Every line is taken", r"Try again in (a minute|\w+ seconds?)\.")


async def test_a_service_without_workers_says_so(system: System, tmp_path: Path) -> None:
    """A start that fails in earnest: the person waits in line, and then is told why it failed."""
    alone = {
        # A database of its own: none of the system's workers beats in it.
        "REDIS_URL": system.redis_url.rstrip("/").removesuffix("/0") + "/1",
        "ASSISTANT_QUEUE_TIMEOUT": "2",
    }
    quiet = await microphone_file(tmp_path / "quiet.wav", text=None, after_s=1.0)
    async with (
        another_service(system, **alone) as url,
        chromium(quiet) as browser,
        visit(browser, url, tmp_path) as page,
    ):
        await talk(page)
        await page.page.locator("#headline", has_text="You are next in line").wait_for()
        assert await page.shown("#error-title", 20) == "No assistant is on duty"
        assert "Try again later" in await page.shown("#error-advice")


async def test_the_console_fits_a_phone(system: System, tmp_path: Path) -> None:
    """Each view, and a session, without a sideways scroll, with the way to the others in sight."""
    async with system.service() as service:
        await service.token("on-a-phone", "ann")
    url = f"{system.service_url}/console"
    async with chromium(None) as browser, visit(browser, url, tmp_path) as console:
        for view, text in PLACES.items():
            await console.page.goto(f"{url}#/{view}")
            await console.page.locator("#main", has_text=text).wait_for()
            await console.fits_a_phone("nav a")
