"""What is true of many sessions at one moment, asked of LiveKit, Redis and the process table.

Nothing here asks our service: it is the one under test.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psutil
from livekit import api
from livekit.protocol.models import ParticipantInfo
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError  # noqa: A004

from assistant.sessions.record import AGENT_IDENTITY_PREFIX, agent_identity, session_of_room
from tests.acceptance.recovery import livekit
from tests.acceptance.system import System

ROOM_PREFIX = "va-"
LOOK_S = 0.05
OVER = frozenset({"ended", "failed"})


@dataclass(frozen=True)
class Standing:
    """What Redis says of one session; `agents` is who LiveKit lists in its room."""

    status: str | None
    attempt: int
    reason: str | None
    agents: frozenset[str]

    def lie(self, session_id: str) -> str | None:
        """Why record and room do not fit together, or are not settled yet; None: they fit."""
        if self.status == "active":
            if self.agents == {agent_identity(session_id, self.attempt)}:
                return None
        elif self.status in OVER or self.status is None:
            named = self.status is None or self.reason
            if named and not self.agents:
                return None
        return f"{session_id}: {self.status} (attempt {self.attempt}), agents {set(self.agents)}"


class Census:
    """Looks at a system from outside; use it as a context manager."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._livekit = livekit(system)
        # Redis is restarted under it.
        self._redis: Redis = Redis.from_url(
            system.redis_url,
            decode_responses=True,
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[ConnectionError],
        )
        #: LiveKit keeps listing who was there before it was killed; whoever joined before this
        #: time (Unix seconds) is not counted.
        self.joined_since = 0.0

    async def aclose(self) -> None:
        await self._livekit.aclose()
        await self._redis.aclose()

    async def agents(self, session_id: str) -> frozenset[str]:
        """The agents of any attempt that LiveKit lists in the session's room."""
        request = api.ListParticipantsRequest(room=ROOM_PREFIX + session_id)
        try:
            listed = await self._livekit.room.list_participants(request)
        except api.TwirpError as error:
            if error.code == "not_found":
                return frozenset()
            raise
        return frozenset(
            p.identity
            for p in listed.participants
            if p.kind == ParticipantInfo.Kind.AGENT and p.joined_at_ms / 1000 >= self.joined_since
        )

    async def standing(self, session_id: str) -> Standing:
        record = cast("dict[str, str]", await self._redis.hgetall(f"session:{session_id}"))
        return Standing(
            status=record.get("status"),
            attempt=int(record.get("attempt", 0)),
            reason=record.get("reason"),
            agents=await self.agents(session_id),
        )

    async def lies(self, session_ids: Iterable[str]) -> list[str]:
        """One sentence for each session whose record and room do not fit together."""
        found = []
        for session_id in session_ids:
            lie = (await self.standing(session_id)).lie(session_id)
            if lie is not None:
                found.append(lie)
        return found

    async def settled(self, session_ids: Collection[str], within_s: float) -> float:
        """Wait until every session's record is true; returns how long that took.

        Raises:
            AssertionError: it names those that are not.
        """
        began = time.monotonic()
        while lies := await self.lies(session_ids):
            waited_s = time.monotonic() - began
            assert waited_s < within_s, f"after {waited_s:.1f} s: {lies}"
            await asyncio.sleep(LOOK_S)
        return time.monotonic() - began

    async def over(self, session_id: str, within_s: float) -> Standing:
        """Wait until the session is over and its room without agents."""
        async with asyncio.timeout(within_s):
            while True:
                standing = await self.standing(session_id)
                if standing.status in OVER and not standing.agents:
                    return standing
                await asyncio.sleep(LOOK_S)

    async def user_seen(self, session_id: str, within_s: float) -> None:
        """Wait until the record says that the session's user has come."""
        key = f"session:{session_id}"
        async with asyncio.timeout(within_s):
            while not await cast("Any", self._redis).hget(key, "userJoinedAt"):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)

    async def leftovers(self) -> list[str]:
        """What nobody needs any more once all sessions are over."""
        left = [f"room {name}" for name in await self.rooms()]
        for key in ("assistant:slots", "assistant:queue", "assistant:due"):
            left += [f"{key} holds {member!r}" for member in await self._redis.zrange(key, 0, -1)]
        left += [f"key {key!r}" async for key in self._redis.scan_iter(match="agent:*:pid")]
        async for key in self._redis.scan_iter(match="*"):
            if await self._redis.ttl(key) == -1:
                left.append(f"key {key!r} never expires")
        return left

    async def nothing_left(self, within_s: float) -> None:
        """Wait until there are no leftovers.

        Raises:
            AssertionError: it names them.
        """
        began = time.monotonic()
        while left := await self.leftovers():
            assert time.monotonic() - began < within_s, left
            await asyncio.sleep(LOOK_S)

    async def rooms(self) -> list[str]:
        listed = await self._livekit.room.list_rooms(api.ListRoomsRequest())
        # Those to which jobs were dispatched ahead close by themselves, and nobody is in them.
        return [room.name for room in listed.rooms if session_of_room(ROOM_PREFIX, room.name)]

    async def delete_room(self, session_id: str) -> None:
        """As somebody with the key may do at any time."""
        await self._livekit.room.delete_room(api.DeleteRoomRequest(room=ROOM_PREFIX + session_id))

    async def dispatches(self, session_id: str) -> int:
        """How many dispatches LiveKit holds for the room, which must exist."""
        return len(await self._livekit.agent_dispatch.list_dispatch(ROOM_PREFIX + session_id))

    async def persisted(self) -> None:
        """Wait until what Redis was told is on its disk, so that a crash cannot lose it."""
        await cast("Any", self._redis).execute_command("WAITAOF", 1, 0, 5000)

    async def agent_pid(self, session_id: str) -> int | None:
        pid = cast("str | None", await self._redis.hget(f"session:{session_id}", "agentPid"))
        return None if pid is None else int(pid)


@asynccontextmanager
async def census_of(system: System) -> AsyncIterator[Census]:
    census = Census(system)
    try:
        yield census
    finally:
        await census.aclose()


@dataclass
class Headcount:
    """How many agents one look ever showed in any of the rooms, and whose processes they had."""

    most: int = 0
    pids: set[int] = field(default_factory=set)

    def alive(self) -> set[int]:
        """The job processes of the counted agents that still run."""
        return {pid for pid in self.pids if psutil.pid_exists(pid)}


@asynccontextmanager
async def counted(
    census: Census, sessions: Callable[[], Iterable[str]]
) -> AsyncIterator[Headcount]:
    """Look at the rooms of `sessions()` again and again."""
    count = Headcount()

    async def look() -> None:
        while True:
            for session_id in list(sessions()):
                agents = await census.agents(session_id)
                count.most = max(count.most, len(agents))
                if pid := await census.agent_pid(session_id):
                    count.pids.add(pid)
            await asyncio.sleep(LOOK_S)

    looking = asyncio.create_task(look(), name="count agents")
    try:
        yield count
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def attempt_of(identity: str) -> int:
    assert identity.startswith(AGENT_IDENTITY_PREFIX)
    return int(identity.rpartition("-")[2])
