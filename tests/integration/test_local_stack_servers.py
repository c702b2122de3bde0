"""The real livekit-server and valkey-server, as the local stack starts them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from livekit import api, rtc
from redis.asyncio import Redis

from assistant.local_stack.livekit_build import livekit_program
from assistant.local_stack.livekit_server import (
    LiveKitKeys,
    LiveKitPorts,
    livekit_part,
    livekit_url,
    new_keys,
)
from assistant.local_stack.ports import free_port
from assistant.local_stack.supervisor import Part, Supervisor
from assistant.local_stack.valkey import valkey_part, valkey_url
from tests.timing import scaled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT_S = scaled(30)


@dataclass(frozen=True)
class Servers:
    supervisor: Supervisor
    livekit: Part
    url: str
    keys: LiveKitKeys
    hooks: asyncio.Queue[bytes]

    def api(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(self.url, self.keys.api_key, self.keys.api_secret)

    def token(self, room: str, identity: str) -> str:
        grants = api.VideoGrants(room_join=True, room=room)
        token = api.AccessToken(self.keys.api_key, self.keys.api_secret)
        return (
            token.with_identity(identity)
            .with_grants(grants)
            .with_ttl(timedelta(minutes=5))
            .to_jwt()
        )


@asynccontextmanager
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    """A livekit-server with its valkey, whose webhooks land in `hooks`."""
    hooks: asyncio.Queue[bytes] = asyncio.Queue()

    async def on_webhook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        hooks.put_nowait(head)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    program = await livekit_program(tools_dir=ROOT / "tools", environ=os.environ, progress=print)
    receiver = await asyncio.start_server(on_webhook, "127.0.0.1", 0)
    hook_port = receiver.sockets[0].getsockname()[1]
    ports, keys, redis_port = LiveKitPorts(free_port(), free_port()), new_keys(), free_port()
    livekit = livekit_part(
        program=program,
        config_file=tmp_path / "livekit.yaml",
        ports=ports,
        keys=keys,
        redis_port=redis_port,
        webhook_url=f"http://127.0.0.1:{hook_port}/livekit/webhook",
        needs=frozenset({"livekit-valkey"}),
    )
    valkey = valkey_part(name="livekit-valkey", port=redis_port, data_dir=tmp_path / "data")
    async with receiver, Supervisor(tmp_path / "logs") as supervisor:
        await supervisor.start_all([valkey, livekit])
        yield Servers(supervisor, livekit, livekit_url(ports), keys, hooks)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_livekit_serves_rooms_on_loopback_alone(tmp_path: Path) -> None:
    """Two people in a room that we made exchange data; nothing listens beyond loopback."""
    async with servers(tmp_path) as found, found.api() as lkapi:
        await lkapi.room.create_room(api.CreateRoomRequest(name="known"))
        alice, bob = rtc.Room(), rtc.Room()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        bob.on("data_received", lambda packet: heard.put_nowait(packet.data))
        try:
            async with asyncio.timeout(LIMIT_S):
                await bob.connect(found.url, found.token("known", "bob"))
                await alice.connect(found.url, found.token("known", "alice"))
                await until(lambda: "alice" in bob.remote_participants)
                await alice.local_participant.publish_data(b"hello")
                assert await heard.get() == b"hello"
                hook = await found.hooks.get()
        finally:
            await alice.disconnect()
            await bob.disconnect()
        assert hook.startswith(b"POST /livekit/webhook")
        assert b"\r\nauthorization:" in hook.lower()
        for running in found.supervisor.running:
            sockets = psutil.Process(running.pid).net_connections(kind="inet")
            bound = {s.laddr.ip for s in sockets if s.status in ("LISTEN", "NONE")}
            assert bound == {"127.0.0.1"}, running.part.name


async def test_livekit_makes_no_room_by_itself(tmp_path: Path) -> None:
    """A token for a room that nobody made does not open one."""
    async with servers(tmp_path) as found, found.api() as lkapi:
        stranger = rtc.Room()
        options = rtc.RoomOptions(connect_timeout=scaled(5))
        with pytest.raises(rtc.ConnectError):
            await stranger.connect(found.url, found.token("unknown", "eve"), options)
        assert (await lkapi.room.list_rooms(api.ListRoomsRequest())).rooms == []


async def test_livekit_stops_with_people_in_a_room(tmp_path: Path) -> None:
    """It does not wait for them to leave, and is not killed."""
    async with servers(tmp_path) as found, found.api() as lkapi:
        await lkapi.room.create_room(api.CreateRoomRequest(name="known"))
        alice = rtc.Room()
        await alice.connect(found.url, found.token("known", "alice"))
        try:
            async with asyncio.timeout(found.livekit.stop_timeout_s):
                assert await found.supervisor.stop("livekit") == 0
        finally:
            await alice.disconnect()


async def test_livekit_keeps_rooms_over_a_kill(tmp_path: Path) -> None:
    """Its rooms are in its valkey: killed and started again, it still knows them."""
    async with servers(tmp_path) as found:
        async with found.api() as lkapi:
            await lkapi.room.create_room(api.CreateRoomRequest(name="known"))
        found.supervisor.kill("livekit")
        await found.supervisor.first_death()
        await found.supervisor.start(found.livekit)
        async with found.api() as lkapi:
            rooms = (await lkapi.room.list_rooms(api.ListRoomsRequest())).rooms
        assert [room.name for room in rooms] == ["known"]


async def test_valkey_keeps_its_data(tmp_path: Path) -> None:
    """What was written is there after a stop, and after a kill a second later."""
    port = free_port()
    part = valkey_part(name="valkey", port=port, data_dir=tmp_path / "data")
    async with Supervisor(tmp_path / "logs") as supervisor:
        await supervisor.start(part)
        async with Redis.from_url(valkey_url(port)) as redis:
            assert (await redis.config_get("appendonly"))["appendonly"] == "yes"
            assert (await redis.config_get("maxmemory-policy"))["maxmemory-policy"] == "noeviction"
            await redis.set("kept", "stopped")
        assert await supervisor.stop("valkey") == 0
        await supervisor.start(part)
        async with Redis.from_url(valkey_url(port)) as redis:
            assert await redis.get("kept") == b"stopped"
            await redis.set("kept", "killed")
            await redis.waitaof(1, 0, int(scaled(5) * 1000))
        supervisor.kill("valkey")
        await supervisor.first_death()
        await supervisor.start(part)
        async with Redis.from_url(valkey_url(port)) as redis:
            assert await redis.get("kept") == b"killed"
