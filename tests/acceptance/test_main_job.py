"""The main job: a caller's speech goes through everything, and the spoken answer comes back."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import api
from redis.asyncio import Redis

from assistant.rehearsal.scenario import Call, CallReport, run_call
from assistant.rehearsal.speech import speak
from tests.acceptance.asking import A_JOKE, THE_TIME, Question, asks_aloud
from tests.acceptance.system import System
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

GONE_WITHIN_S = 10.0
CLOCK = re.compile(r"\b\d{1,2}:\d{2}\b")


@asynccontextmanager
async def livekit(system: System) -> AsyncIterator[api.LiveKitAPI]:
    client = api.LiveKitAPI(
        system.livekit_url.replace("ws://", "http://"), system.keys.api_key, system.keys.api_secret
    )
    try:
        yield client
    finally:
        await client.aclose()


async def settled(system: System, session_id: str) -> str:
    """The session's status once it has none after it."""
    deadline = time.monotonic() + scaled(GONE_WITHIN_S)
    async with system.service() as service:
        while True:
            status = (await service.session(session_id)).status
            if status in {"ended", "failed"} or time.monotonic() > deadline:
                return status
            await asyncio.sleep(0.1)


async def ask(system: System, asked: Question) -> CallReport:
    """A whole call; its last turn is the one in which the question was understood."""
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        await call.greeting()
        await asks_aloud(call, asked)
        await call.end()
        return call.report()


async def test_a_caller_is_greeted_asks_and_is_answered(system: System) -> None:
    """Token, start, greeting, a question as real speech, its answer aloud, and nothing left."""
    report = await ask(system, THE_TIME)
    turn = report.turns[-1]
    assert report.greeting is not None
    assert "voice assistant" in report.greeting
    assert CLOCK.search(turn.reply.text)
    assert turn.reply.audio.duration_s > 0.5

    assert await settled(system, report.session_id) == "ended"
    async with livekit(system) as client:
        rooms = await client.room.list_rooms(api.ListRoomsRequest(names=[report.room]))
        assert not rooms.rooms
    redis: Redis = Redis.from_url(system.redis_url, decode_responses=True)
    try:
        # That an attempt was given to a job that stood by is known for 10 s.
        left = {
            key
            async for key in redis.scan_iter(f"*{report.session_id}*")
            if not key.startswith("standby:given:")
        }
        record = f"session:{report.session_id}"
        stays = ("events", "items", "logs", "report")
        assert left == {record, *(f"{record}:{part}" for part in stays)}
        assert await redis.hget(f"session:{report.session_id}", "status") == "ended"
        assert await redis.zscore("assistant:slots", report.session_id) is None
    finally:
        await redis.aclose()


async def test_two_callers_at_once_each_get_their_own_answer(system: System) -> None:
    """Conversations do not mix."""
    first, second = await asyncio.gather(
        ask(system, THE_TIME),
        ask(system, A_JOKE),
    )
    assert CLOCK.search(first.turns[-1].reply.text)
    assert not any(CLOCK.search(turn.reply.text) for turn in second.turns)
    assert first.room != second.room


async def test_overrides_reach_the_vendors(system: System) -> None:
    """Agent, voice, prompt, greeting and words of one start are what the vendors are sent."""
    marker = uuid.uuid4().hex[:8]
    config = {
        "agent": "concierge",
        "voice": "inworld-male-2",
        "systemPrompt": f"You are a test. Marker {marker}.",
        "greeting": f"Greetings from test {marker}.",
        "keyterms": [marker],
    }
    async with system.service() as service:
        report = await run_call(service, [await speak(THE_TIME.text)], config=config)
    assert report.greeting is not None
    assert "Greetings from test" in report.greeting

    chats = await system.vendor_requests("groq")
    mine = [chat for chat in chats if marker in str(chat)]
    assert mine, "the system prompt did not reach the language model"
    spoken = await system.vendor_requests("inworld")
    greeting = [entry for entry in spoken if marker in str(entry)]
    assert greeting, "the greeting did not reach text to speech"
    assert "Mark" in str(spoken)
    connects = await system.vendor_requests("assemblyai", "connect")
    (heard,) = [each["keyterms_prompt"] for each in connects if marker in str(each)]
    assert json.loads(heard)[:2] == [marker, "Harbour Hotel"]

    async with system.http() as client:
        shown = (await client.get(f"/api/sessions/{report.session_id}")).json()
    assert shown["agent"] == "concierge"


async def test_eight_starts_at_once_all_get_an_agent(system: System) -> None:
    """A burst larger than the warm pool is served, not dropped."""

    async def agent_joins() -> float:
        async with system.service() as service, Call(service) as call:
            await call.agent_joins()
            await call.end()
            return call.report().agent_s

    async with asyncio.timeout(scaled(60)):
        figures = await asyncio.gather(*(agent_joins() for _ in range(8)))
    assert len(figures) == 8


async def test_typing_is_answered_too(system: System) -> None:
    """`lk.chat` messages are part of the same conversation."""
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        await call.greeting()
        await call.caller.type("What is two plus three?")
        line = await call.caller.wait_for_line("agent", lambda said: "5" in said.text, scaled(15))
        assert line.final or "5" in line.text
        await call.end()


async def test_ending_twice_is_fine_and_frees_the_slot_once(system: System) -> None:
    """A repeated end has the same answer; what the session held is given back."""
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        session_id = call.session_id
        await service.end(session_id)
        await service.end(session_id)  # ending twice is fine
        assert await settled(system, session_id) == "ended"
    async with system.http() as client:
        stats = (await client.get("/stats")).json()
    assert stats["slots"]["used"] == 0
