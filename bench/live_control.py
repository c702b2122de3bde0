"""How soon a backend's commands are there: `python -m bench.live_control --runs 20`.

One conversation; one JSON line a run, then a summary. Times are from the request's being sent:
`interrupt` and `mute` until the last sound that the caller hears, `say` until the first one,
`agent` until the next agent's first word, the others until the answer that says `applied`, at which
the model has it. Bound: p95 < 0.3 s, to which `say` adds the voice's own time to its first sound
(the stand-in's is 0.12 s), and `agent` the same of a greeting that nobody has made before.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
from tests.acceptance.system import System, running_system
from tests.timing import scaled

from assistant.rehearsal.scenario import Call

BOUND_S = 0.3
VOICE_S = 0.15  # The stand-in's, and the way of the sound to the caller's ear.
LIMIT_S = 20.0
QUIET_S = 0.4
# Random, so that a command meets every phase of the sound.
SETTLE_S = (0.3, 0.8)
LONG = "First we go to the harbour, then to the old town, then up the hill, and then back again."
AGENTS = ("concierge", "assistant")


class Bench:
    """One conversation, and the connection of its backend."""

    def __init__(self, call: Call, http: httpx.AsyncClient, rng: random.Random) -> None:
        self._call = call
        self._http = http
        self._rng = rng
        self._agents = 0

    async def give(self, name: str, **body: Any) -> tuple[float, float]:
        """When the request was sent, and how long its answer took; it must be `applied`."""
        path = f"/api/sessions/{self._call.session_id}/{name}"
        asked = time.monotonic()
        answer = await self._http.post(path, json=body)
        took_s = time.monotonic() - asked
        answer.raise_for_status()
        if answer.json()["status"] != "applied":
            raise RuntimeError(f"{name} is {answer.json()['status']}")
        return asked, took_s

    async def interrupt(self) -> float:
        return await self._stops("interrupt")

    async def mute(self) -> float:
        stopped_s = await self._stops("mute", who="agent", muted=True)
        await self.give("mute", who="agent", muted=False)
        return stopped_s

    async def say(self) -> float:
        await self._quiet()
        asked, _ = await self.give("say", text="The taxi is here.")
        sound = await self._call.caller.wait_for_speech(scaled(LIMIT_S), since=asked)
        return sound.started - asked

    async def agent(self) -> float:
        await self._quiet()
        name = AGENTS[self._agents % len(AGENTS)]
        self._agents += 1
        asked, _ = await self.give("agent", agent=name)
        sound = await self._call.caller.wait_for_speech(scaled(LIMIT_S), since=asked)
        return sound.started - asked

    async def context(self) -> float:
        return (await self.give("context", text="The guest waits."))[1]

    async def instructions(self) -> float:
        return (await self.give("instructions", instructions="Be brief."))[1]

    async def _stops(self, name: str, **body: Any) -> float:
        await self._quiet()
        await self.give("say", text=LONG, interruptible=False)
        await asyncio.sleep(self._rng.uniform(*SETTLE_S))
        asked, _ = await self.give(name, **body)
        caller = self._call.caller
        return await caller.wait_for_silence(asked, scaled(LIMIT_S), quiet_s=QUIET_S)

    async def _quiet(self) -> None:
        await self.give("interrupt")
        await self._call.caller.wait_for_quiet(scaled(LIMIT_S), quiet_s=QUIET_S)


def summary(name: str, times: list[float]) -> dict[str, object]:
    cuts = quantiles(times, n=20, method="inclusive")
    bound_s = BOUND_S + (VOICE_S if name in {"say", "agent"} else 0.0)
    return {
        "command": name,
        "runs": len(times),
        "p50": round(cuts[9], 3),
        "p95": round(cuts[18], 3),
        "max": round(max(times), 3),
        "bound": bound_s,
        "kept": cuts[18] < bound_s,
    }


async def measure(system: System, options: argparse.Namespace) -> bool:
    rng = random.Random(options.seed)  # noqa: S311 - it places commands in time
    kept = True
    async with system.service() as service, system.http() as http, Call(service) as call:
        await call.agent_joins()
        bench = Bench(call, http, rng)
        commands: dict[str, Callable[[], Awaitable[float]]] = {
            "interrupt": bench.interrupt,
            "mute": bench.mute,
            "say": bench.say,
            "agent": bench.agent,
            "context": bench.context,
            "instructions": bench.instructions,
        }
        await call.caller.wait_for_speech(scaled(LIMIT_S), since=call.started_at)
        for name in options.command or commands:
            times = []
            for _ in range(options.runs):
                times.append(await commands[name]())
                run = {"command": name, "seed": options.seed, "took_s": round(times[-1], 3)}
                print(json.dumps(run), flush=True)
            figures = summary(name, times)
            print(json.dumps({"summary": figures}), flush=True)
            kept &= bool(figures["kept"])
    return kept


async def bench(options: argparse.Namespace) -> int:
    """Run everything; 0 if every bound was kept."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_system(Path(folder)) as system:
            return 0 if await measure(system, options) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", action="append")
    return asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
