"""Real Chromium with a fake microphone, and watches for what a page must not do."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    async_playwright,
)

from assistant.rehearsal.speech import Speech, silence, speak
from tests.acceptance.asking import MAX_ASKS
from tests.timing import scaled

PROBE = (Path(__file__).parent / "pages" / "probe.js").read_text()
AXE = (Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DESKTOP = ViewportSize(width=1280, height=720)
PHONE = ViewportSize(width=390, height=844)
MOST_TABS = 15
LAUNCH_WITHIN_S = 30.0
ACTION_WITHIN_S = 10.0
LOOK_EVERY_MS = 20
# Nothing of the browser's own may go out while a page is watched.
QUIET_FLAGS = (
    "--no-sandbox",  # containers and root have none; the pages are our own
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium_program() -> str:
    """The system's Chromium; without one the test fails, for a skip would look like a pass."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail(
            "Chromium is not on PATH, and the page can't be tested without it; "
            "install it (Debian: apt-get install chromium)"
        )
    return program


async def microphone_file(
    path: Path,
    *,
    text: str | None,
    after_s: float,
    again_after_s: float | None = None,
    times: int = MAX_ASKS,
) -> Path:
    """A WAV with `text` spoken `after_s` seconds after its begin; None: silence alone.

    With `again_after_s` it is said so many `times`, so long after one another: the file can't
    know whether it was understood. Whom that would disturb mutes the microphone.
    """
    sound = [silence(after_s)]
    if text is not None:
        words = (await speak(text)).samples
        for _ in range(1 if again_after_s is None else times):
            # The silence behind the words lets the file end later than the recogniser's turn.
            sound += [words, silence(again_after_s or 1.0)]
    Speech(np.concatenate(sound)).save_wav(path)
    return path


@asynccontextmanager
async def chromium(microphone: Path | None, *, has_devices: bool = True) -> AsyncIterator[Browser]:
    """A browser whose microphone plays a WAV once from when it is opened; None: not asked for.

    With a WAV the question whether the page may use the microphone is answered with yes.
    `has_devices` False: there is no microphone at all.
    """
    flags = ["--use-fake-device-for-media-stream"] if has_devices else []
    if microphone is not None:
        flags += [
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}%noloop",
        ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_program(),
            args=[*QUIET_FLAGS, *flags],
            timeout=scaled(LAUNCH_WITHIN_S) * 1000,
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visit:
    """A page that is open, and what it has done since."""

    page: Page
    url: str
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        return [line for line in self.console if line.startswith(("error", "uncaught"))]

    def strangers(self, *allowed: str) -> list[str]:
        """Requests to elsewhere than `allowed`, which are origins."""
        known = tuple(f"{origin.rstrip('/')}/" for origin in allowed)
        # What the page made itself never leaves the browser.
        return [url for url in self.requests if not url.startswith((*known, "data:", "blob:"))]

    async def probe(self) -> dict[str, Any]:
        """What pages/probe.js has seen; times are milliseconds of the page's clock."""
        seen: dict[str, Any] = await self.page.evaluate("probe.report()")
        return seen

    async def wait_for(self, condition: str, within_s: float) -> Any:
        """Waits until a JavaScript expression, which may await, is truthy; returns its value.

        Playwright's own `wait_for_function` evaluates text inside the page, which the page's
        policy forbids.
        """
        look = f"""
            const value = await ({condition});
            value ? done(value) : setTimeout(look, {LOOK_EVERY_MS});
        """
        try:
            async with asyncio.timeout(scaled(within_s)):
                return await self.page.evaluate(
                    f"new Promise((done) => {{ const look = async () => {{ {look} }}; look(); }})"
                )
        except TimeoutError:
            pytest.fail(f"not within {scaled(within_s):g} s: {condition}")

    async def turn(self, who: str, pattern: str, within_s: float) -> str:
        """Waits for a turn of `who` in the transcript that matches; returns its text."""
        words = self.page.locator(f"#transcript .turn[data-who={who}] .words")
        found = words.filter(has_text=re.compile(pattern, re.IGNORECASE)).first
        await found.wait_for(timeout=scaled(within_s) * 1000)
        return await found.inner_text()

    async def accessible(self, schemes: Sequence[Scheme] = SCHEMES) -> None:
        """Fails with what axe-core finds wrong with the page as it is now, light and dark."""
        for scheme in schemes:
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for frame in self.page.frames:
                await frame.evaluate(f"globalThis.axe ?? (() => {{ {AXE} }})()")
                # A frame of another origin has to be looked at from within.
                found = await frame.evaluate(
                    "axe.run(document, { iframes: false }).then(({ violations }) => violations)"
                )
                told = [
                    f"{scheme}, {each['id']}: {node['target']} {node['failureSummary']}"
                    for each in found
                    for node in each["nodes"]
                ]
                assert not told, told

    async def fits_a_phone(self, *controls: str) -> None:
        """On a phone nothing lies beside the screen, the controls are in sight, and axe agrees."""
        await self.page.set_viewport_size(PHONE)
        # Whatever lies on it or cuts it off is what a finger at its middle would meet.
        look = """(selector) => {
            const all = [...document.querySelectorAll(selector)];
            return all.length > 0 && all.every((each) => {
                const { left, right, top, bottom } = each.getBoundingClientRect();
                const met = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
                const inside = left >= 0 && right <= innerWidth && top >= 0;
                return inside && bottom <= innerHeight && each.contains(met);
            });
        }"""
        for control in controls:
            await self.wait_for(f"({look})({control!r})", ACTION_WITHIN_S)
        wide = await self.page.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= PHONE["width"], f"it scrolls sideways: {wide} pixels"
        # The colours are those of the desktop.
        await self.accessible(("light",))
        await self.page.set_viewport_size(DESKTOP)

    async def tab_to(self, selector: str) -> None:
        """Presses the tab key until the element has the focus, as somebody without a mouse does."""
        for _ in range(MOST_TABS):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        pytest.fail(f"{selector} cannot be reached by the tab key")

    async def transcript(self) -> list[tuple[str, str]]:
        """Who said what, in the order shown."""
        turns = await self.page.evaluate(
            "[...document.querySelectorAll('#transcript .turn')]"
            ".map((turn) => [turn.dataset.who, turn.querySelector('.words').textContent])"
        )
        return [(who, text) for who, text in turns]

    async def shown(self, selector: str, within_s: float = ACTION_WITHIN_S) -> str:
        """Waits until the element is visible; returns its text."""
        element = self.page.locator(selector)
        await element.wait_for(state="visible", timeout=scaled(within_s) * 1000)
        return await element.inner_text()


@asynccontextmanager
async def visit(
    browser: Browser, url: str, folder: Path, *, scale: float = 1
) -> AsyncIterator[Visit]:
    """Opens `url` in a fresh profile; on failure leaves a screenshot in `folder`.

    `scale`: pixels of a screenshot to one of the page.
    """
    context = await browser.new_context(locale="en-US", viewport=DESKTOP, device_scale_factor=scale)
    context.set_default_timeout(scaled(ACTION_WITHIN_S) * 1000)
    await context.add_init_script(PROBE)
    page = await context.new_page()
    visited = Visit(page, url)

    def tell(message: ConsoleMessage) -> None:
        visited.console.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def ask(request: Request) -> None:
        visited.requests.append(request.url)

    page.on("console", tell)
    page.on("pageerror", lambda error: visited.console.append(f"uncaught: {error}"))
    page.on("websocket", lambda socket: visited.requests.append(socket.url))
    context.on("request", ask)
    try:
        await page.goto(url)
        yield visited
    except BaseException:
        picture = folder / "page.png"
        await page.screenshot(path=picture, full_page=True)
        print(f"screenshot: {picture}", *visited.console, sep="\n")  # noqa: T201
        raise
    finally:
        await context.close()
