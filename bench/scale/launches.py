"""How many dispatches a real livekit-server launches at once: `python -m bench.scale.launches`.

A worker that is nothing but a socket takes every job at once, and never joins; so what is measured
is the server alone, with real dispatches in rooms of their own. One JSON line a run: how many were
asked for, how long all requests took, how soon the offers came, and offers a second between the
first tenth and the last one. The simulation says 25 launches at once, of 0.2 s each; and for a room
that names no agent one of 1 s before, for the unnamed agent that nobody is. A room that names one
which there is not needs none, but as the node learns anew which there are.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, get_args

import aiohttp
from bench.scale.livekit import LAUNCHES_AT_ONCE, SHORT_CIRCUIT_S
from bench.scale.model import Naming
from livekit import api
from livekit.protocol import agent
from tests.acceptance.system import PROJECT

from assistant.local_stack.livekit_build import livekit_program
from assistant.local_stack.livekit_server import (
    LiveKitKeys,
    LiveKitPorts,
    livekit_part,
    livekit_url,
    new_keys,
)
from assistant.local_stack.ports import free_port
from assistant.local_stack.supervisor import Supervisor
from token_service.livekit_gateway import NO_AGENT

AGENT = "socket"
SIZES = (25, 100, 300)
ASKED_AT_ONCE = 64
OFFERS_TIMEOUT_S = 30.0


class SocketWorker:
    """Takes all jobs; `offers` has when each was offered, by the name of its room."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.offers: dict[str, float] = {}

    async def register(self) -> None:
        hello = agent.WorkerMessage()
        hello.register.agent_name = AGENT
        hello.register.version = "1"
        await self._ws.send_bytes(hello.SerializeToString())

    async def run(self) -> None:
        async for message in self._ws:
            told = agent.ServerMessage()
            told.ParseFromString(message.data)
            if told.WhichOneof("message") == "availability":
                job = told.availability.job
                self.offers[job.room.name] = time.monotonic()
                answer = agent.WorkerMessage()
                answer.availability.job_id = job.id
                answer.availability.available = True
                answer.availability.participant_identity = f"agent-{job.room.name}"
                await self._ws.send_bytes(answer.SerializeToString())


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[str, LiveKitKeys]]:
    program = await livekit_program(tools_dir=PROJECT / "tools", environ=os.environ, progress=print)
    ports = LiveKitPorts(http=free_port(), udp=free_port())
    keys = new_keys()
    part = livekit_part(
        program=program,
        config_file=folder / "livekit.yaml",
        ports=ports,
        keys=keys,
        redis_port=None,
        webhook_url=None,
        log_level="warn",
    )
    async with Supervisor(folder / "logs") as supervisor:
        await supervisor.start_all([part])
        yield livekit_url(ports), keys


async def burst(
    livekit: api.LiveKitAPI, worker: SocketWorker, name: str, size: int, naming: Naming
) -> dict[str, Any]:
    """So many dispatches as fast as they can be asked for, each in a new room.

    Unless the request that makes a room names its agent, all rooms are made first, and the agents
    asked for then.
    """
    with_room = naming == "its agent"
    places = asyncio.Semaphore(ASKED_AT_ONCE)
    rooms = [f"{name}-{number}" for number in range(size)]
    asked: dict[str, float] = {}

    async def ask(room: str) -> None:
        async with places:
            if with_room:
                agents = [api.RoomAgentDispatch(agent_name=AGENT)]
                new = api.CreateRoomRequest(name=room, empty_timeout=120, agents=agents)
                await livekit.room.create_room(new)
            else:
                request = api.CreateAgentDispatchRequest(agent_name=AGENT, room=room)
                await livekit.agent_dispatch.create_dispatch(request)
            asked[room] = time.monotonic()

    none = [api.RoomAgentDispatch(agent_name=NO_AGENT)] if naming == "none there is" else []
    for room in [] if with_room else rooms:
        new = api.CreateRoomRequest(name=room, empty_timeout=120, agents=none)
        await livekit.room.create_room(new)
    began = time.monotonic()
    await asyncio.gather(*(ask(room) for room in rooms))
    until = time.monotonic() + OFFERS_TIMEOUT_S
    while time.monotonic() < until and not all(room in worker.offers for room in rooms):  # noqa: ASYNC110 - a socket tells
        await asyncio.sleep(0.05)
    offers = sorted(worker.offers[room] - began for room in rooms if room in worker.offers)
    late = max(worker.offers[room] - asked[room] for room in rooms if room in worker.offers)
    tenth = len(offers) // 10
    span_s = offers[-1] - offers[tenth] if offers else 0.0
    for room in rooms:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
    return {
        "naming": naming,
        "dispatches": size,
        "offered": len(offers),
        "asked_within_s": round(max(asked.values()) - began, 2),
        "first_s": round(offers[0], 3) if offers else None,
        "last_s": round(offers[-1], 3) if offers else None,
        "slowest_after_asked_s": round(late, 3),
        "offers_per_s": round((len(offers) - tenth) / span_s, 1) if span_s > 0 else None,
        "said_per_s": LAUNCHES_AT_ONCE / SHORT_CIRCUIT_S,
        "load_average": round(os.getloadavg()[0], 2),
    }


async def bench(options: argparse.Namespace) -> int:
    namings: list[tuple[int, Naming]] = list(enumerate(get_args(Naming)))
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder)) as (url, keys), aiohttp.ClientSession() as http:
            token = api.AccessToken(keys.api_key, keys.api_secret)
            jwt = token.with_grants(api.VideoGrants(agent=True)).to_jwt()
            livekit = api.LiveKitAPI(url, keys.api_key, keys.api_secret, session=http)
            headers = {"Authorization": f"Bearer {jwt}"}
            address = url.replace("http", "ws", 1) + "/agent"
            async with http.ws_connect(address, headers=headers) as ws:
                worker = SocketWorker(ws)
                await worker.register()
                running = asyncio.create_task(worker.run(), name="worker")
                try:
                    for run in range(options.runs):
                        for size, (place, naming) in product(SIZES, namings):
                            name = f"r{run}-{size}-{place}"
                            line = await burst(livekit, worker, name, size, naming)
                            print(json.dumps(line), flush=True)
                finally:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    return asyncio.run(bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
