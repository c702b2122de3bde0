"""The whole system on free ports: what `make up` runs, for tests to use and to break."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from assistant.local_stack.livekit_server import LiveKitKeys
from assistant.local_stack.parts import service_part, worker_part
from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.supervisor import Supervisor
from assistant.local_stack.valkey import valkey_part, valkey_url
from assistant.rehearsal.api import ServiceClient
from tests.acceptance.servers import servers

PROJECT = Path(__file__).parents[2]
POOL_SIZE = 3
#: Settings that whoever runs the tests may give all workers, to see that all holds with them too.
FORCED = ("ASSISTANT_JOBS_PER_PROCESS",)
# Vendor-like, but for the model: the bound on replies is stated for 50 ms to its first token.
LLM_TTFT_S = 0.05


@dataclass(frozen=True)
class System:
    """A running system; `environ` is what a worker or a service of it gets."""

    supervisor: Supervisor
    environ: Mapping[str, str]
    ports: Mapping[str, int]
    keys: LiveKitKeys = field(repr=False)

    @property
    def service_url(self) -> str:
        return f"http://{HOST}:{self.ports['service']}"

    @property
    def livekit_url(self) -> str:
        return self.environ["LIVEKIT_URL"]

    @property
    def redis_url(self) -> str:
        return self.environ["REDIS_URL"]

    def service(self) -> ServiceClient:
        return ServiceClient(self.service_url)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.service_url, timeout=10)

    async def vendor_requests(self, service: str, operation: str | None = None) -> list[Any]:
        """What a stand-in received, oldest first: the `content` of each request."""
        query = {"service": service} | ({"operation": operation} if operation else {})
        async with httpx.AsyncClient(base_url=self.stand_ins_url, timeout=10) as client:
            answer = await client.get("/control/requests", params=query)
        return [entry["content"] for entry in answer.json()["requests"]]

    @property
    def stand_ins_url(self) -> str:
        return f"http://{HOST}:{self.ports['stand-ins']}"

    def logs(self, *, lines: int = 40) -> str:
        """The end of every part's log."""
        shown = []
        for running in self.supervisor.running:
            shown += [f"--- {running.part.name}", *running.log_tail(lines)]
        return "\n".join(shown)


@asynccontextmanager
async def running_system(
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    script: Path | None = None,
    stand_ins: Mapping[str, str] | None = None,
    webhook_port: int | None = None,
) -> AsyncIterator[System]:
    """Everything, ready; `environ` goes to the service and the worker.

    `script` and `stand_ins`, which are settings, go to the stand-ins.

    `webhook_port`: where LiveKit sends its webhooks instead of to the service.
    """
    below = await servers(
        folder,
        also=("valkey", "worker"),
        stand_ins={
            "ASSISTANT_STAND_IN_LLM_TTFT_S": str(LLM_TTFT_S),
            **({"ASSISTANT_STAND_IN_SCRIPT": str(script)} if script else {}),
            **(stand_ins or {}),
        },
        webhook_port=webhook_port,
    )
    ports = below.ports
    shared = {
        **below.environ,
        "REDIS_URL": valkey_url(ports["valkey"]),
        "PREWARM_POOL_SIZE": str(POOL_SIZE),
        "ASSISTANT_WEB_DIR": str(PROJECT / "web" / "dist"),
        "ASSISTANT_SPEECH_CACHE": str(folder / "speech"),
        "ASSISTANT_GROQ_URL": f"http://{below.stand_ins}/openai/v1",
        "ASSISTANT_ASSEMBLYAI_URL": f"ws://{below.stand_ins}",
        "ASSISTANT_INWORLD_URL": f"http://{below.stand_ins}/",
        **{name: os.environ[name] for name in FORCED if name in os.environ},
        **(environ or {}),
    }
    needs = frozenset({"valkey", "livekit-valkey", "livekit"})
    parts = [
        valkey_part(name="valkey", port=ports["valkey"], data_dir=folder / "valkey"),
        *below.parts,
        service_part(port=ports["service"], env=shared, needs=needs, cwd=PROJECT),
        worker_part(http_port=ports["worker"], env=shared, needs=needs, cwd=PROJECT),
    ]
    async with Supervisor(folder / "logs") as supervisor:
        await supervisor.start_all(parts)
        yield System(supervisor, shared, ports, below.keys)


@asynccontextmanager
async def another_service(system: System, **environ: str) -> AsyncIterator[str]:
    """One more replica of the service, with settings of its own; its address."""
    port = free_port()
    part = service_part(
        name="another-service", port=port, env={**system.environ, **environ}, cwd=PROJECT
    )
    await system.supervisor.start(part)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        await system.supervisor.stop("another-service")
