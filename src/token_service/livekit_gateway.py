"""LiveKit's server API, with bounded waits, and with "not known" told apart from "not there".

Every room whose name is passed in here is one of ours; whoever calls has checked its prefix.
"""

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from livekit import api
from livekit.protocol.models import ParticipantInfo

from assistant import log
from assistant.errors import AssistantError
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.record import LISTENER_IDENTITY_PREFIX

# LiveKit itself gives up on its nodes after 3 s, and says so; that answer is worth waiting for.
# Source: psrpc's default timeout, livekit-server 1.13.5.
TIMEOUT_S = 3.5
# Calls at once; more would queue in LiveKit instead. A reconcile makes two at a time.
MAX_CONNECTIONS = 64
ROOM_MARK = "livekit-voice-assistant"
# A room that names no agent has LiveKit look for one without a name, for a second, with two of the
# 50 goroutines with which a node launches jobs. There is none that is called like this.
NO_AGENT = "livekit-voice-assistant/none"
# How long a room that this process made is taken to be still there. Being wrong costs a token, or a
# job that stood by, with which nobody can join; the next one, after so long, is good. A closed
# room's webhook and its session's record mostly tell before that.
ROOM_SURE_S = 5.0
ROOM_MEMORY = 10_000
# What LiveKit answers for a node that died: "no response from servers".
NODE_GONE_STATUS = 503
# A room that is made only to be deleted must not outlive a failure of that.
REVIVED_S = 30
# The job outlives the room that it was dispatched to; LiveKit has chosen a worker long before.
STANDBY_ROOM_S = 10

_PRESENT = frozenset({ParticipantInfo.State.JOINED, ParticipantInfo.State.ACTIVE})
_COMING = frozenset({ParticipantInfo.State.JOINING, ParticipantInfo.State.JOINED})

_log = log.get(__name__)
_T = TypeVar("_T")


class LiveKitUnavailableError(AssistantError):
    """LiveKit did not answer, or refused; whether the call had an effect is not known.

    `call` names the API call; `status` is LiveKit's HTTP status, None if none came.
    """

    def __init__(self, call: str, detail: str, *, status: int | None = None) -> None:
        super().__init__(call, detail, status)
        self.call = call
        self.detail = detail
        self.status = status

    def __str__(self) -> str:
        return f"LiveKit {self.call}: {self.detail}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Who is in a room; None: LiveKit did not say, which is not "nobody".

    `agents` have arrived (ACTIVE); `arriving` agents are on their way in.
    """

    room_exists: bool | None = None
    users: frozenset[str] | None = None
    agents: frozenset[str] | None = None
    arriving: frozenset[str] | None = None


class LiveKitGateway:
    """The calls that the service makes. All raise LiveKitUnavailableError unless they say else.

    Close it with `aclose`, or use it as an asynchronous context manager.
    """

    def __init__(self, url: str, api_key: str, api_secret: str) -> None:
        self._url = url
        self._api_key = api_key
        self._api_secret = api_secret
        self._opened: tuple[aiohttp.ClientSession, api.LiveKitAPI] | None = None
        #: Rooms that this process made, by when (monotonic); the oldest first.
        self._made: OrderedDict[str, float] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened[0].close()

    async def ensure_room(
        self,
        room: str,
        *,
        session_id: str,
        user_id: str,
        empty_timeout_s: float,
        departure_timeout_s: float,
    ) -> None:
        """Make the room if it is not there; one that is there stays as it is, people and all.

        `empty_timeout_s`: LiveKit closes it after so long if no user ever comes;
        `departure_timeout_s`: after the last user left.
        """
        mark = {"managedBy": ROOM_MARK, "sessionId": session_id, "userId": user_id}
        request = api.CreateRoomRequest(
            name=room,
            empty_timeout=math.ceil(empty_timeout_s),
            departure_timeout=math.ceil(departure_timeout_s),
            metadata=json.dumps(mark, separators=(",", ":")),
            agents=[api.RoomAgentDispatch(agent_name=NO_AGENT)],
        )
        await self._call("CreateRoom", self._api.room.create_room(request))
        self._remember(room)

    def made_just_now(self, room: str) -> bool:
        """Whether this process made the room within ROOM_SURE_S; it is taken to be there."""
        made_at = self._made.get(room)
        return made_at is not None and time.monotonic() < made_at + ROOM_SURE_S

    def doubt(self, room: str) -> None:
        """Take the room no longer to be there."""
        self._made.pop(room, None)

    async def observe(self, room: str) -> Seen:
        """Who is in the room now. Never raises: what LiveKit does not say is None."""
        async with asyncio.TaskGroup() as group:
            listing = group.create_task(self._exists(room), name="list rooms")
            people = group.create_task(self._participants(room), name="list participants")
        participants = people.result()
        if participants is None:
            return Seen(room_exists=listing.result())
        participants = [p for p in participants if not _listens_in(p)]
        agents = [p for p in participants if p.kind == ParticipantInfo.Kind.AGENT]
        return Seen(
            room_exists=listing.result(),
            users=frozenset(
                p.identity
                for p in participants
                if p.kind != ParticipantInfo.Kind.AGENT and p.state in _PRESENT
            ),
            agents=frozenset(p.identity for p in agents if p.state == ParticipantInfo.State.ACTIVE),
            arriving=frozenset(p.identity for p in agents if p.state in _COMING),
        )

    async def dispatch(self, room: str, agent_name: str, metadata: str) -> None:
        """Ask for an agent. That this returns means only that LiveKit wrote the wish down."""
        request = api.CreateAgentDispatchRequest(
            room=room, agent_name=agent_name, metadata=metadata
        )
        await self._call("CreateDispatch", self._api.agent_dispatch.create_dispatch(request))

    async def stand_by(self, room: str, agent_name: str, metadata: str) -> None:
        """Ask for a job ahead of its session, in a room that nobody joins and LiveKit forgets."""
        request = api.CreateRoomRequest(
            name=room,
            empty_timeout=STANDBY_ROOM_S,
            departure_timeout=1,
            agents=[api.RoomAgentDispatch(agent_name=agent_name, metadata=metadata)],
        )
        await self._call("CreateRoom", self._api.room.create_room(request))

    async def clear_dispatches(self, room: str, agent_name: str) -> None:
        """Delete our dispatches in the room, which also tells their jobs to end."""
        # Listing the dispatches of a room that is not there takes LiveKit 3 s.
        if not await self.room_exists(room):
            return
        dispatches = await self._call("ListDispatch", self._api.agent_dispatch.list_dispatch(room))
        ours = [
            dispatch.id
            for dispatch in dispatches
            if dispatch.agent_name == agent_name and JobMetadata.decode(dispatch.metadata)
        ]
        for dispatch_id in ours:
            with _absent_is_fine():
                await self._call(
                    "DeleteDispatch", self._api.agent_dispatch.delete_dispatch(dispatch_id, room)
                )

    async def remove_participants(self, room: str, identities: Iterable[str]) -> None:
        """Disconnect these participants; those that are not there are no error."""
        for identity in sorted(identities):
            request = api.RoomParticipantIdentity(room=room, identity=identity)
            with _absent_is_fine():
                await self._call("RemoveParticipant", self._api.room.remove_participant(request))

    async def delete_room(self, room: str) -> None:
        """Disconnect everybody and close the room; one that is not there is no error.

        A room whose LiveKit node died belongs to nobody who could close it, until somebody asks
        for it anew, which hands it to a living node.
        Source: livekit-server 1.13.5, pkg/service/roomallocator.go, SelectRoomNode.
        """
        self.doubt(room)
        request = api.DeleteRoomRequest(room=room)
        with _absent_is_fine():
            try:
                await self._call("DeleteRoom", self._api.room.delete_room(request))
            except LiveKitUnavailableError as error:
                if error.status != NODE_GONE_STATUS:
                    raise
                revival = api.CreateRoomRequest(
                    name=room, empty_timeout=REVIVED_S, departure_timeout=REVIVED_S
                )
                await self._call("CreateRoom", self._api.room.create_room(revival))
                await self._call("DeleteRoom", self._api.room.delete_room(request))

    async def room_exists(self, room: str) -> bool:
        listed = await self._call(
            "ListRooms", self._api.room.list_rooms(api.ListRoomsRequest(names=[room]))
        )
        return any(found.name == room for found in listed.rooms)

    async def rooms(self, prefix: str) -> list[str]:
        """The names of all rooms that begin with `prefix`."""
        listed = await self._call("ListRooms", self._api.room.list_rooms(api.ListRoomsRequest()))
        return sorted(room.name for room in listed.rooms if room.name.startswith(prefix))

    async def ping(self) -> None:
        """Ask LiveKit for something small, with our key."""
        await self.room_exists("-")

    async def _exists(self, room: str) -> bool | None:
        try:
            return await self.room_exists(room)
        except LiveKitUnavailableError as error:
            _log.warning("livekit.unknown", room=room, call=error.call, detail=error.detail)
            return None

    async def _participants(self, room: str) -> list[ParticipantInfo] | None:
        request = api.ListParticipantsRequest(room=room)
        try:
            answer = await self._call("ListParticipants", self._api.room.list_participants(request))
        except LiveKitUnavailableError as error:
            if error.status == 404:  # some versions answer so where this one says "nobody"
                return []
            _log.warning("livekit.unknown", room=room, call=error.call, detail=error.detail)
            return None
        return list(answer.participants)

    @property
    def _api(self) -> api.LiveKitAPI:
        if self._opened is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
            )
            # No failover: it repeats calls, and a repeated dispatch is a second agent.
            client = api.LiveKitAPI(
                self._url, self._api_key, self._api_secret, session=session, failover=False
            )
            self._opened = (session, client)
        return self._opened[1]

    async def _call(self, name: str, call: Coroutine[Any, Any, _T]) -> _T:
        try:
            # The API client passes `timeout=None` on to aiohttp, which switches the time limits of
            # the HTTP session off. Source: livekit-api 1.2.2, twirp_client.py.
            async with asyncio.timeout(TIMEOUT_S):
                return await call
        except api.TwirpError as error:
            detail = f"{error.code} ({error.status}): {error.message}"
            raise LiveKitUnavailableError(name, detail, status=error.status) from error
        except (aiohttp.ClientError, OSError) as error:  # asyncio's TimeoutError is an OSError
            detail = str(error) or type(error).__name__
            raise LiveKitUnavailableError(name, detail) from error

    def _remember(self, room: str) -> None:
        self._made[room] = time.monotonic()
        self._made.move_to_end(room)
        while len(self._made) > ROOM_MEMORY:
            self._made.popitem(last=False)


def _listens_in(participant: ParticipantInfo) -> bool:
    """Whether it is an operator, who takes no part in the session."""
    hidden = participant.permission.hidden
    return hidden and participant.identity.startswith(LISTENER_IDENTITY_PREFIX)


@contextmanager
def _absent_is_fine() -> Iterator[None]:
    try:
        yield
    except LiveKitUnavailableError as error:
        if error.status != 404:
            raise
