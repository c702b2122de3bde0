"""A backend that directs a conversation: what the caller hears, and what the model is sent."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from assistant.rehearsal.caller import Caller
from assistant.rehearsal.scenario import Call
from assistant.rehearsal.speech import speak
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from tests.acceptance.asking import THE_TIME, asks_aloud
from tests.acceptance.recovery import identity, kill_job, whereabouts
from tests.acceptance.system import System
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWER_S = scaled(20)
OK = 200
# The promise is 0.3 s; speed is judged by `python -m bench.live_control`.
STOPS_WITHIN_S = scaled(1.5)
QUIET_S = 0.5
STEP_S = 0.02
CONCIERGE = "this is the concierge"
LONG = "First we go to the harbour, then to the old town, then up the hill, and then back again."


async def post(system: System, session_id: str, name: str, **body: Any) -> httpx.Response:
    async with system.http() as http:
        return await http.post(f"/api/sessions/{session_id}/{name}", json=body)


async def made(system: System) -> str:
    """A session that is not started yet; its id."""
    session_id = f"early-{time.time_ns()}"
    async with system.http() as http:
        body = {"sessionId": session_id, "userId": "rehearsal"}
        assert (await http.post("/api/token", json=body)).status_code == 200
    return session_id


async def order(
    system: System, session_id: str, name: str, *, status: str = "applied", **body: Any
) -> None:
    """Give a command, which comes to `status`."""
    answer = await post(system, session_id, name, **body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == status, name


async def said(system: System, session_id: str, *, role: str = "assistant") -> list[str]:
    async with system.http() as http:
        transcript = (await http.get(f"/api/sessions/{session_id}/transcript")).json()
    return [item["text"] for item in transcript["items"] if item["role"] == role]


async def settled(system: System, session_id: str) -> list[tuple[str, str, int]]:
    """What became of the commands, in order: kind, outcome, attempt."""
    async with system.http() as http:
        timeline = (await http.get(f"/api/sessions/{session_id}")).json()["timeline"]
    found = [entry["data"] for entry in timeline if entry["name"] == "control.settled"]
    return [(data["kind"], data["outcome"], data["attempt"]) for data in found]


async def requested(system: System, session_id: str, number: int) -> None:
    """Wait until so many commands were given."""
    async with asyncio.timeout(ANSWER_S), system.http() as http:
        while True:
            timeline = (await http.get(f"/api/sessions/{session_id}")).json()["timeline"]
            if [entry["name"] for entry in timeline].count("control.requested") >= number:
                return
            await asyncio.sleep(STEP_S)


async def hears(call: Call, words: str, *, since: float) -> None:
    await call.caller.wait_for_line(
        "agent", lambda line: line.first_at >= since and words in line.text, ANSWER_S
    )


async def asks(call: Call, question: str, answer: str) -> None:
    asked = time.monotonic()
    await call.caller.type(question)
    await hears(call, answer, since=asked)


async def prompt_of(system: System, question: str) -> list[dict[str, str]]:
    """The messages with which the model was last asked that."""
    chats = [chat for chat in await system.vendor_requests("groq") if question in str(chat)]
    messages: list[dict[str, str]] = chats[-1]["messages"]
    return messages


async def voice_of(system: System, words: str) -> str:
    """What the voice's vendor was told when the words were spoken last."""
    sent = await system.vendor_requests("inworld")
    context = [each["contextId"] for each in sent if words in str(each.get("send_text"))][-1]
    return str([each for each in sent if each.get("contextId") == context and "create" in each])


async def test_a_backend_directs_a_conversation(system: System) -> None:
    """Interrupt, say, context and instructions do what they say; the model and the caller tell."""
    async with system.service() as service, Call(service) as call:
        await call.agent_joins()
        caller, session_id = call.caller, call.session_id
        await caller.wait_for_speech(ANSWER_S, since=call.started_at)
        asked = time.monotonic()
        await order(system, session_id, "interrupt")
        went_on_s = await caller.wait_for_silence(asked, ANSWER_S, quiet_s=QUIET_S)
        assert went_on_s < STOPS_WITHIN_S

        # Of a newer release of the service; whatever comes after it is obeyed.
        async with connect(system.redis_url) as redis:
            dance: Any = {"id": "dance", "attempt": "1", "command": '{"kind": "dance"}'}
            await redis.xadd(keys.session_commands(session_id), dance)
        # Applied: it is being heard.
        await order(system, session_id, "say", text=LONG, interruptible=False)
        behind = asyncio.create_task(
            post(system, session_id, "say", text="Nobody hears this.", when="after")
        )
        await requested(system, session_id, 3)
        asked = time.monotonic()
        await order(system, session_id, "say", text="The taxi is here.")
        refusal = (await behind).json()
        assert (refusal["code"], refusal["outcome"]) == ("command_not_applied", "dropped")
        await hears(call, "taxi", since=asked)
        await caller.wait_for_quiet(ANSWER_S)

        # What is typed over what nobody may interrupt is answered behind it.
        await order(system, session_id, "say", text="Please hold the line.", interruptible=False)
        await asks(call, "What is four plus five?", "9")
        await caller.wait_for_quiet(ANSWER_S)

        await order(system, session_id, "context", text="The order is number 4711.")
        await order(system, session_id, "instructions", instructions="You are a captain.")
        await asks(call, "What is two plus three?", "5")
        prompt = await prompt_of(system, "two plus three")
        told = [message["content"] for message in prompt if message["role"] == "system"]
        assert told == ["You are a captain.", "The order is number 4711."]

        asked = time.monotonic()
        await order(system, session_id, "context", text="A guest waits.", reply=True)
        await caller.wait_for_speech(ANSWER_S, since=asked)
        await call.end()
    words = await said(system, session_id)
    assert "taxi" in " ".join(words)
    assert "back again" not in " ".join(words), "it was stopped, and the record says so"
    assert "4711" not in str(words)
    assert "Nobody hears" not in " ".join(words)
    outcomes = await settled(system, session_id)
    assert outcomes[1] == ("dance", "failed", 1)
    del outcomes[1]
    assert outcomes.count(("say", "dropped", 1)) == 1
    outcomes.remove(("say", "dropped", 1))
    kinds = ["interrupt", "say", "say", "say", "context", "instructions", "context"]
    assert outcomes == [(kind, "applied", 1) for kind in kinds]


async def test_whoever_is_muted_is_not_heard(system: System) -> None:
    """A muted user is not understood, but read; a muted agent is read, but not heard; from before
    the first word, or in the middle of one.
    """
    session_id = await made(system)
    for who in ("agent", "user"):
        await order(system, session_id, "mute", who=who, muted=True, status="queued")
    async with system.service() as service, Call(service, session_id=session_id) as call:
        await call.agent_joins()
        caller = call.caller
        await hears(call, "How can I help you?", since=call.started_at)
        asked = call.started_at
        await caller.say(await speak(THE_TIME.text))
        await asks(call, "What is two plus three?", "5")
        assert [sound for sound in caller.sounds if sound.ended > asked] == []
        assert await said(system, session_id, role="user") == ["What is two plus three?"]

        for who in ("agent", "user"):
            await order(system, session_id, "mute", who=who, muted=False)
        await asks_aloud(call, THE_TIME)
        await order(system, session_id, "say", text=LONG)
        asked = time.monotonic()
        await order(system, session_id, "mute", who="agent", muted=True)
        went_on_s = await caller.wait_for_silence(asked, ANSWER_S, quiet_s=QUIET_S)
        assert went_on_s < STOPS_WITHIN_S
        await call.end()


async def test_what_was_ordered_before_the_agent_came_is_done(system: System) -> None:
    """In order, by the agent that comes; only an interruption makes no sense yet."""
    session_id = await made(system)
    refusal = await post(system, session_id, "interrupt")
    assert (refusal.status_code, refusal.json()["code"]) == (409, "agent_not_in_room")
    await order(system, session_id, "agent", agent="concierge", status="queued")
    await order(system, session_id, "context", text="Room 12 is free.", status="queued")
    await order(system, session_id, "say", text="Your table is ready.", status="queued")
    async with system.service() as service, Call(service, session_id=session_id) as call:
        await call.agent_joins()
        await hears(call, "table is ready", since=call.started_at)
        await call.caller.wait_for_quiet(ANSWER_S)
        await asks(call, "What is two plus six?", "8")
        prompt = await prompt_of(system, "two plus six")
        assert "concierge of the Harbour Hotel" in prompt[0]["content"]
        assert "Room 12 is free." in [message["content"] for message in prompt]
        await call.end()
    words = " ".join(await said(system, session_id))
    assert words.index(CONCIERGE) < words.index("table is ready")
    kinds = [kind for kind, _, _ in await settled(system, session_id)]
    assert kinds == ["agent", "context", "say"]


async def test_the_next_agent_goes_on_as_ordered(system: System) -> None:
    """Its job is killed: who talks, how and knowing what, and who is muted, is as it was set."""
    async with system.service() as service, Call(service, config={"greeting": None}) as call:
        await call.agent_joins()
        caller, session_id = call.caller, call.session_id
        await order(system, session_id, "context", text="The order is number 4712.")
        asked = time.monotonic()
        await order(system, session_id, "agent", agent="concierge")
        await hears(call, CONCIERGE, since=asked)
        await order(system, session_id, "instructions", instructions="You are a pilot.")
        await order(system, session_id, "mute", who="user", muted=True)
        # Applied: it is being heard.
        await order(system, session_id, "say", text=LONG, interruptible=False)
        await order(
            system, session_id, "say", text="Your table is ready.", when="after", status="queued"
        )
        before = await whereabouts(system, session_id)
        kill_job(before.job_pid)
        killed = time.monotonic()
        await hears(call, "table is ready", since=killed)
        async with system.http() as http:
            shown = (await http.get(f"/api/sessions/{session_id}")).json()
        assert shown["muted"] == ["user"]
        given = [e["data"]["agent"] for e in shown["timeline"] if e["name"] == "agent.transferred"]
        assert given == ["concierge"]
        assert caller.agents[-1].identity == identity(session_id, before.attempt + 1)
        await caller.say(await speak(THE_TIME.text))
        await asks(call, "What is two plus seven?", "9")
        prompt = await prompt_of(system, "two plus seven")
        told = [message["content"] for message in prompt if message["role"] == "system"]
        assert sorted(told) == ["The order is number 4712.", "You are a pilot."]
        assert await said(system, session_id, role="user") == ["What is two plus seven?"]
        again = [line.text for line in caller.lines_of("agent") if line.first_at > killed]
        assert "harbour" not in " ".join(again), "it was being said, so it is not said again"
        assert "Dennis" in await voice_of(system, "table is ready"), "the concierge's voice"
        await call.end()
    assert ("say", "applied", before.attempt + 1) in await settled(system, session_id)


async def test_who_is_stopped_before_anybody_listens_is_heard_later(system: System) -> None:
    """A backend stops a greeting that nobody hears yet; the caller who comes hears the answers."""
    session_id = f"early-{time.time_ns()}"
    async with system.service() as service:
        grant = await service.token(session_id, "rehearsal")
        await service.start(session_id, "rehearsal", session_key=grant.session_key)
        async with asyncio.timeout(ANSWER_S):
            while (  # noqa: ASYNC110 - nothing tells
                await post(system, session_id, "interrupt")
            ).status_code != OK:
                await asyncio.sleep(STEP_S)
        async with Caller(grant.url, grant.token) as caller:
            await caller.wait_for_agent(ANSWER_S)
            asked = time.monotonic()
            await caller.type("What is two plus three?")
            reply = await caller.hears_reply(asked, timeout_s=ANSWER_S)
        await service.end(session_id, session_key=grant.session_key)
    assert "5" in reply.text
