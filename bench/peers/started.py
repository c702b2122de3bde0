"""S as a contender: its HTTP start, with processes started ahead (pool) or without (cold)."""

import aiohttp
from bench.peers import environments
from bench.peers.dispatched import HERE
from bench.peers.peer import Peer, Room, conversation, vendors
from bench.peers.stage import on_core

from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part

PROGRAM = HERE / "spawned" / "server.py"
READY_TIMEOUT_S = 120.0


class SpawnedPool(Peer):
    """Three processes wait for a room; the next ones are started as those are taken."""

    name = "S pool"
    parts = ("peer-spawned-pool",)

    async def start(self) -> None:
        python = await environments.interpreter("spawned")
        self._url = f"http://{HOST}:{(port := free_port())}"
        self._http = aiohttp.ClientSession()
        part = Part(
            name=self.parts[0],
            argv=on_core(self.core, (str(python), str(PROGRAM))),
            env={
                **self.stage.environ,
                **conversation(),
                **vendors(self.stage),
                "PEER_IDLE_PROCESSES": str(self.processes),
                "PEER_PORT": str(port),
            },
            ready=http_ready(port, "/health"),
            cwd=PROGRAM.parent,
            ready_timeout_s=READY_TIMEOUT_S,
        )
        await self.stage.supervisor.start(part)
        await self.warm()

    @property
    def processes(self) -> int:
        """How many wait for a room."""
        return self.idle

    def versions(self) -> dict[str, str]:
        return environments.versions("spawned")

    async def stop(self) -> None:
        await self._http.close()
        await super().stop()

    async def why_cold(self) -> str | None:
        async with self._http.get(f"{self._url}/health") as answer:
            seen = await answer.json()
        if seen["busy"]:
            return f"{seen['busy']} sessions run"
        return f"{seen['idle']} idle processes" if seen["idle"] < self.processes else None

    async def begin(self, room: Room) -> None:
        async with self._http.post(f"{self._url}/start", json={"room": room.name}) as answer:
            answer.raise_for_status()


class SpawnedCold(SpawnedPool):
    """No process waits: each start pays for the whole of Python and Pipecat."""

    name = "S cold"
    parts = ("peer-spawned-cold",)

    @property
    def processes(self) -> int:
        return 0
