"""Losing agents on purpose, and watching from outside how their sessions go on.

The oracle is LiveKit's own list of participants, the process table and Redis.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from livekit import api
from livekit.protocol.models import ParticipantInfo
from redis.asyncio import Redis

from assistant.local_stack.parts import worker_part
from assistant.local_stack.ports import free_port
from assistant.local_stack.supervisor import Part, RunningPart
from assistant.sessions.record import AGENT_IDENTITY_PREFIX
from assistant.sessions.store.workers import WorkerRegistry
from tests.acceptance.system import PROJECT, System

LOOK_S = 0.01  # LiveKit answers in about 2 ms.


@dataclass
class Watch:
    """What LiveKit lists of one room, look after look.

    `most`: the largest number of agents that one look showed. `present`: by identity, when it was
    first listed as active (monotonic seconds).
    """

    room: str
    most: int = 0
    looks: int = 0
    here: frozenset[str] = frozenset()
    present: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, people: list[ParticipantInfo]) -> None:
        agents = [p for p in people if p.kind == ParticipantInfo.Kind.AGENT]
        here = frozenset(p.identity for p in agents if p.state == ParticipantInfo.State.ACTIVE)
        self.looks += 1
        self.most = max(self.most, len(agents))
        for identity in here - self.present.keys():
            self.present[identity] = time.monotonic()
        if here != self.here:
            self.here = here
            self.changed.set()

    async def joined(self, identity: str, timeout_s: float) -> float:
        """When the agent was first in the room.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(timeout_s):
            while identity not in self.present:
                self.changed.clear()
                await self.changed.wait()
        return self.present[identity]


def livekit(system: System) -> api.LiveKitAPI:
    return api.LiveKitAPI(
        system.livekit_url.replace("ws://", "http://"), system.keys.api_key, system.keys.api_secret
    )


async def remove(system: System, room: str, who: str) -> None:
    """Put a participant out of a room, as somebody with the key may do at any time."""
    client = livekit(system)
    try:
        request = api.RoomParticipantIdentity(room=room, identity=who)
        await client.room.remove_participant(request)
    finally:
        await client.aclose()


@asynccontextmanager
async def watched(system: System, room: str) -> AsyncIterator[Watch]:
    """Look at the room all the time."""
    watch = Watch(room)
    client = livekit(system)

    async def look() -> None:
        while True:
            listed = await client.room.list_participants(api.ListParticipantsRequest(room=room))
            watch.saw(list(listed.participants))
            await asyncio.sleep(LOOK_S)

    looking = asyncio.create_task(look(), name="watch room")
    try:
        yield watch
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await client.aclose()


@dataclass(frozen=True)
class Whereabouts:
    """Who runs a session's agent: the attempt, its job process, and the worker's part."""

    attempt: int
    job_pid: int
    part: str


async def whereabouts(system: System, session_id: str) -> Whereabouts:
    redis: Redis = Redis.from_url(system.redis_url, decode_responses=True)
    try:
        record = cast("dict[str, str]", await redis.hgetall(f"session:{session_id}"))
        beats = {beat.id: beat.pid for beat in await WorkerRegistry(redis, keep_s=60).alive()}
    finally:
        await redis.aclose()
    parts = {running.pid: running.part.name for running in system.supervisor.running}
    part = parts[beats[record["worker"]]]
    return Whereabouts(int(record["attempt"]), int(record["agentPid"]), part)


def identity(session_id: str, attempt: int) -> str:
    return f"{AGENT_IDENTITY_PREFIX}{session_id}-{attempt}"


def kill_job(pid: int, sig: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, sig)


def another_worker(system: System, name: str, **environ: str) -> Part:
    return worker_part(
        http_port=free_port(taken=system.ports.values()),
        env={**system.environ, **environ},
        name=name,
        cwd=PROJECT,
    )


async def replace_worker(system: System, name: str) -> RunningPart:
    """A fresh worker in the place of one that was killed or stopped."""
    running = system.supervisor[name]
    if not running.exited.is_set():
        running.stopping = True
        system.supervisor.kill(name, signal.SIGKILL)
        await running.exited.wait()
    return await system.supervisor.start(running.part)
