"""The LiveKit gateway against a real livekit-server that makes no rooms by itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from livekit import api, rtc

from assistant.local_stack.ports import HOST, free_port
from assistant.sessions.metadata import JobMetadata
from assistant.sessions.record import agent_identity
from tests.integration.session_servers import (
    AGENT_NAME,
    LiveKitServer,
    leave,
    new_session,
    running_livekit,
)
from tests.timing import scaled
from token_service.livekit_gateway import (
    NO_AGENT,
    LiveKitGateway,
    LiveKitUnavailableError,
    Seen,
)
from token_service.tokens import Minter

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

NOBODY: frozenset[str] = frozenset()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def livekit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveKitServer]:
    async with running_livekit(tmp_path_factory.mktemp("gateway")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(livekit: LiveKitServer) -> AsyncIterator[LiveKitGateway]:
    keys = livekit.keys
    async with LiveKitGateway(livekit.url, keys.api_key, keys.api_secret) as opened:
        yield opened


async def make(gateway: LiveKitGateway, room: str) -> None:
    await gateway.ensure_room(
        room, session_id="s", user_id="u", empty_timeout_s=60, departure_timeout_s=61.5
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(scaled(10)):
        while not await condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def test_a_room_carries_our_mark_and_times(
    gateway: LiveKitGateway, livekit: LiveKitServer
) -> None:
    """The room is made with our metadata and time-outs in whole seconds, never shorter."""
    await make(gateway, "va-mark")
    async with livekit.api() as client:
        (room,) = (await client.room.list_rooms(api.ListRoomsRequest(names=["va-mark"]))).rooms
    assert json.loads(room.metadata) == {
        "managedBy": "livekit-voice-assistant",
        "sessionId": "s",
        "userId": "u",
    }
    assert (room.empty_timeout, room.departure_timeout) == (60, 62)


async def test_a_new_room_asks_for_no_agent(
    gateway: LiveKitGateway, livekit: LiveKitServer
) -> None:
    """A room that names no agent is one for unnamed agents, of which there are none."""
    await make(gateway, "va-nameless")
    async with livekit.api() as client:
        (dispatch,) = await client.agent_dispatch.list_dispatch("va-nameless")
    assert dispatch.agent_name == NO_AGENT
    assert not dispatch.state.jobs


async def test_making_a_room_again_keeps_its_people(
    gateway: LiveKitGateway, livekit: LiveKitServer
) -> None:
    """Making a room twice disturbs nobody in it."""
    await make(gateway, "va-twice")
    user = await livekit.join("va-twice", "u")
    await make(gateway, "va-twice")
    seen = await gateway.observe("va-twice")
    assert seen == Seen(room_exists=True, users=frozenset({"u"}), agents=NOBODY, arriving=NOBODY)
    await leave(user)


async def test_users_and_agents_are_told_apart(
    gateway: LiveKitGateway, livekit: LiveKitServer
) -> None:
    """The kind tells who is an agent, not the name."""
    await make(gateway, "va-kinds")
    user = await livekit.join("va-kinds", "agent-in-name-only")
    agent = await livekit.join("va-kinds", agent_identity("kinds", 1), agent=True)

    async def both() -> bool:
        seen = await gateway.observe("va-kinds")
        return seen.users == frozenset({"agent-in-name-only"}) and seen.agents == frozenset(
            {"agent-kinds-1"}
        )

    await until(both)
    await leave(user)
    await leave(agent)


async def test_a_listener_is_nobody(gateway: LiveKitGateway, livekit: LiveKitServer) -> None:
    """It is not listed to others nor to us, and LiveKit closes the room as if it were not there."""
    session = new_session("listened")
    await gateway.ensure_room(
        session.room, session_id="s", user_id="u", empty_timeout_s=60, departure_timeout_s=1
    )
    keys = livekit.keys
    token = Minter(keys.api_key, keys.api_secret, ttl_s=60).mint_listener(session)
    listener, closed = rtc.Room(), asyncio.Event()
    listener.on("disconnected", lambda *_: closed.set())
    await listener.connect(livekit.url, token)
    user = await livekit.join(session.room, "u")
    async with livekit.api() as client:
        request = api.ListParticipantsRequest(room=session.room)
        everybody = (await client.room.list_participants(request)).participants
    assert {p.identity for p in everybody} == {"u", listener.local_participant.identity}
    assert await gateway.observe(session.room) == Seen(
        room_exists=True, users=frozenset({"u"}), agents=NOBODY, arriving=NOBODY
    )

    async def is_seen() -> bool:
        return set(listener.remote_participants) == {"u"}

    await until(is_seen)
    assert not user.remote_participants
    await leave(user)
    await asyncio.wait_for(closed.wait(), scaled(15))

    async def is_gone() -> bool:
        # LiveKit puts people out before it forgets the room.
        return not await gateway.room_exists(session.room)

    await until(is_gone)


async def test_an_absent_room_is_known_to_be_absent(gateway: LiveKitGateway) -> None:
    """No room is a sure answer, and none of the calls on it fails or waits."""
    began = time.monotonic()
    assert await gateway.observe("va-none") == Seen(
        room_exists=False, users=NOBODY, agents=NOBODY, arriving=NOBODY
    )
    await gateway.delete_room("va-none")
    await gateway.clear_dispatches("va-none", AGENT_NAME)
    await gateway.remove_participants("va-none", ["agent-none-1"])
    assert time.monotonic() - began < scaled(1)


async def test_an_unreachable_server_is_unknown_not_absent() -> None:
    """Without an answer everything is None, and calls that must not be guessed say so."""
    async with LiveKitGateway(f"ws://{HOST}:{free_port()}", "key", "s" * 48) as nowhere:
        assert await nowhere.observe("va-a") == Seen()
        with pytest.raises(LiveKitUnavailableError):
            await nowhere.delete_room("va-a")
        with pytest.raises(LiveKitUnavailableError):
            await make(nowhere, "va-a")
        assert not nowhere.made_just_now("va-a")
        with pytest.raises(LiveKitUnavailableError):
            await nowhere.ping()


async def test_a_silent_server_costs_a_bounded_wait() -> None:
    """A server that takes the call and never answers is given up within the bound."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        began = time.monotonic()
        async with LiveKitGateway(f"ws://{HOST}:{port}", "key", "s" * 48) as silent:
            assert await silent.observe("va-a") == Seen()
        assert time.monotonic() - began < scaled(5)


async def test_a_wrong_key_is_unknown_not_absent(livekit: LiveKitServer) -> None:
    """A refusal says nothing about who is in the room; the key does not get into the error."""
    async with LiveKitGateway(livekit.url, livekit.keys.api_key, "w" * 48) as wrong:
        assert await wrong.observe("va-a") == Seen()
        with pytest.raises(LiveKitUnavailableError) as refused:
            await wrong.ping()
    assert refused.value.status == 401
    assert "w" * 48 not in str(refused.value)


async def test_only_our_dispatches_are_cleared(
    gateway: LiveKitGateway, livekit: LiveKitServer
) -> None:
    """Another dispatcher's wish for an agent in the room stays."""
    await make(gateway, "va-dispatch")
    await gateway.dispatch("va-dispatch", AGENT_NAME, JobMetadata(session="s", attempt=1).encode())
    await gateway.dispatch("va-dispatch", AGENT_NAME, "somebody else's")
    await gateway.dispatch("va-dispatch", "other", JobMetadata(session="s", attempt=1).encode())
    await gateway.clear_dispatches("va-dispatch", AGENT_NAME)

    async def left() -> set[tuple[str, str]]:
        async with livekit.api() as client:
            dispatches = await client.agent_dispatch.list_dispatch("va-dispatch")
        return {(d.agent_name, d.metadata) for d in dispatches if d.agent_name != NO_AGENT}

    assert await left() == {
        (AGENT_NAME, "somebody else's"),
        ("other", '{"session":"s","attempt":1}'),
    }


async def test_a_dispatch_to_no_room_fails_by_name(gateway: LiveKitGateway) -> None:
    """A dispatch that LiveKit did not even write down is never taken for one that it did."""
    with pytest.raises(LiveKitUnavailableError) as refused:
        await gateway.dispatch("va-nowhere", AGENT_NAME, "{}")
    assert refused.value.call == "CreateDispatch"


async def test_deleting_a_room_empties_it(gateway: LiveKitGateway, livekit: LiveKitServer) -> None:
    """After the deletion nobody is listed, and this process no longer trusts its memory."""
    await make(gateway, "va-delete")
    assert gateway.made_just_now("va-delete")
    user = await livekit.join("va-delete", "u")
    await gateway.delete_room("va-delete")
    assert await gateway.observe("va-delete") == Seen(
        room_exists=False, users=NOBODY, agents=NOBODY, arriving=NOBODY
    )
    assert not gateway.made_just_now("va-delete")
    await leave(user)


async def test_removed_agents_are_gone(gateway: LiveKitGateway, livekit: LiveKitServer) -> None:
    """Removing one agent leaves the other one and the user."""
    await make(gateway, "va-remove")
    people = [
        await livekit.join("va-remove", "u"),
        await livekit.join("va-remove", "agent-x-1", agent=True),
        await livekit.join("va-remove", "agent-x-2", agent=True),
    ]
    await gateway.remove_participants("va-remove", ["agent-x-1", "agent-x-7"])

    async def one_left() -> bool:
        seen = await gateway.observe("va-remove")
        return seen.agents == frozenset({"agent-x-2"}) and seen.users == frozenset({"u"})

    await until(one_left)
    for person in people:
        await leave(person)


async def test_rooms_are_listed_by_prefix(gateway: LiveKitGateway) -> None:
    """Rooms without the prefix are not even seen."""
    await make(gateway, "vb-ours")
    await make(gateway, "theirs-vb-")
    assert await gateway.rooms("vb-") == ["vb-ours"]


async def test_a_room_of_a_dead_node_can_be_deleted(
    gateway: LiveKitGateway, livekit: LiveKitServer
) -> None:
    """LiveKit was killed with people in a room, and nobody comes back to it: it can be closed."""
    await make(gateway, "va-orphan")
    user = await livekit.join("va-orphan", "u")
    await livekit.crash()
    await leave(user)

    async def deleted() -> bool:
        try:
            await gateway.delete_room("va-orphan")
        except LiveKitUnavailableError:
            # For some seconds LiveKit takes its former self to be alive.
            return False
        return True

    await until(deleted)
    assert (await gateway.observe("va-orphan")).room_exists is False
