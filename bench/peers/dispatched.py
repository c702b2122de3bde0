"""Peers that are workers of the LiveKit SDK: their agent comes by a bare dispatch."""

import sys
from pathlib import Path

import aiohttp
from bench.peers import environments
from bench.peers.peer import Peer, Room, conversation, vendors
from bench.peers.stage import on_core
from livekit import api

from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part

HERE = Path(__file__).parent
READY_TIMEOUT_S = 120.0
STOP_AGAIN_AFTER_S = 0.5
STOP_TIMEOUT_S = 15.0
#: One line of the SDK's log for each process that can take a job from now on; each takes one.
INITIALIZED = b"process initialized"
#: And one for each job that it was asked to take; a start that the server dropped has none.
ASKED = b"received job request"


class DispatchedPeer(Peer):
    """A worker program of `bench/peers`, run as its users run it: `python agent.py start`."""

    program: Path
    #: False where one process serves all sessions.
    forks = True

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]
        return (f"peer-{self.program.parent.name}",)

    @property
    def agent_name(self) -> str:
        return self.parts[0]

    async def interpreter(self) -> Path:
        """The Python that runs it: ours, unless its packages differ."""
        return Path(sys.executable)

    async def start(self) -> None:
        self._port = free_port()
        python = await self.interpreter()
        part = Part(
            name=self.parts[0],
            argv=on_core(self.core, (str(python), str(self.program), "start")),
            env={
                **self.stage.environ,
                **conversation(),
                **vendors(self.stage),
                "PEER_IDLE_PROCESSES": str(self.idle),
                "PEER_PORT": str(self._port),
                "PEER_AGENT_NAME": self.agent_name,
                **self.environ(),
            },
            ready=http_ready(self._port, "/"),
            cwd=self.program.parent,
            ready_timeout_s=READY_TIMEOUT_S,
            stop_again_after_s=STOP_AGAIN_AFTER_S,
            stop_timeout_s=STOP_TIMEOUT_S,
        )
        await self.stage.supervisor.start(part)
        await self.warm()

    def environ(self) -> dict[str, str]:
        """What this program needs besides."""
        return {}

    async def why_cold(self) -> str | None:
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://{HOST}:{self._port}/worker") as answer,
        ):
            worker = await answer.json()
        jobs = worker.get("active_jobs", 0)
        if jobs:
            return f"{jobs} jobs run"
        text = self.stage.supervisor[self.parts[0]].log.path.read_bytes()
        if b"registered worker" not in text:
            return "LiveKit does not know it yet"
        idle = text.count(INITIALIZED) - text.count(ASKED)
        return f"{idle} idle processes" if self.forks and idle < self.idle else None

    async def begin(self, room: Room) -> None:
        await self.stage.api.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=self.agent_name, room=room.name)
        )


class Stock(DispatchedPeer):
    name = "D"
    program = HERE / "stock" / "agent.py"


class Floor(DispatchedPeer):
    name = "F"
    has_providers = False
    program = HERE / "floor" / "agent.py"


class Tone(DispatchedPeer):
    """`silence_s` of silence end its caller's speech."""

    name = "E"
    has_providers = False
    program = HERE / "tone" / "agent.py"
    silence_s = 0.2
    tone_s = 1.0

    def environ(self) -> dict[str, str]:
        return {"PEER_SILENCE_S": str(self.silence_s), "PEER_TONE_S": str(self.tone_s)}


class Shared(DispatchedPeer):
    """Every session in one process: none waits idle."""

    name = "O"
    program = HERE / "shared" / "agent.py"
    forks = False

    async def interpreter(self) -> Path:
        return await environments.interpreter("shared")

    def versions(self) -> dict[str, str]:
        return environments.versions("shared")
