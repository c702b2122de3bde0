"""Who may speak when: coughs, short words, and callers who do not stop.

What is heard is scripted: each sound of a caller has the next line of `HEARD`, whatever it is.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import yaml

from assistant.rehearsal.scenario import Call
from assistant.rehearsal.speech import Speech, speak
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ
from tests.acceptance.system import PROJECT, System, running_system
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_WORDS, ONE_WORD, THREE_WORDS = "", "Aha", "Please stop now"
HEARD = (NO_WORDS, ONE_WORD, THREE_WORDS, "and then we went home again", "where it was warm")
STORY = (
    "The night train leaves from the north station at nine. It stops in every little town along "
    "the coast. Please be there in time."
)
COUGH_IS_OVER_S = 1.5
MAX_WORDS = 5
MAX_S = 3
PATIENT = {"min_delay_s": 2, "max_delay_s": 4}
# The recognizer waits so long for more of a sound that it found no words in.
WORDLESS_S = 1.6
BREATH_S = 0.6
# Between two sentences; a pause is `COUGH_IS_OVER_S` and more.
LONGEST_BREATH_S = 1.0
ANSWER_S = scaled(20)
# Longer than any answer to a command is waited for.
HANGS_S = 50


def write_agents(path: Path) -> None:
    """Agents that differ in how they take turns, and in nothing else."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    own = document["agents"]["assistant"]
    agents: dict[str, dict[str, Any]] = {
        "quick": {"interruption": {"false_interruption_timeout_s": COUGH_IS_OVER_S}},
        "steady": {"interruption": {"min_duration_s": 3}},
        "wordy": {"interruption": {"min_words": 2}},
        # Nobody's turn ends by a breath.
        "brief": {"user_turn_limit": {"max_words": MAX_WORDS}, "endpointing": PATIENT},
        "hasty": {"user_turn_limit": {"max_duration_s": MAX_S}, "endpointing": PATIENT},
    }
    for handling in agents.values():
        handling.setdefault("interruption", {})["aec_warmup_s"] = None
    hanging = {"type": "mcp", "command": ["sleep", "60"], "allow": ["nothing"]}
    tools = [{**hanging, "connect_timeout_s": HANGS_S}]
    document["agents"]["host"] = {**own, "greeting": f"Host here. {STORY}", "tools": tools}
    document["agents"]["mum"] = {**own, "greeting": None, "tools": tools}
    document["agents"] |= {
        name: {**own, "greeting": None, "turn_handling": handling}
        for name, handling in agents.items()
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder = tmp_path_factory.mktemp("turns")
    write_agents(folder / "agents.yaml")
    script = folder / "script.yaml"
    script.write_text(yaml.safe_dump({"utterances": list(HEARD)}), encoding="utf-8")
    environ = {"ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"), "PREWARM_POOL_SIZE": "2"}
    scripted = {"ASSISTANT_STAND_IN_STT_MODE": "scripted"}
    async with running_system(
        folder, environ=environ, script=script, stand_ins=scripted
    ) as running:
        yield running


async def tells_a_story(call: Call) -> float:
    """Have the agent speak for some eight seconds; returns when it is heard."""
    await call.agent_joins()
    await call.caller.wait_for_agent_state("listening", ANSWER_S)
    asked = time.monotonic()
    await call.caller.type(f"Say {STORY}")
    return (await call.caller.wait_for_speech(ANSWER_S, since=asked)).started


def longest_silence(call: Call, since: float, until: float) -> float:
    """The longest time between `since` and `until` in which the caller heard nothing."""
    heard = [sound for sound in call.caller.sounds if sound.ended > since and sound.started < until]
    edges = [since, *(at for each in heard for at in (each.started, each.ended)), until]
    return max(b - a for a, b in zip(edges[::2], edges[1::2], strict=True))


async def kept(system: System, call: Call) -> list[dict[str, Any]]:
    """What the record holds of the conversation."""
    async with system.http() as client:
        shown = await client.get(f"/api/sessions/{call.session_id}/transcript")
    items: list[dict[str, Any]] = shown.json()["items"]
    return items


async def story_kept(system: System, call: Call) -> dict[str, Any]:
    (item,) = [item for item in await kept(system, call) if item["text"].startswith("The night")]
    return item


def spaced(sound: Speech, *pauses_s: float) -> Speech:
    """The sound, and again after each pause."""
    pieces = [sound.samples]
    for pause_s in pauses_s:
        pieces += [np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.int16), sound.samples]
    return replace(sound, samples=np.concatenate(pieces))


async def test_a_cough_costs_a_pause_and_nothing_else(system: System) -> None:
    """A sound without words: the agent pauses and goes on to the end, and that is on record.

    Where it takes a longer sound to interrupt, the same one does not even make it pause.
    """
    sound = await speak("Hello there.")

    async def pauses() -> None:
        async with system.service() as service, Call(service, config={"agent": "quick"}) as call:
            started = await tells_a_story(call)
            coughed = await call.caller.say(sound)
            stop_s = await call.caller.wait_for_silence(coughed.started, ANSWER_S, quiet_s=0.7)
            assert stop_s < scaled(1.5)
            reply = await call.caller.hears_reply(
                coughed.started + stop_s, timeout_s=ANSWER_S, quiet_s=1.2
            )
            assert reply.started > coughed.started + COUGH_IS_OVER_S
            assert reply.ended - started > 5
            item = await story_kept(system, call)
            assert (item["text"], item["interrupted"]) == (STORY, False)
            await call.end()

    async def goes_on() -> None:
        async with system.service() as service, Call(service, config={"agent": "steady"}) as call:
            await tells_a_story(call)
            coughed = await call.caller.say(sound)
            ended = await call.caller.wait_for_quiet(ANSWER_S, quiet_s=1.2)
            assert longest_silence(call, coughed.started, ended) < scaled(LONGEST_BREATH_S)
            assert not (await story_kept(system, call))["interrupted"]
            await call.end()

    await asyncio.gather(pauses(), goes_on())


async def test_one_word_does_not_stop_who_minds_two(system: System) -> None:
    """`min_words`: the agent talks on over a sound and a word, stops at three, and answers them."""
    async with system.service() as service, Call(service, config={"agent": "wordy"}) as call:
        await tells_a_story(call)
        word = await speak("Hello there.")
        minded = await call.caller.say(spaced(word, WORDLESS_S, BREATH_S))
        await call.caller.wait_for_line(
            "agent",
            lambda line: line.first_at >= minded.started and THREE_WORDS in line.text,
            ANSWER_S,
        )
        third = minded.ended - word.duration_s
        assert longest_silence(call, minded.started, third) < scaled(LONGEST_BREATH_S)
        await call.caller.wait_for_quiet(ANSWER_S)
        story, answer = (item for item in await kept(system, call) if item["role"] == "assistant")
        assert story["interrupted"]
        assert STORY.startswith(story["text"])
        assert not answer["interrupted"]
        await call.end()


async def test_who_does_not_stop_is_cut_in_on(system: System) -> None:
    """`user_turn_limit`, in words or in seconds: the agent speaks while the caller still does."""
    sound = await speak("Hello there.")
    endless = spaced(sound, WORDLESS_S, *[BREATH_S] * 9)

    async def cuts_in(agent: str) -> None:
        async with system.service() as service, Call(service, config={"agent": agent}) as call:
            await call.agent_joins()
            await call.caller.wait_for_agent_state("listening", ANSWER_S)
            begun = time.monotonic()
            talk = asyncio.create_task(call.caller.say(endless), name="endless talk")
            await call.caller.wait_for_speech(ANSWER_S, since=begun)
            assert not talk.done()
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
            await call.end()

    await asyncio.gather(cuts_in("brief"), cuts_in("hasty"))


async def order(
    system: System, session_id: str, name: str, status: str = "applied", **body: str
) -> None:
    """Give a command, which is carried out while the service waits for it, or is `queued`."""
    async with system.http() as http:
        answer = await http.post(f"/api/sessions/{session_id}/{name}", json=body)
    assert answer.json()["status"] == status, name


async def stops(system: System, call: Call) -> None:
    """Interrupt what is heard: it is carried out, and the agent is silent."""
    asked = time.monotonic()
    await order(system, call.session_id, "interrupt")
    assert await call.caller.wait_for_silence(asked, ANSWER_S, quiet_s=0.5) < scaled(1.5)


async def test_no_interruption_waits(system: System) -> None:
    """A backend hands over to agents whose MCP server hangs, and stops them: all of it at once.

    So it is where the handover still waits for words that were ordered before the agent came.
    """
    async with system.service() as service, Call(service, config={"agent": "quick"}) as call:
        await tells_a_story(call)
        await order(system, call.session_id, "agent", agent="host")
        await call.caller.wait_for_line("agent", lambda line: "Host here" in line.text, ANSWER_S)
        await stops(system, call)
        for name in ("host", "mum"):
            await order(system, call.session_id, "agent", agent=name)
            await order(system, call.session_id, "interrupt")
        asked = time.monotonic()
        await order(system, call.session_id, "say", text="The taxi is here.")
        await call.caller.wait_for_speech(ANSWER_S, since=asked)
        await call.end()

    early = f"early-{time.time_ns()}"
    async with system.http() as http:
        await http.post("/api/token", json={"sessionId": early, "userId": "rehearsal"})
    await order(system, early, "say", "queued", text=STORY)
    await order(system, early, "agent", "queued", agent="mum")
    config = {"agent": "quick"}
    async with system.service() as service, Call(service, session_id=early, config=config) as call:
        await call.agent_joins()
        await call.caller.wait_for_speech(ANSWER_S, since=call.started_at)
        await stops(system, call)
        await call.end()
