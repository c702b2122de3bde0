"""How soon a person is greeted after the click on the talk page: `python -m bench.click --runs 20`.

The whole system with stand-ins, and real Chromium with a microphone that hears silence. Every run
is a fresh visit; the time is from the click until the page receives sound of the agent. One JSON
line a run, with when each stage was over (of the page: `token`, `start`, `connected`; of the
session's timeline: `dispatched`, `claimed`, `joined`), then a summary. Bound: p50 under 1 s.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from playwright.async_api import Browser
from tests.acceptance.browser import chromium, microphone_file, visit
from tests.acceptance.system import System, running_system

BOUND_P50_S = 1.0
AUDIBLE_WITHIN_S = 20.0
#: As the page saw them.
PAGE_STAGES = ("token", "start", "connected", "audible")
#: As the session's timeline has them.
AGENT_STAGES = {
    "dispatched": "session.dispatched",
    "claimed": "agent.claimed",
    "joined": "agent.joined",
}
STAGES = ("token", "start", "dispatched", "connected", "claimed", "joined", "audible")


async def one_run(system: System, browser: Browser, folder: Path) -> dict[str, float]:
    """Seconds from the click to each stage."""
    async with visit(browser, system.service_url, folder) as page:
        await page.page.wait_for_load_state("networkidle")
        async with page.page.expect_request("**/api/token") as asked:
            await page.page.click("#talk")
        await page.wait_for("probe.seen.audibleAt !== null", AUDIBLE_WITHIN_S)
        seen, body = await page.probe(), (await asked.value).post_data_json
        await page.page.click("#end")
        await page.shown("#summary")
    clicked = seen["clickedAt"]
    times = {stage: (seen[f"{stage}At"] - clicked) / 1000 for stage in PAGE_STAGES}
    async with system.http() as client:
        shown = (await client.get(f"/api/sessions/{(body or {})['sessionId']}")).json()
    clicked_wall = (seen["openedWall"] + clicked) / 1000
    happened = {entry["name"]: entry["at"] - clicked_wall for entry in shown["timeline"]}
    times |= {stage: happened[name] for stage, name in AGENT_STAGES.items()}
    return {stage: round(times[stage], 3) for stage in STAGES}


def summary(runs: Sequence[dict[str, float]]) -> dict[str, object]:
    figures: dict[str, object] = {"runs": len(runs)}
    for stage in STAGES:
        times = [run[stage] for run in runs]
        cuts = quantiles(times, n=20, method="inclusive")
        figures[f"{stage}_s"] = {
            "p50": round(cuts[9], 3),
            "p95": round(cuts[18], 3),
            "max": max(times),
        }
        if stage == "audible":
            figures["bound_p50_s"], figures["kept"] = BOUND_P50_S, cuts[9] < BOUND_P50_S
    return figures


async def bench(runs: int) -> int:
    """Run everything; 0 if the bound was kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quiet = await microphone_file(folder / "quiet.wav", text=None, after_s=1.0)
        environ = {"ASSISTANT_RATE_LIMIT": "1000"}
        async with running_system(folder, environ=environ) as system, chromium(quiet) as browser:
            measured = []
            for _ in range(runs):
                measured.append(await one_run(system, browser, folder))
                print(json.dumps(measured[-1]), flush=True)
    figures = summary(measured)
    print(json.dumps({"summary": figures}), flush=True)
    return 0 if figures["kept"] else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    if options.runs < 2:
        parser.error("percentiles need at least two runs")
    return asyncio.run(bench(options.runs))


if __name__ == "__main__":
    sys.exit(main())
