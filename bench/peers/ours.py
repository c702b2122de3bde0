"""The product as a contender: its service, its worker and their Redis."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import aiohttp
from bench.peers.peer import Peer, Room
from bench.peers.stage import PROJECT, on_core
from livekit import api

from assistant.local_stack.parts import service_part, worker_part
from assistant.local_stack.ports import HOST, assign
from assistant.local_stack.supervisor import Part
from assistant.local_stack.valkey import valkey_part, valkey_url
from assistant.rehearsal.api import ServiceClient
from assistant.settings import WorkerSettings

AGENT_NAME = "assistant"
SEATS = 8


class Ours(Peer):
    """Started as a backend does it: a token, then a start request over HTTP."""

    name = "ours"
    parts = ("worker",)
    #: Changes a session's agent, as `config` of the start request.
    config: dict[str, Any] | None = None
    #: Of service and worker, beside what every contender gets.
    settings: Mapping[str, str] = MappingProxyType({})
    #: Jobs that are to stand by, if the pool has one process more.
    stand_by: int = WorkerSettings.model_fields["standby_jobs"].default

    async def start(self) -> None:
        ports = assign(("valkey", "worker"), remembered={})
        self._port = ports["worker"]
        self.redis_url = valkey_url(ports["valkey"])
        stage = self.stage
        env = {
            **stage.environ,
            "REDIS_URL": self.redis_url,
            "PREWARM_POOL_SIZE": str(self.idle),
            "ASSISTANT_WEB_DIR": str(PROJECT / "web" / "dist"),
            "ASSISTANT_SPEECH_CACHE": str(stage.folder / "speech"),
            "ASSISTANT_GROQ_URL": stage.groq_url,
            "ASSISTANT_ASSEMBLYAI_URL": stage.assemblyai_url,
            "ASSISTANT_INWORLD_URL": stage.inworld_url,
            "ASSISTANT_RATE_LIMIT": "100000",
            **self.settings,
        }
        needs = frozenset({"valkey"})
        worker = worker_part(http_port=self._port, env=env, needs=needs, cwd=PROJECT)
        await stage.supervisor.start_all(
            [
                valkey_part(name="valkey", port=ports["valkey"], data_dir=stage.folder / "valkey"),
                service_part(port=stage.service_port, env=env, needs=needs, cwd=PROJECT),
                _with_argv(worker, on_core(self.core, worker.argv)),
            ]
        )
        self.service = ServiceClient(f"http://{HOST}:{stage.service_port}")
        await self.service.__aenter__()
        await self.warm()

    async def stop(self) -> None:
        await self.service.__aexit__(None, None, None)
        for part in ("worker", "service", "valkey"):
            await self.stage.supervisor.stop(part)

    async def why_cold(self) -> str | None:
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://{HOST}:{self._port}/worker") as answer,
        ):
            worker = await answer.json()
        if worker["jobs"]:
            return f"{worker['jobs']} jobs run"
        if worker["warm"] < self.idle:
            return f"{worker['warm']} idle processes"
        wanted = min(self.stand_by, self.idle - 1)
        return f"{worker['standby']} stand by" if worker["standby"] < wanted else None

    async def room(self) -> Room:
        session = f"bench-{uuid.uuid4().hex[:12]}"
        grant = await self.service.token(session, "caller")
        return Room("", grant.url, grant.token, session)

    async def begin(self, room: Room) -> None:
        assert room.session is not None  # noqa: S101 - made by `room`
        await self.service.start(room.session, "caller", config=self.config)

    async def end(self, room: Room) -> None:
        assert room.session is not None  # noqa: S101 - made by `room`
        await self.service.end(room.session)


class OursDense(Ours):
    """The product where conversations share a process."""

    name = "ours dense"
    settings = MappingProxyType({"ASSISTANT_JOBS_PER_PROCESS": str(SEATS)})
    stand_by = 0


class OursDispatched(Peer):
    """The same running worker, by the bare dispatch that the peers get: no service, no session."""

    name = "ours by dispatch"
    parts = ("worker",)

    def __init__(self, ours: Ours) -> None:
        super().__init__(ours.stage, idle=ours.idle, core=ours.core)
        self._ours = ours

    async def start(self) -> None:
        """Its worker was started with the product."""

    async def stop(self) -> None:
        """Its worker is stopped with the product."""

    async def why_cold(self) -> str | None:
        return await self._ours.why_cold()

    async def begin(self, room: Room) -> None:
        await self.stage.api.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=room.name)
        )


def _with_argv(part: Part, argv: tuple[str, ...]) -> Part:
    return Part(
        name=part.name,
        argv=argv,
        env=part.env,
        ready=part.ready,
        needs=part.needs,
        cwd=part.cwd,
        ready_timeout_s=part.ready_timeout_s,
        stop_signal=part.stop_signal,
        stop_timeout_s=part.stop_timeout_s,
        stop_again_after_s=part.stop_again_after_s,
    )
