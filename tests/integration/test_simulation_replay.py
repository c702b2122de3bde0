"""What the simulation takes for granted about livekit-server, asked of a real one.

One script runs against both, and both must give the same facts.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from livekit import api, rtc
from livekit.protocol import agent as worker_protocol

from tests.integration.session_servers import LiveKitServer, leave, running_livekit
from tests.simulation import clock
from tests.simulation.livekit import SimLiveKit
from tests.timing import scaled

ROOM = "va-replay"
NAME = "replay"
#: Beyond the 3 s for which a job is offered.
OFFERED_WITHIN_S = 4.0
STEP_S = 0.05

FACTS: dict[str, Any] = {
    "delete_room, absent": 404,
    "remove_participant, absent room": 404,
    "list_participants, absent room": [],
    "list_rooms, absent": [],
    "create_dispatch, absent room": 503,
    "list_dispatch, absent room": 503,
    "delete_dispatch, absent room": 503,
    "those three take about 3 s": True,
    "create_dispatch, no worker": 200,
    "create_room again keeps its dispatch": ["one"],
    "a worker that comes later is not offered it": [],
    "two dispatches are two offers": ["three", "two"],
    "both are in": ["agent-1", "user"],
    "an equal identity replaces the one before": ["agent-1", "user"],
    "and puts it out": True,
    "whoever is removed is out": ["user"],
    "remove_participant, absent": 404,
    "delete_dispatch, absent": 404,
    "delete_room puts everybody out": True,
    "and leaves nothing": [],
    "a token does not make the room again": False,
}


class Person(Protocol):
    """Somebody in the room."""

    @property
    def is_out(self) -> bool: ...


class Site(Protocol):
    """A LiveKit, real or simulated."""

    api: Any

    async def join(self, room: str, identity: str) -> Person | None: ...
    def worker(self) -> Any: ...


async def script(site: Site) -> dict[str, Any]:
    """Ask everything, in one order; what came of it."""
    facts = await _absent(site)
    rooms, dispatches = site.api.room, site.api.agent_dispatch
    await rooms.create_room(api.CreateRoomRequest(name=ROOM, empty_timeout=60))
    facts["create_dispatch, no worker"] = await _status(_dispatch(site, "one"))
    await rooms.create_room(api.CreateRoomRequest(name=ROOM, empty_timeout=60))
    listed = await dispatches.list_dispatch(ROOM)
    kept = [d.metadata for d in listed if d.agent_name == NAME]
    facts["create_room again keeps its dispatch"] = kept

    async with site.worker() as offered:
        await asyncio.sleep(OFFERED_WITHIN_S)
        facts["a worker that comes later is not offered it"] = sorted(offered)
        await _dispatch(site, "two")
        await _dispatch(site, "three")
        await _until(lambda: len(offered) >= 2)
        facts["two dispatches are two offers"] = sorted(offered)

    user, first = await site.join(ROOM, "user"), await site.join(ROOM, "agent-1")
    assert user is not None
    assert first is not None
    facts["both are in"] = await _listed(site, 2)
    second = await site.join(ROOM, "agent-1")
    assert second is not None
    await _until(lambda: first.is_out)
    facts["and puts it out"] = first.is_out and not second.is_out
    facts["an equal identity replaces the one before"] = await _listed(site, 2)
    await rooms.remove_participant(api.RoomParticipantIdentity(room=ROOM, identity="agent-1"))
    facts["whoever is removed is out"] = await _listed(site, 1)
    await _until(lambda: second.is_out)
    gone = api.RoomParticipantIdentity(room=ROOM, identity="agent-1")
    facts["remove_participant, absent"] = await _status(rooms.remove_participant(gone))
    facts["delete_dispatch, absent"] = await _status(dispatches.delete_dispatch("AD_none", ROOM))
    await rooms.delete_room(api.DeleteRoomRequest(room=ROOM))
    await _until(lambda: user.is_out)
    facts["delete_room puts everybody out"] = user.is_out
    facts["and leaves nothing"] = await _listed(site, 0)
    facts["a token does not make the room again"] = await site.join(ROOM, "user") is not None
    return facts


async def _absent(site: Site) -> dict[str, Any]:
    """How calls about a room are answered that is not there."""
    rooms, dispatches, loop = site.api.room, site.api.agent_dispatch, asyncio.get_running_loop()
    nobody = api.RoomParticipantIdentity(room=ROOM, identity="nobody")
    people = await rooms.list_participants(api.ListParticipantsRequest(room=ROOM))
    listed = await rooms.list_rooms(api.ListRoomsRequest(names=[ROOM]))
    began = loop.time()
    slow = await asyncio.gather(
        _status(_dispatch(site, "zero")),
        _status(dispatches.list_dispatch(ROOM)),
        _status(dispatches.delete_dispatch("AD_none", ROOM)),
    )
    return {
        "delete_room, absent": await _status(rooms.delete_room(api.DeleteRoomRequest(room=ROOM))),
        "remove_participant, absent room": await _status(rooms.remove_participant(nobody)),
        "list_participants, absent room": list(people.participants),
        "list_rooms, absent": list(listed.rooms),
        "create_dispatch, absent room": slow[0],
        "list_dispatch, absent room": slow[1],
        "delete_dispatch, absent room": slow[2],
        "those three take about 3 s": loop.time() - began > 2.5,
    }


async def _status(call: Awaitable[Any]) -> int:
    try:
        await call
    except api.TwirpError as error:
        return error.status
    return 200


def _dispatch(site: Site, metadata: str) -> Awaitable[Any]:
    request = api.CreateAgentDispatchRequest(room=ROOM, agent_name=NAME, metadata=metadata)
    made: Awaitable[Any] = site.api.agent_dispatch.create_dispatch(request)
    return made


async def _listed(site: Site, count: int) -> list[str]:
    """Who is listed, once these are so many, or after a while."""
    request = api.ListParticipantsRequest(room=ROOM)
    listed: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(scaled(10)):
            while True:
                found = await site.api.room.list_participants(request)
                listed = sorted(person.identity for person in found.participants)
                if len(listed) == count:
                    break
                await asyncio.sleep(STEP_S)
    return listed


async def _until(condition: Any) -> None:
    async with asyncio.timeout(scaled(15)):
        while not condition():  # noqa: ASYNC110 - in both worlds
            await asyncio.sleep(STEP_S)


class _RealPerson:
    def __init__(self, room: rtc.Room) -> None:
        self.room = room

    @property
    def is_out(self) -> bool:
        return self.room.connection_state == rtc.ConnectionState.CONN_DISCONNECTED


class _RealSite:
    def __init__(self, server: LiveKitServer, client: api.LiveKitAPI) -> None:
        self.api: Any = client
        self._server = server
        self.people: list[_RealPerson] = []

    async def join(self, room: str, identity: str) -> Person | None:
        try:
            person = _RealPerson(await self._server.join(room, identity))
        except rtc.ConnectError:
            return None
        self.people.append(person)
        return person

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[list[str]]:
        """A worker that refuses every job; what it was offered, by the dispatches' metadata."""
        keys, offered = self._server.keys, list[str]()
        token = (
            api.AccessToken(keys.api_key, keys.api_secret)
            .with_ttl(timedelta(minutes=5))
            .with_grants(api.VideoGrants(agent=True))
        )
        headers = {"Authorization": f"Bearer {token.to_jwt()}"}
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{self._server.url}/agent", headers=headers) as socket,
        ):
            await socket.send_bytes(_registration().SerializeToString())
            first = worker_protocol.ServerMessage()
            first.ParseFromString(await socket.receive_bytes(timeout=scaled(5)))
            assert first.HasField("register")
            reading = asyncio.create_task(_refuse(socket, offered), name="worker")
            try:
                yield offered
            finally:
                reading.cancel()
                await asyncio.wait([reading])


def _registration() -> worker_protocol.WorkerMessage:
    return worker_protocol.WorkerMessage(
        register=worker_protocol.RegisterWorkerRequest(
            type=worker_protocol.JobType.JT_ROOM, agent_name=NAME, version="0"
        )
    )


async def _refuse(socket: aiohttp.ClientWebSocketResponse, offered: list[str]) -> None:
    async for frame in socket:
        message = worker_protocol.ServerMessage()
        message.ParseFromString(frame.data)
        if message.HasField("availability"):
            job = message.availability.job
            offered.append(job.metadata)
            no = worker_protocol.AvailabilityResponse(job_id=job.id, available=False)
            answer = worker_protocol.WorkerMessage(availability=no)
            await socket.send_bytes(answer.SerializeToString())


class _SimPerson:
    is_out = False

    def put_out(self) -> None:
        self.is_out = True

    def cut(self) -> None:
        """Connections do not break here."""


class _SimSite:
    def __init__(self) -> None:
        self._offered: list[str] | None = None
        self.api: Any = SimLiveKit(
            random.Random(0),  # noqa: S311 - repeatable, not secret
            offer=self._offer,
            webhook=lambda _room: None,
        )

    def _offer(self, _room: str, metadata: str) -> None:
        if self._offered is not None:
            self._offered.append(metadata)

    async def join(self, room: str, identity: str) -> Person | None:
        person = _SimPerson()
        is_agent = identity.startswith("agent-")
        return person if self.api.join(room, identity, person, is_agent=is_agent) else None

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[list[str]]:
        self._offered = []
        yield self._offered
        self._offered = None


def test_the_simulated_livekit_does_so() -> None:
    """The facts, in the simulation."""
    assert clock.run(script(_SimSite())) == FACTS


@pytest.mark.slow
async def test_the_real_livekit_does_so(tmp_path: Path) -> None:
    """The same facts, from livekit-server."""
    async with running_livekit(tmp_path) as server, server.api() as client:
        site = _RealSite(server, client)
        try:
            assert await script(site) == FACTS
        finally:
            for person in site.people:
                await leave(person.room)
