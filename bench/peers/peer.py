"""One contender of the benchmark, whatever it is made of."""

import asyncio
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import psutil
import yaml
from bench.peers.stage import PROJECT, Stage
from livekit import api

from assistant.rehearsal.errors import WaitTimedOutError

#: Idle processes of each contender, the product's default; the peers' own defaults are fewer.
IDLE = 3
LOOK_S = 0.05
#: A cold fork of the whole pool on a busy core.
WARM_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Room:
    """Where one measurement takes place; `session` is the product's own id of it, if it has one."""

    name: str
    url: str
    token: str = field(repr=False)
    session: str | None = None


class Peer(ABC):
    """A contender that can be started, asked for an agent, and ended.

    `begin` is what its users do to bring an agent into a room, and nothing else. `parts` names
    those of the supervisor's parts whose processes count as its worker.
    """

    name: str
    parts: tuple[str, ...]
    #: Whether it talks: it recognises, thinks and speaks with the stand-ins, and it greets.
    has_providers = True

    def __init__(self, stage: Stage, *, idle: int = IDLE, core: int | None = None) -> None:
        self.stage = stage
        self.idle = idle
        self.core = core

    @abstractmethod
    async def start(self) -> None:
        """Returns when it takes starts, its idle processes ready."""

    @abstractmethod
    async def why_cold(self) -> str | None:
        """Why a start would not find all idle processes ready and nothing else going on."""

    @abstractmethod
    async def begin(self, room: Room) -> None:
        """Asks for an agent in the room; the clock of a start begins before this call."""

    async def room(self) -> Room:
        """A new room with a token for its caller, before any clock runs."""
        name = f"bench-{uuid.uuid4().hex[:12]}"
        await self.stage.api.room.create_room(api.CreateRoomRequest(name=name))
        return Room(name, self.stage.livekit_url, self.stage.caller_token(name))

    async def end(self, room: Room) -> None:
        """Ends what `begin` began."""
        await self.stage.api.room.delete_room(api.DeleteRoomRequest(room=room.name))

    async def warm(self) -> None:
        """Waits until a start finds the idle processes ready and no earlier job going on."""
        await until(self.why_cold, WARM_TIMEOUT_S, f"waiting for {self.name}'s idle processes")

    def versions(self) -> dict[str, str]:
        """Its main packages, where it has an environment of its own."""
        return {}

    async def stop(self) -> None:
        for part in reversed(self.parts):
            await self.stage.supervisor.stop(part)

    def pids(self) -> list[int]:
        """The processes of its worker: all in the sessions that the supervisor opened for it."""
        sessions = {self.stage.supervisor[part].pid for part in self.parts}
        return [pid for pid in psutil.pids() if _session_of(pid) in sessions]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


async def until(
    why_not: Callable[[], Awaitable[str | None]], timeout_s: float, waiting_for: str
) -> None:
    """Looks again and again until there is no reason left.

    Raises:
        WaitTimedOutError: it names the last reason.
    """
    reason = None
    try:
        async with asyncio.timeout(timeout_s):
            # The reasons are other processes', which ring no bell here.
            while (reason := await why_not()) is not None:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        raise WaitTimedOutError(waiting_for, timeout_s=timeout_s, seen=str(reason)) from error


def conversation() -> dict[str, str]:
    """Prompt, greeting, model and voice of the shipped default agent, for a peer's environment."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agent = document["agents"][document["default"]]
    return {
        "PEER_PROMPT": agent["instructions"],
        "PEER_GREETING": agent["greeting"],
        "PEER_LLM_MODEL": agent["llm"]["model"],
        "PEER_TTS_MODEL": agent["tts"]["model"],
        "PEER_VOICE": document["voices"][agent["tts"]["voice"]]["voice"],
    }


def vendors(stage: Stage) -> dict[str, str]:
    """Where the stand-ins are, for a peer's environment."""
    return {
        "PEER_GROQ_URL": stage.groq_url,
        "PEER_ASSEMBLYAI_URL": stage.assemblyai_url,
        "PEER_INWORLD_URL": stage.inworld_url,
        "PEER_INWORLD_WS_URL": stage.inworld_ws_url,
    }
