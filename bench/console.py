"""Does the console stay fluid? `python -m bench.console`.

A service with its Valkey and livekit-server, `--live` sessions that run and `--past` ones that are
over, put into Redis as the worker and the service would; and Chromium with the built console. The
whole list is scrolled through, and walked through by key, and the overview is left open, while
`--events` events a second come. Prints one JSON line: how long until the live sessions and until
all were listed, and the times between frames in milliseconds. It is the whole machine's figure:
browser and servers share it.
"""

import argparse
import asyncio
import json
import random
import secrets
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.stored_sessions import KEEP_S, spec_of
from playwright.async_api import Page
from tests.acceptance.browser import chromium, visit
from tests.integration.http_stack import PROJECT, Stack, running_stack
from tests.integration.session_servers import new_session

from assistant.sessions import events as ev
from assistant.sessions.record import Reason
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.records import Bounds, SessionStore

FILLERS = 16  # sessions that are stored at once
AGENTS = ("assistant", "concierge", "storyteller")
FAILED_SHARE = 0.05
SCROLL_S = 6.0
OVERVIEW_S = 30.0
KEYS = 120
# Each step of the scroll is this share of what is in sight: a quick flick of the wheel.
SCROLL_STEP = 0.6
FRAMES = """
(seconds, step) => new Promise((done) => {
  const list = document.querySelector(".list");
  const times = [];
  let down = true;
  const begin = performance.now();
  let before = begin;
  const frame = (now) => {
    times.push(now - before);
    before = now;
    if (step > 0) {
      const end = list.scrollHeight - list.clientHeight;
      if (list.scrollTop >= end - 1) down = false;
      if (list.scrollTop <= 1) down = true;
      list.scrollTop += (down ? 1 : -1) * list.clientHeight * step;
    }
    if (now - begin < seconds * 1000) requestAnimationFrame(frame);
    else done(times.slice(1));
  };
  requestAnimationFrame(frame);
})
"""


async def fill(stack: Stack, live: int, past: int, rng: random.Random, spec: str) -> list[str]:
    """Stores the sessions; the ids of those that live.

    The service stands still meanwhile, and is then to look for nobody's room: there are none.
    """
    stack.service.process.send_signal(signal.SIGSTOP)
    async with connect(stack.redis_url) as redis:
        store = SessionStore(redis, Bounds(max_bots=100_000, queue_limit=100_000, keep_s=KEEP_S))
        living: list[str] = []
        wanted = iter([True] * live + [False] * past)

        async def some() -> None:
            for lives in wanted:
                session_id = f"c-{rng.getrandbits(64):016x}"
                await _session(store, session_id, rng, spec, lives=lives)
                if lives:
                    living.append(session_id)

        async with asyncio.TaskGroup() as group:
            for n in range(FILLERS):
                group.create_task(some(), name=f"fill {n}")
        await redis.delete(keys.DUE)
        await redis.zadd(keys.DUE, dict.fromkeys(living, time.time() + KEEP_S))
    stack.service.process.send_signal(signal.SIGCONT)
    return living


async def _session(
    store: SessionStore, session_id: str, rng: random.Random, spec: str, *, lives: bool
) -> None:
    at = time.time() - rng.uniform(5, 600) - (0 if lives else rng.uniform(600, 80_000))
    session = new_session(
        session_id,
        user_id=f"user-{rng.randrange(500)}",
        agent=rng.choice(AGENTS),
        spec=spec,
        created_at=at,
    )
    begun = (ev.Started(at=at, task_id=secrets.token_hex(8)), ev.Admitted(at=at))
    await store.create(session, *begun)
    happened: tuple[ev.Event, ...] = (ev.Dispatched(at=at, attempt=1),)
    if not lives and rng.random() < FAILED_SHARE:
        happened += (ev.Failed(at=at + 9, reason=Reason.JOB_NOT_ACCEPTED, detail="of the bench"),)
    else:
        happened += (
            ev.Accepted(at=at, attempt=1, worker="worker-test"),
            ev.Claimed(at=at, attempt=1, worker="worker-test", pid=1),
            ev.AgentJoined(at=at + 0.5, attempt=1),
        )
        if not lives:
            end = at + rng.uniform(10, 400)
            asked = ev.EndRequested(at=end, reason=Reason.USER_LEFT)
            happened += (asked, ev.Closed(at=end))
    await store.record(session_id, *happened, next_check=time.time() + KEEP_S)


async def happen(stack: Stack, ids: list[str], per_s: float, rng: random.Random) -> None:
    """Turns of live sessions, until cancelled; with every twentieth a session ends."""
    running = list(ids)
    async with connect(stack.redis_url) as redis:
        store = SessionStore(redis, Bounds(max_bots=100_000, queue_limit=100_000, keep_s=KEEP_S))
        for n in range(10**9):
            session_id = rng.choice(running)
            turn = ev.TurnCompleted(
                at=time.time(),
                attempt=1,
                turn=n,
                transcription_delay_s=0.2,
                end_of_turn_delay_s=0.4,
                llm_ttft_s=0.2,
                tts_ttfb_s=0.1,
                e2e_latency_s=rng.uniform(0.5, 1.5),
                interrupted=rng.random() < 0.1,
            )
            await store.note(session_id, turn)
            if n % 20 == 0 and len(running) > 1:
                running.remove(session_id)
                asked = ev.EndRequested(at=time.time(), reason=Reason.USER_LEFT)
                closed = ev.Closed(at=time.time())
                far = time.time() + KEEP_S
                await store.record(session_id, asked, closed, next_check=far)
            await asyncio.sleep(1 / per_s)


def figures(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: ordered[int(len(ordered) * share)] for name, share in shares.items()}
    over = sum(1 for each in times if each > 50)
    return {name: round(value, 1) for name, value in found.items()} | {
        "max": round(ordered[-1], 1),
        "frames": len(times),
        "over_50_ms": over,
    }


async def frames(page: Page, step: float, seconds: float = SCROLL_S) -> dict[str, float]:
    return figures(await page.evaluate(f"({FRAMES})({seconds}, {step})"))


async def overview(page: Page, url: str) -> dict[str, float]:
    """The charts of a day, in which turns come all the time."""
    await page.goto(f"{url}/console#/overview")
    await page.get_by_role("button", name="24 hours").click()
    await page.locator(".chart").first.wait_for()
    return await frames(page, 0, OVERVIEW_S)


async def walk(page: Page) -> dict[str, float]:
    """From row to row by key, each opening its session; the frames between."""
    await page.get_by_role("listbox").focus()
    counting = asyncio.create_task(page.evaluate(f"({FRAMES})({SCROLL_S}, 0)"))
    for _ in range(KEYS):
        await page.keyboard.press("ArrowDown")
        await asyncio.sleep(SCROLL_S / KEYS)
    return figures(await counting)


async def measure(stack: Stack, ids: list[str], count: int, per_s: float) -> dict[str, Any]:
    folder = stack.folder
    async with chromium(None) as browser, visit(browser, "about:blank", folder) as console:
        page = console.page
        began = time.perf_counter()
        await page.goto(f"{stack.url}/console#/sessions")
        foot = page.locator(".list-foot")
        await foot.filter(has_text=f"{len(ids):,} sessions").wait_for(timeout=60_000)
        live_s = time.perf_counter() - began
        happening = asyncio.create_task(happen(stack, ids, per_s, random.Random(1)))  # noqa: S311
        try:
            quiet = await frames(page, 0)
            scrolled_live = await frames(page, SCROLL_STEP)
            await page.get_by_role("button", name="All").click()
            began = time.perf_counter()
            whole = foot.filter(has_text=f"{count:,} sessions").filter(has_not_text="older")
            while await whole.count() == 0:
                await page.evaluate("document.querySelector('.list').scrollTop = 1e9")
                await asyncio.sleep(0.02)
                if time.perf_counter() - began > 300:
                    raise TimeoutError(await foot.inner_text())
            all_s = time.perf_counter() - began
            scrolled_all = await frames(page, SCROLL_STEP)
            await page.evaluate("document.querySelector('.list').scrollTop = 0")
            walked = await walk(page)
            rows = await page.locator(".list-row").count()
            charts = await overview(page, stack.url)
        finally:
            happening.cancel()
            await asyncio.wait([happening])
        if console.errors:
            raise AssertionError(console.errors)
    return {
        "live_listed_s": round(live_s, 2),
        "all_listed_s": round(all_s, 2),
        "rows_in_document": rows,
        "frames_ms": {
            "events_alone": quiet,
            "scrolling_live": scrolled_live,
            "scrolling_all": scrolled_all,
            "walking_by_key": walked,
            "overview_of_a_day": charts,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", type=int, default=500)
    parser.add_argument("--past", type=int, default=10_000)
    parser.add_argument("--events", type=float, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stacks:
        environ = {
            "MAX_BOTS": "100000",
            "ASSISTANT_LOG_LEVEL": "warning",
            "ASSISTANT_WEB_DIR": str(PROJECT / "web" / "dist"),
        }
        stack = stacks.enter_context(running_stack(Path(folder), **environ))
        stack.has_worker(max_jobs=100_000)
        rng = random.Random(7)  # noqa: S311 - a benchmark's ids
        ids = asyncio.run(fill(stack, chosen.live, chosen.past, rng, spec_of(stack)))
        found = asyncio.run(measure(stack, ids, chosen.live + chosen.past, chosen.events))
    print(json.dumps({"bench": "console", **vars(chosen), **found}))


if __name__ == "__main__":
    main()
