"""`python -m tests.screenshots [PAGE [STATES…]]`: every look of both pages.

Brings the whole system up, with stand-ins for the vendors, leads each page into its states, and
takes each one light and dark, on a phone and on a desktop. PAGE: `talk` or `console`; without one,
both. STATES: names of functions of tests/screenshots/talk.py or console.py; without them, all.
The pictures lie in `.state/screenshots`, which is never committed. `--scale 2`: as sharp as a
phone's screen. `--folder`: where else they go.

Those of docs/images are some of them, taken so.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.acceptance.system import PROJECT, running_system
from tests.screenshots import console, talk
from tests.screenshots.shots import Shots

PAGES = {"talk": talk.STATES, "console": console.STATES}


async def main() -> int:
    asked = _parsed()
    asked.folder.mkdir(parents=True, exist_ok=True)
    wrong = [
        state for state in asked.states if asked.page is None or state not in PAGES[asked.page]
    ]
    if wrong:
        known = ", ".join(PAGES.get(asked.page, {}))
        sys.stderr.write(f"no such state: {', '.join(wrong)}; there are: {known}\n")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        async with running_system(Path(scratch)) as system:
            for page, states in PAGES.items():
                shots = Shots(asked.folder, page, asked.scale)
                for name, lead in states.items():
                    if asked.page in {None, page} and (not asked.states or name in asked.states):
                        folder = Path(scratch) / f"{page}-{name}"
                        folder.mkdir()
                        await lead(system, shots, folder)
    return 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.screenshots", description="Screenshots of both pages."
    )
    parser.add_argument("page", nargs="?", choices=sorted(PAGES))
    parser.add_argument("states", nargs="*")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".state" / "screenshots")
    parser.add_argument("--scale", type=float, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
