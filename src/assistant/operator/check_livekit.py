"""Is LiveKit there, does it take our key, and is it set up as we need it?"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from livekit import api
from livekit.protocol import agent as worker_protocol

from assistant.findings import Finding, fail, ok, warn
from assistant.operator.check_redis import clock_finding
from assistant.sessions.store.server import major_minor
from assistant.settings import WorkerSettings

ANSWER_TIMEOUT_S = 5.0
TOKEN_TTL = timedelta(minutes=1)
TESTED_WITH = (1, 13)
# The Date header has whole seconds, and the answer was on its way.
CLOCK_WARN_S = 2.0
MAX_FRAMES = 10  # A worker is answered in the first one.


async def check_livekit(settings: WorkerSettings, room_prefix: str) -> AsyncIterator[Finding]:
    """Reachability, key, clock, version, and whether rooms come into being by themselves."""
    base = settings.livekit_url.replace("ws", "http", 1)
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        try:
            async with http.get(f"{base}/") as response:
                date = response.headers.get("Date")
        except (aiohttp.ClientError, OSError) as error:
            cause = str(error) or type(error).__name__
            yield fail("livekit", f"{base}: {cause}", "start it, or correct LIVEKIT_URL")
            return
        yield ok("livekit", f"answers at {base}")
        key = await _check_key(settings, http)
        yield key
        if key.level != "ok":
            return
        if date is not None:
            ahead_s = parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
            yield clock_finding("livekit clock", ahead_s, CLOCK_WARN_S)
        yield await _check_workers_door(settings, http)
        yield await _check_auto_create(settings, http, base, room_prefix)


def _token(settings: WorkerSettings, grants: api.VideoGrants) -> str:
    secret = settings.livekit_api_secret.get_secret_value()
    token = api.AccessToken(settings.livekit_api_key, secret)
    return token.with_identity("doctor").with_ttl(TOKEN_TTL).with_grants(grants).to_jwt()


async def _check_key(settings: WorkerSettings, http: aiohttp.ClientSession) -> Finding:
    secret = settings.livekit_api_secret.get_secret_value()
    client = api.LiveKitAPI(
        settings.livekit_url, settings.livekit_api_key, secret, session=http, failover=False
    )
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await client.room.list_rooms(api.ListRoomsRequest(names=["-"]))
    except api.TwirpError as error:
        detail = f"{error.status} {error.code}: {error.message}"
        if error.status == 401:
            return fail(
                "livekit key", detail, "give LIVEKIT_API_KEY and _SECRET that are in its `keys`"
            )
        return fail("livekit key", detail, "see LiveKit's log, and that of its Redis")
    except (aiohttp.ClientError, OSError) as error:
        return fail("livekit key", str(error) or type(error).__name__, "see LiveKit's log")
    return ok("livekit key", f"{settings.livekit_api_key} is accepted")


async def _check_workers_door(settings: WorkerSettings, http: aiohttp.ClientSession) -> Finding:
    """Register as a worker of a name that nobody dispatches to; tells LiveKit's version."""
    url = settings.livekit_url.replace("http", "ws", 1) + "/agent"
    headers = {"Authorization": f"Bearer {_token(settings, api.VideoGrants(agent=True))}"}
    hello = worker_protocol.WorkerMessage(
        register=worker_protocol.RegisterWorkerRequest(
            type=worker_protocol.JobType.JT_ROOM,
            agent_name=f"doctor-{secrets.token_hex(8)}",
            version="doctor",
        )
    )
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S), http.ws_connect(url, headers=headers) as ws:
            await ws.send_bytes(hello.SerializeToString())
            for _ in range(MAX_FRAMES):
                message = worker_protocol.ServerMessage()
                message.ParseFromString(await ws.receive_bytes())
                if message.HasField("register"):
                    return _version(message.register.server_info)
    except (aiohttp.ClientError, OSError, TypeError) as error:
        # TypeError: the connection was closed where an answer was due.
        cause = str(error) or type(error).__name__
        return fail("livekit workers", cause, "let workers reach LiveKit's /agent (a WebSocket)")
    return fail("livekit workers", "no answer to a registration", "see LiveKit's log")


def _version(server: Any) -> Finding:
    version = str(server.version)
    detail = f"version {version}, workers can register"
    known = major_minor(version)
    if known is not None and known < TESTED_WITH:
        tested = ".".join(map(str, TESTED_WITH))
        return warn("livekit workers", detail, f"use livekit-server {tested} or newer")
    return ok("livekit workers", detail)


async def _check_auto_create(
    settings: WorkerSettings, http: aiohttp.ClientSession, base: str, room_prefix: str
) -> Finding:
    """Would a token for a room that is not there be let in? Asks without joining."""
    room = f"{room_prefix}doctor-{secrets.token_hex(8)}"
    token = _token(settings, api.VideoGrants(room_join=True, room=room))
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with http.get(f"{base}/rtc/validate", headers=headers) as response:
            status, said = response.status, (await response.text())[:200].strip()
    except (aiohttp.ClientError, OSError) as error:
        return warn("livekit rooms", str(error) or type(error).__name__, "see LiveKit's log")
    if status == 404:
        return ok("livekit rooms", "tokens cannot make rooms (room.auto_create is off)")
    if status == 200:
        return warn(
            "livekit rooms",
            "a token makes its room again after the session has ended",
            "set room.auto_create: false in LiveKit's configuration",
        )
    return warn("livekit rooms", json.dumps(said), "see LiveKit's log")
