"""Pictures of a page as it stands, in every look that people have it in."""

from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.browser import DESKTOP, PHONE, SCHEMES, Visit

SCREENS = {"desktop": DESKTOP, "phone": PHONE}
# Two frames: the first one lays the page out, the second one has the canvases drawn anew.
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(frozen=True)
class Shots:
    """Pictures of one page, as `folder`/`page`-STATE-SCREEN-SCHEME.png."""

    folder: Path
    page: str
    scale: float

    async def take(self, visited: Visit, state: str) -> None:
        """Every look of what is shown now; leaves the page on a light desktop again."""
        page = visited.page
        for screen, size in SCREENS.items():
            await page.set_viewport_size(size)
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme)
                await self.picture(visited, f"{state}-{screen}-{scheme}")
        await page.set_viewport_size(DESKTOP)
        await page.emulate_media(color_scheme="light")

    async def picture(self, visited: Visit, name: str) -> None:
        """What is shown now, as it stands."""
        await visited.page.evaluate(DRAWN)
        path = self.folder / f"{self.page}-{name}.png"
        await visited.page.screenshot(path=path, animations="disabled")
        print(path)  # noqa: T201 - so that one can open it
