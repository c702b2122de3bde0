"""The real servers that sessions live on, and records to put there."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from livekit import api, rtc

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
from assistant.local_stack.valkey import valkey_part, valkey_url
from assistant.sessions.record import Session, State, room_name
from assistant.sessions.store.workers import Beat

TOOLS = Path(__file__).parents[2] / "tools"
PREFIX = "va-"
AGENT_NAME = "assistant"
LEAVE_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class LiveKitServer:
    """A running livekit-server that makes no rooms by itself."""

    url: str
    keys: LiveKitKeys
    supervisor: Supervisor = field(repr=False)

    async def crash(self) -> None:
        """Kill it (-9) and start it again; its own Redis stays."""
        running = self.supervisor["livekit"]
        running.stopping = True
        self.supervisor.kill("livekit")
        await running.exited.wait()
        await self.supervisor.start(running.part)

    async def join(self, room: str, identity: str, *, agent: bool = False) -> rtc.Room:
        """A participant in the room; disconnect it in the end."""
        token = (
            api.AccessToken(self.keys.api_key, self.keys.api_secret)
            .with_identity(identity)
            .with_ttl(timedelta(minutes=5))
            .with_grants(api.VideoGrants(room_join=True, room=room, agent=agent))
        )
        if agent:
            token = token.with_kind("agent")
        joined = rtc.Room()
        await joined.connect(self.url, token.to_jwt())
        return joined

    def api(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(self.url, self.keys.api_key, self.keys.api_secret)


async def leave(room: rtc.Room) -> None:
    """Disconnect; the SDK may wait without end where the server is closing the room just then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_TIMEOUT_S):
            await room.disconnect()


@asynccontextmanager
async def running_valkey(folder: Path, *, port: int | None = None) -> AsyncIterator[str]:
    """A valkey-server, on a free port unless one is named; its URL."""
    port = port or free_port()
    part = valkey_part(name="valkey", port=port, data_dir=folder / "valkey")
    async with Supervisor(folder / "valkey-log") as supervisor:
        await supervisor.start_all([part])
        yield valkey_url(port)


@asynccontextmanager
async def running_livekit(folder: Path) -> AsyncIterator[LiveKitServer]:
    """A livekit-server with a valkey-server of its own."""
    program = await livekit_program(tools_dir=TOOLS, environ=os.environ, progress=print)
    redis_port = free_port()
    http = free_port(taken=[redis_port])
    ports = LiveKitPorts(http=http, udp=free_port(taken=[redis_port, http]))
    keys = new_keys()
    parts = [
        valkey_part(name="valkey-livekit", port=redis_port, data_dir=folder / "valkey-livekit"),
        livekit_part(
            program=program,
            config_file=folder / "livekit.yaml",
            ports=ports,
            keys=keys,
            redis_port=redis_port,
            webhook_url=None,
            needs=frozenset({"valkey-livekit"}),
        ),
    ]
    async with Supervisor(folder / "livekit-log") as supervisor:
        await supervisor.start_all(parts)
        yield LiveKitServer(livekit_url(ports), keys, supervisor)


def new_session(session_id: str, **changes: Any) -> Session:
    """A record as the service first stores it."""
    values: dict[str, Any] = {
        "id": session_id,
        "user_id": f"user-{session_id}",
        "room": room_name(PREFIX, session_id),
        "state": State.CREATED,
        "created_at": time.time(),
        "agent": "assistant",
        "spec": "{}",
        "max_duration_s": 600.0,
        "user_join_timeout_s": 60.0,
        "user_return_timeout_s": 20.0,
    }
    return Session(**(values | changes))


def beat(worker_id: str = "worker-1", **changes: Any) -> Beat:
    """What a worker with 10 places says."""
    values: dict[str, Any] = {
        "id": worker_id,
        "host": "test",
        "pid": os.getpid(),
        "agent_name": AGENT_NAME,
        "max_jobs": 10,
        "jobs": 0,
        "warm": 3,
        "load": 0.0,
        "draining": False,
        "registered": True,
        "version": "test",
        "started_at": time.time(),
    }
    return Beat(**(values | changes))
