"""A livekit-server of one node, with its bad days, behind the API client's own interface.

What it does is what livekit-server 1.13.5 was measured to do; `test_simulation_replay.py` asks a
real one the same things.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
from livekit import api
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import ListParticipantsResponse, ListRoomsResponse

# Nobody tells the server of a killed client; it notices after this long (measured).
GHOST_S = 21.0
# A request for a room that no node has waits for one, in vain (psrpc's default).
NO_ROOM_S = 3.0
REJOIN_WITHIN_S = 3.5  # after a restart everybody was back by 4 s (measured)
RETRY_S = 0.5
NO_ANSWER_S = 60.0  # Longer than any caller waits.


class Client(Protocol):
    """Whoever holds a participant's connection."""

    def put_out(self) -> None:
        """LiveKit closed the connection for good: removed, or the room was deleted."""

    def cut(self) -> None:
        """The connection broke; come back if you can."""


@dataclass
class Person:
    identity: str
    is_agent: bool
    client: Client
    listed_from: float
    #: Its process is gone; the server has not noticed.
    is_ghost: bool = False


@dataclass
class Room:
    name: str
    people: dict[str, Person] = field(default_factory=dict)
    dispatches: dict[str, Any] = field(default_factory=dict)
    #: Who left, but is still listed, until when.
    shadows: dict[str, tuple[Person, float]] = field(default_factory=dict)


@dataclass
class Manners:
    """How likely each misbehaviour is, and how long lists lag."""

    loses_dispatch: float = 0.0
    doubles_dispatch: float = 0.0
    refuses: float = 0.0
    #: The call has its effect, and the answer is lost.
    answers_lost: float = 0.0
    list_lag_s: float = 0.0
    webhooks_lost: float = 0.0
    webhooks_doubled: float = 0.0
    webhook_delay_s: float = 0.02


Offer = Callable[[str, str], None]
"""Hands (room, metadata) to whichever worker takes it, if any does."""


class SimLiveKit:
    """`offer` hands a job to the fleet; `webhook` gets the name of a room that changed."""

    def __init__(
        self, chance: random.Random, *, offer: Offer, webhook: Callable[[str], None]
    ) -> None:
        self.chance = chance
        self.manners = Manners()
        self.rooms: dict[str, Room] = {}
        self.is_down = False
        self.is_hanging = False
        self.restarted_at: list[float] = []
        self._offer = offer
        self._webhook = webhook
        self._ids = itertools.count(1)
        self.room = _RoomService(self)
        self.agent_dispatch = _DispatchService(self)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    # What clients do.

    def join(self, room_name: str, identity: str, client: Client, *, is_agent: bool) -> bool:
        """Whether it is in; an equal identity puts the one before out."""
        room = self.rooms.get(room_name)
        if self.is_down or room is None:
            return False
        before = room.people.get(identity)
        if before is not None and before.client is not client:
            self.remove(room, identity)
        lag_s = self.chance.uniform(0, self.manners.list_lag_s)
        room.people[identity] = Person(identity, is_agent, client, self.now + lag_s)
        room.shadows.pop(identity, None)
        self.tell(room_name)
        return True

    def is_in(self, room_name: str, identity: str, client: Client) -> bool:
        room = self.rooms.get(room_name)
        person = room.people.get(identity) if room else None
        return not self.is_down and person is not None and person.client is client

    def leave(self, room_name: str, identity: str, client: Client) -> None:
        if self.is_in(room_name, identity, client):
            self._drop(self.rooms[room_name], identity)

    def died(self, room_name: str, identity: str, client: Client) -> None:
        """The client's process is gone without a word."""
        if not self.is_in(room_name, identity, client):
            return
        self.rooms[room_name].people[identity].is_ghost = True
        loop = asyncio.get_running_loop()
        loop.call_later(GHOST_S, self.leave, room_name, identity, client)

    def try_again(self, client: Client) -> None:
        """Have a client that could not come back try once more, in a moment."""
        asyncio.get_running_loop().call_later(RETRY_S, client.cut)

    # What happens to it.

    def restart(self, down_s: float) -> None:
        """SIGKILL; back after `down_s`. Rooms stay (its Redis has them), dispatches do not."""
        self.restarted_at.append(self.now)
        cut = []
        for room in self.rooms.values():
            cut += [person.client for person in room.people.values() if not person.is_ghost]
            room.people.clear()
            room.shadows.clear()
            room.dispatches.clear()
        self.is_down = True
        loop = asyncio.get_running_loop()
        loop.call_later(down_s, self._come_up)
        for client in cut:
            client.cut()
            back_s = down_s + self.chance.uniform(0.0, max(REJOIN_WITHIN_S - down_s, 0.1))
            loop.call_later(back_s, client.cut)

    def _come_up(self) -> None:
        self.is_down = False
        for name in self.rooms:
            self.tell(name)

    def tell(self, room_name: str) -> None:
        """Send webhooks, or not, or twice, or late."""
        manners, chance = self.manners, self.chance
        if chance.random() < manners.webhooks_lost:
            return
        for _ in range(2 if chance.random() < manners.webhooks_doubled else 1):
            delay_s = chance.uniform(0, manners.webhook_delay_s)
            asyncio.get_running_loop().call_later(delay_s, self._webhook, room_name)

    def remove(self, room: Room, identity: str) -> None:
        person = room.people[identity]
        self._drop(room, identity)
        person.client.put_out()

    def _drop(self, room: Room, identity: str) -> None:
        person = room.people.pop(identity)
        lag_s = self.chance.uniform(0, self.manners.list_lag_s)
        if lag_s > 0:
            room.shadows[identity] = (person, self.now + lag_s)
        self.tell(room.name)

    def close(self, name: str) -> None:
        room = self.rooms.pop(name)
        for person in list(room.people.values()):
            person.client.put_out()
        self.tell(name)

    def listed(self, room: Room) -> Iterator[Person]:
        now = self.now
        yield from (person for person in room.people.values() if person.listed_from <= now)
        yield from (person for person, until in room.shadows.values() if until > now)

    # What callers of the API meet.

    async def answer(self, effect: Callable[[], Any]) -> Any:
        """One call: its wait, its effect, its answer, each of which may fail."""
        chance, manners = self.chance, self.manners
        if self.is_hanging:
            await asyncio.sleep(NO_ANSWER_S)
        await asyncio.sleep(chance.uniform(0.001, 0.02))
        if self.is_down:
            raise aiohttp.ClientConnectionError("refused")
        if chance.random() < manners.refuses:
            raise api.TwirpError("unavailable", "a bad day", status=503)
        result = effect()
        if chance.random() < manners.answers_lost:
            raise aiohttp.ServerDisconnectedError
        if isinstance(result, Exception):
            raise result
        return result

    def record_dispatch(self, request: Any) -> Any:
        room = self.rooms[request.room]
        chance, manners = self.chance, self.manners
        made = None
        for _ in range(2 if chance.random() < manners.doubles_dispatch else 1):
            dispatch_id = f"AD_{next(self._ids)}"
            made = api.AgentDispatch(
                id=dispatch_id,
                agent_name=request.agent_name,
                room=request.room,
                metadata=request.metadata,
            )
            room.dispatches[dispatch_id] = made
            # Without a worker that takes it now, nobody ever will: it stays, and stays empty.
            if chance.random() >= manners.loses_dispatch:
                self._offer(request.room, request.metadata)
        return made


class _RoomService:
    def __init__(self, livekit: SimLiveKit) -> None:
        self._livekit = livekit

    async def create_room(self, request: Any) -> Any:
        def make() -> Any:
            if request.name not in self._livekit.rooms:
                self._livekit.rooms[request.name] = Room(request.name)
                self._livekit.tell(request.name)
            return api.Room(name=request.name)

        return await self._livekit.answer(make)

    async def list_rooms(self, request: Any) -> Any:
        def look() -> Any:
            wanted = set(request.names)
            names = [n for n in self._livekit.rooms if not wanted or n in wanted]
            return ListRoomsResponse(rooms=[api.Room(name=name) for name in names])

        return await self._livekit.answer(look)

    async def list_participants(self, request: Any) -> Any:
        def look() -> Any:
            room = self._livekit.rooms.get(request.room)
            people = self._livekit.listed(room) if room is not None else ()
            return ListParticipantsResponse(
                participants=[
                    ParticipantInfo(
                        identity=person.identity,
                        kind=ParticipantInfo.Kind.AGENT
                        if person.is_agent
                        else ParticipantInfo.Kind.STANDARD,
                        state=ParticipantInfo.State.ACTIVE,
                    )
                    for person in people
                ]
            )

        return await self._livekit.answer(look)

    async def remove_participant(self, request: Any) -> Any:
        def remove() -> Any:
            room = self._livekit.rooms.get(request.room)
            if room is None or request.identity not in room.people:
                return api.TwirpError("not_found", "no such participant", status=404)
            self._livekit.remove(room, request.identity)
            return None

        return await self._livekit.answer(remove)

    async def delete_room(self, request: Any) -> Any:
        def delete() -> Any:
            if request.room not in self._livekit.rooms:
                return api.TwirpError("not_found", "no such room", status=404)
            self._livekit.close(request.room)
            return None

        return await self._livekit.answer(delete)


class _DispatchService:
    def __init__(self, livekit: SimLiveKit) -> None:
        self._livekit = livekit

    async def create_dispatch(self, request: Any) -> Any:
        await self._wait_for(request.room)
        return await self._livekit.answer(
            lambda: (
                self._livekit.record_dispatch(request)
                if request.room in self._livekit.rooms
                else _nobody()
            )
        )

    async def list_dispatch(self, room_name: str) -> Any:
        await self._wait_for(room_name)

        def look() -> Any:
            room = self._livekit.rooms.get(room_name)
            if room is None:
                return _nobody()
            # Every room lists one dispatch of no agent name, too.
            return [api.AgentDispatch(id="AD_0", room=room_name), *room.dispatches.values()]

        return await self._livekit.answer(look)

    async def delete_dispatch(self, dispatch_id: str, room_name: str) -> Any:
        await self._wait_for(room_name)

        def delete() -> Any:
            room = self._livekit.rooms.get(room_name)
            if room is None:
                return _nobody()
            # That its job ends with it is not to be relied on (a worker that reconnected).
            return room.dispatches.pop(dispatch_id, None) or api.TwirpError(
                "not_found", "no such dispatch", status=404
            )

        return await self._livekit.answer(delete)

    async def _wait_for(self, room_name: str) -> None:
        if room_name not in self._livekit.rooms:
            await asyncio.sleep(NO_ROOM_S)


def _nobody() -> Exception:
    return api.TwirpError("unavailable", "no response from servers", status=503)
