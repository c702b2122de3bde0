"""The operator's commands against the running system: what they say is so."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from livekit import api
from redis.asyncio import Redis

from assistant.catalog import Catalog
from assistant.local_stack.ports import HOST, free_port
from tests.acceptance.system import PROJECT, System
from tests.acceptance.test_voice import fault
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMMAND_S = 60.0
SETTLED_S = 20.0
LOOK_S = 0.1


async def command(
    system: System, *args: str, environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run `python -m assistant ...` as an operator of the system would; exit code and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "assistant",
        *args,
        cwd=PROJECT,
        env={**system.environ, "ASSISTANT_URL": system.service_url, **(environ or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(COMMAND_S)):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode()


async def examined(
    system: System, *args: str, environ: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    code, out = await command(system, "doctor", "--json", *args, environ=environ)
    return code, json.loads(out)


def failed(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The checks that failed, by their names."""
    return {f["check"]: f for f in report["findings"] if f["level"] == "fail"}


async def test_a_working_system_is_found_to_work(system: System) -> None:
    """Every check passes, an agent joins the trial's room, and nothing is left of it."""
    code, report = await examined(system)
    assert failed(report) == {}
    assert code == 0
    levels = {finding["check"]: finding["level"] for finding in report["findings"]}
    for check in ("redis", "redis persistence", "livekit key", "livekit rooms", "workers"):
        assert levels[check] == "ok", report
    assert levels["webhooks"] == "ok", report
    assert levels["trial's end"] == "ok", report
    joined = [stage["name"] for stage in report["trial"]]
    assert "agent.joined" in joined

    keys = system.keys
    http_url = system.livekit_url.replace("ws://", "http://")
    async with api.LiveKitAPI(http_url, keys.api_key, keys.api_secret) as client:
        rooms = await client.room.list_rooms(api.ListRoomsRequest())
    assert not [room.name for room in rooms.rooms if "doctor" in room.name]
    redis: Redis = Redis.from_url(system.redis_url, decode_responses=True)
    try:
        assert [key async for key in redis.scan_iter("session:doctor-*")] == []
        slots = await redis.zrange("assistant:slots", 0, -1)
        assert not [session_id for session_id in slots if "doctor" in session_id]
    finally:
        await redis.aclose()


async def test_a_vendor_that_fails_in_the_trial_is_named(system: System) -> None:
    """The agent joins, and would never understand a word: who refused it, and exit code 1."""
    await fault(system, service="assemblyai", operation="connect", kind="fail", status=401)
    code, report = await examined(system)
    assert code == 1
    found = failed(report)
    assert set(found) == {"trial's vendors"}
    assert found["trial's vendors"]["detail"].startswith("assemblyai (stt): ")


async def test_what_is_broken_is_named_with_a_remedy(system: System) -> None:
    """No Redis, a LiveKit that refuses the key, no service: each fails, and says what to do."""
    nowhere = free_port()
    code, report = await examined(
        system,
        environ={
            "REDIS_URL": f"redis://{HOST}:{nowhere}/0",
            "LIVEKIT_API_SECRET": "another-secret-that-nobody-knows-of",
            "ASSISTANT_URL": f"http://{HOST}:{nowhere}",
            "GROQ_API_KEY": "",
        },
    )
    assert code == 1
    found = failed(report)
    assert {"redis", "livekit key", "service", "vendor keys"} <= found.keys()
    assert all(finding["remedy"] for finding in found.values())
    assert "GROQ_API_KEY" in found["vendor keys"]["detail"]
    secrets = (system.keys.api_secret, "another-secret-that-nobody-knows-of")
    assert not [secret for secret in secrets if secret in json.dumps(report)]


async def test_settings_that_cannot_be_read_are_named(system: System) -> None:
    """A setting that is wrong stops no other check: the service is still tried."""
    code, report = await examined(system, "--no-trial", environ={"LIVEKIT_API_SECRET": "short"})
    assert code == 1
    assert "LIVEKIT_API_SECRET" in failed(report)["settings"]["detail"]
    assert {"check": "service", "level": "ok"}.items() <= report["findings"][-1].items()


async def test_the_commands_show_workers_and_sessions(system: System) -> None:
    """A session is in the list, and its own page tells each stage and how it ended."""
    session_id = f"shown-{uuid.uuid4().hex[:8]}"
    async with system.service() as service:
        await service.start(session_id, "somebody", config={"greeting": ""})
        await _until(system, session_id, "active")
        await service.end(session_id)
    await _until(system, session_id, "ended")

    code, out = await command(system, "sessions", "--json", "--status", "ended")
    assert code == 0
    assert session_id in [session["sessionId"] for session in json.loads(out)["sessions"]]
    code, out = await command(system, "sessions", session_id)
    assert code == 0
    for said in ("attempt 1", "the agent is in the room", "Somebody asked for its end"):
        assert said in out
    code, _ = await command(system, "sessions", "there-is-no-such-session")
    assert code == 1
    code, out = await command(system, "workers", "--json")
    assert code == 0
    (worker,) = json.loads(out)["workers"]
    assert worker["registered"]
    digest = Catalog.load(PROJECT / "agents.yaml").digest
    assert worker["catalog"] == digest
    code, out = await command(system, "workers")
    assert code == 0
    assert digest in out
    assert "another agents.yaml" not in out
    assert os.getpid() != worker["pid"]


async def _until(system: System, session_id: str, status: str) -> None:
    async with asyncio.timeout(scaled(SETTLED_S)), system.service() as service:
        while (  # noqa: ASYNC110 - nothing tells
            await service.session(session_id)
        ).status != status:
            await asyncio.sleep(LOOK_S)
