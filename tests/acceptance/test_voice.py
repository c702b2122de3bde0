"""Vendors that fail, callers who wait, and callers who fall silent."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
import yaml
from livekit import rtc

from assistant.catalog import Catalog
from assistant.rehearsal.bell import Bell
from assistant.rehearsal.scenario import Call
from assistant.rehearsal.speech import speak
from assistant.rehearsal.transcript import TOPIC, Transcript, Who
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ
from assistant.worker.speaking.speech_cache import SpeechCache
from assistant.worker.speaking.spoken import CHARS_PER_S
from tests.acceptance.asking import THE_TIME, asks_aloud
from tests.acceptance.system import PROJECT, System, running_system
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPARE_MODEL = "llama-3.1-8b-instant"
MAIN_MODEL = "llama-3.3-70b-versatile"
MAIN_KEYTERM = "Mainline"
SPARE_VOICE = "Dennis"
MAIN_VOICE = "Ashley"
ATTEMPT_S = 0.6
DEAD_AIR_S = 1.5
END_AFTER_S = 5
# The clock begins with the caller's last sound; the guard learns of it when the detector does.
GRACE_S = 2
ANSWER_S = scaled(20)
AWAY_S = 1.5
TOOLS_S = 1
APOLOGY = "One moment."
GREETING = "Hello! I am your voice assistant. How can I help you?"
PROMPT = "Are you still there?"


def write_agents(path: Path) -> None:
    """An agent with somebody behind each vendor, and one that is alone and soon gives up."""
    document = yaml.safe_load((PROJECT / "agents.yaml").read_text(encoding="utf-8"))
    agents = document["agents"]
    own = agents["assistant"]
    apology = {"after_s": DEAD_AIR_S, "end_after_s": END_AFTER_S, "sentence": APOLOGY}
    agents["secured"] = {
        **own,
        "greeting": None,
        "stt": {**own["stt"], "keyterms": [MAIN_KEYTERM]},
        "fallbacks": {
            "attempt_timeout_s": ATTEMPT_S,
            "stt": [own["stt"]],
            "llm": [{**own["llm"], "model": SPARE_MODEL}],
            "tts": [{**own["tts"], "voice": SPARE_VOICE}],
        },
        # Whoever takes over is to be heard, not the apology.
        "dead_air": {**apology, "after_s": 12, "end_after_s": 30},
    }
    agents["alone"] = {**own, "greeting": None, "dead_air": apology}
    agents["writer"] = {**agents["alone"], "modality": "text"}
    # Its tools take a while to be there: the agent is in the room, and does not listen yet.
    program = {"type": "mcp", "command": ["sleep", str(TOOLS_S)], "allow": ["nothing"]}
    agents["slow"] = {**own, "greeting": None, "tools": [program]}
    agents["caring"] = {
        **own,
        "greeting": None,
        "away": {"prompts": [PROMPT], "end": True},
        "limits": {"user_away_timeout_s": AWAY_S},
    }
    agents["caring-writer"] = {**agents["caring"], "modality": "text"}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder = tmp_path_factory.mktemp("voice")
    write_agents(folder / "agents.yaml")
    environ = {"ASSISTANT_AGENTS_FILE": str(folder / "agents.yaml"), "PREWARM_POOL_SIZE": "2"}
    async with running_system(folder, environ=environ) as running:
        # Made before anybody calls; what is ordered of the voice's vendor is for the calls alone.
        for agent, text in (("alone", APOLOGY), ("secured", APOLOGY), ("assistant", GREETING)):
            await sentence_is_made(running, agent, text)
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_faults(system: System) -> AsyncIterator[None]:
    yield
    async with httpx.AsyncClient(base_url=system.stand_ins_url) as client:
        await client.delete("/control/faults")


async def fault(system: System, **order: Any) -> None:
    async with httpx.AsyncClient(base_url=system.stand_ins_url) as client:
        (await client.post("/control/faults", json=order)).raise_for_status()


async def happened(system: System, session_id: str) -> list[dict[str, Any]]:
    async with system.http() as client:
        shown = (await client.get(f"/api/sessions/{session_id}")).json()
    timeline: list[dict[str, Any]] = shown["timeline"]
    return timeline


async def failures(system: System, session_id: str) -> set[tuple[str, str]]:
    entries = [e for e in await happened(system, session_id) if e["name"] == "provider.failed"]
    return {(e["data"]["stage"], e["data"]["provider"]) for e in entries}


async def listens(call: Call) -> None:
    await call.agent_joins()
    await call.caller.wait_for_agent_state("listening", ANSWER_S)


async def asks(call: Call, question: str, answer: str) -> None:
    asked = time.monotonic()
    await call.caller.type(question)
    await call.caller.wait_for_line(
        "agent", lambda line: line.first_at >= asked and answer in line.text, ANSWER_S
    )


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "fail", "status": 503},
        {"kind": "slow", "delay_s": 8},
        {"kind": "stall", "after_chunks": 0},
        {"kind": "close"},
    ],
    ids=lambda how: how["kind"],
)
async def test_another_model_answers(system: System, how: dict[str, Any]) -> None:
    """The language model fails, is slow, stalls or hangs up: the next one answers in its place."""
    async with system.service() as service, Call(service, config={"agent": "secured"}) as call:
        await listens(call)
        await fault(system, service="groq", operation="chat", match=MAIN_MODEL, for_s=60, **how)
        await asks(call, "What is two plus three?", "5")
        assert ("llm", "groq") in await failures(system, call.session_id)
        await call.end()
    asked = [str(each) for each in await system.vendor_requests("groq")]
    assert SPARE_MODEL in asked[-1]
    assert MAIN_MODEL not in asked[-1]


async def test_another_model_says_the_rest(system: System) -> None:
    """It breaks off in mid-answer, and so does each that follows: the caller hears it all, once."""
    async with system.service() as service, Call(service, config={"agent": "secured"}) as call:
        await listens(call)
        for kind, sentence in (
            ("stall", "The train leaves at nine."),
            ("close", "It stops in every town."),
            ("fail", "Please be there in time."),
        ):
            order = {"service": "groq", "operation": "chat", "match": sentence, "count": 1}
            await fault(system, kind=kind, after_chunks=4, **order)
            asked = time.monotonic()
            await call.caller.type(f"Say {sentence}")
            reply = await call.caller.hears_reply(asked, timeout_s=ANSWER_S)
            assert reply.text.split() == sentence.split()
            chats = await system.vendor_requests("groq", "chat")
            half = [chat for chat in chats if sentence in str(chat)][-1]["messages"][-2]
            assert half["role"] == "assistant"
            assert sentence.startswith(half["content"])
        await call.end()


@pytest.mark.parametrize(
    "how",
    [
        {"kind": "fail", "status": 503},
        {"kind": "slow", "delay_s": 8, "operation": "context"},
        {"kind": "close", "operation": "context", "after_chunks": 1},
    ],
    ids=lambda how: how["kind"],
)
async def test_another_voice_speaks(system: System, how: dict[str, Any]) -> None:
    """The voice's vendor refuses, is slow or hangs up in the middle: the next voice says it."""
    async with system.service() as service, Call(service, config={"agent": "secured"}) as call:
        await listens(call)
        await fault(system, service="inworld", match=MAIN_VOICE, for_s=60, **how)
        asked = time.monotonic()
        await asks(call, "What is two plus three?", "5")
        await call.caller.wait_for_speech(ANSWER_S, since=asked)
        assert ("tts", "inworld") in await failures(system, call.session_id)
        await call.end()


async def test_another_recognizer_hears(system: System) -> None:
    """The recognizer does not take the call: the next one understands the caller."""
    order = {"service": "assemblyai", "operation": "connect", "match": MAIN_KEYTERM}
    await fault(system, kind="fail", status=503, for_s=60, **order)
    async with system.service() as service, Call(service, config={"agent": "secured"}) as call:
        await listens(call)
        turn = await asks_aloud(call, THE_TIME)
        assert turn.reply.text.startswith("It is ")
        assert ("stt", "assemblyai") in await failures(system, call.session_id)
        await call.end()


LONG = (
    "The night train leaves from the north station at nine. It stops in every little town along "
    "the coast. Please be there in time, and do not forget your ticket, your coat and your dog."
)


def longest_silence(call: Call, since: float, until: float) -> float:
    """The longest time between `since` and `until` in which the caller heard nothing."""
    heard = [sound for sound in call.caller.sounds if sound.ended > since]
    edges = [since, *(at for each in heard for at in (each.started, each.ended)), until]
    return max(b - a for a, b in zip(edges[::2], edges[1::2], strict=True))


async def test_another_voice_finishes_the_sentence(system: System) -> None:
    """A voice falls silent in the middle: the next one says the rest; the first one comes back.

    The caller hears no long silence, and the transcript holds the whole answer once.
    """
    async with system.service() as service, Call(service, config={"agent": "secured"}) as call:
        await listens(call)
        order = {"service": "inworld", "operation": "context", "match": MAIN_VOICE}
        await fault(system, kind="stall", after_chunks=6, count=1, **order)
        asked = time.monotonic()
        await call.caller.type(f"Say {LONG}")
        reply = await call.caller.hears_reply(asked, timeout_s=ANSWER_S)
        assert reply.text.split() == LONG.split()
        assert longest_silence(call, reply.started, reply.ended) < scaled(ATTEMPT_S + 1)
        assert reply.ended - reply.started > 8
        await recovers(system, call, "tts")
        assert await kinds(system, call, "tts") == ["SilentVendorError"]
        await call.end()


async def test_the_transcript_ends_where_the_agent_was_interrupted(system: System) -> None:
    """What is kept of an answer is what the caller heard: its beginning, to the word."""
    async with system.service() as service, Call(service, config={"agent": "alone"}) as call:
        await listens(call)
        asked = time.monotonic()
        await call.caller.type(f"Say {LONG}")
        first = await call.caller.wait_for_speech(ANSWER_S, since=asked)
        await call.caller.wait_for_line(
            "agent", lambda line: line.first_at >= asked and "stops in" in line.text, ANSWER_S
        )
        spoken = await call.caller.say(await speak(THE_TIME.text))
        stop_s = await call.caller.wait_for_silence(spoken.started, ANSWER_S, quiet_s=0.7)
        assert stop_s < scaled(1.5)
        reply = await call.caller.hears_reply(spoken, timeout_s=ANSWER_S)
        assert reply.text
        assert reply.text not in LONG
        async with system.http() as client:
            shown = await client.get(f"/api/sessions/{call.session_id}/transcript")
        (kept,) = [item for item in shown.json()["items"] if item["text"].startswith("The night")]
        assert kept["interrupted"]
        assert LONG.startswith(kept["text"])
        assert kept["text"] != LONG
        heard_s = spoken.started + stop_s - first.started
        assert abs(len(kept["text"]) - heard_s * CHARS_PER_S) < 25
        await call.end()


@pytest.mark.parametrize(
    ("how", "silent"),
    [
        ({"kind": "stall"}, True),
        ({"kind": "slow", "delay_s": 8}, True),
        ({"kind": "close", "after_chunks": 1}, False),
    ],
    ids=["stall", "slow", "close"],
)
async def test_a_deaf_recognizer_is_found_out(
    system: System, how: dict[str, Any], *, silent: bool
) -> None:
    """Connected and silent, late, or gone: what was said is answered all the same, by the next."""
    async with system.service() as service, Call(service, config={"agent": "secured"}) as call:
        await listens(call)
        await fault(system, service="assemblyai", operation="turn", count=1, **how)
        turn = await asks_aloud(call, THE_TIME)
        assert turn.reply.text.startswith("It is ")
        assert call.turns[0].reply.latency_s < scaled(8)
        told = set(await kinds(system, call, "stt"))
        assert told
        assert (told == {"SilentVendorError"}) is silent
        await call.end()


async def kinds(system: System, call: Call, stage: str) -> list[str]:
    entries = [e for e in await happened(system, call.session_id) if e["name"] == "provider.failed"]
    return [e["data"]["kind"] for e in entries if e["data"]["stage"] == stage]


async def recovers(system: System, call: Call, stage: str) -> None:
    async with asyncio.timeout(ANSWER_S):
        while not any(  # noqa: ASYNC110 - nothing tells
            entry["name"] == "provider.recovered" and entry["data"]["stage"] == stage
            for entry in await happened(system, call.session_id)
        ):
            await asyncio.sleep(0.2)


async def test_nobody_sits_in_silence_when_speech_fails(system: System) -> None:
    """The only voice stops in the middle, the only recognizer is deaf: the caller is told of both.

    Neither silence is longer than `dead_air.after_s`, but for the rest of the sentence before it.
    """
    async with system.service() as service, Call(service, config={"agent": "alone"}) as call:
        await listens(call)
        order = {"service": "inworld", "operation": "context", "after_chunks": 4, "for_s": 60}
        await fault(system, kind="stall", **order)
        asked = time.monotonic()
        await call.caller.type(f"Say {LONG}")
        assert await apologizes(system, call, asked) < scaled(DEAD_AIR_S + GRACE_S)
        await call.end()
    async with system.service() as service, Call(service, config={"agent": "alone"}) as call:
        await listens(call)
        await fault(system, kind="stall", service="assemblyai", operation="turn", for_s=60)
        spoken = await call.caller.say(await speak("What time is it, if I may ask?"))
        assert await apologizes(system, call, spoken.ended) < scaled(DEAD_AIR_S + GRACE_S)
        await call.end()


async def test_half_an_answer_is_not_the_end_of_it(system: System) -> None:
    """The only model stalls in mid-answer: the apology comes where the words end, then the end."""
    async with system.service() as service, Call(service, config={"agent": "alone"}) as call:
        await listens(call)
        await fault(
            system, kind="stall", service="groq", operation="chat", after_chunks=15, for_s=60
        )
        asked = time.monotonic()
        await call.caller.type(f"Say {LONG}")
        await call.caller.wait_for_speech(ANSWER_S, since=asked)
        assert await apologizes(system, call, asked) < scaled(DEAD_AIR_S + GRACE_S)
        assert await end_reason(call) == "no_answer"


@pytest.mark.parametrize(
    ("how", "times"),
    [({"kind": "fail", "operation": "connect"}, 1), ({"kind": "stall", "operation": "turn"}, 3)],
    ids=["refuses", "silent"],
)
async def test_nobody_talks_to_the_deaf_for_ever(
    system: System, how: dict[str, Any], times: int
) -> None:
    """The only recognizer takes no call, or hears nothing: a short word is apologized for too.

    One such word may be a cough where the vendor is connected; the same again is not. In the end
    the session says that there was no answer.
    """
    await fault(system, service="assemblyai", for_s=60, **how)
    hello = await speak("Hello?")
    pause = np.zeros(SAMPLE_RATE_HZ, np.int16)
    words = replace(hello, samples=np.concatenate([hello.samples, pause] * times))
    async with system.service() as service, Call(service, config={"agent": "alone"}) as call:
        await listens(call)
        spoken = await call.caller.say(words)
        assert await apologizes(system, call, spoken.ended) < scaled(DEAD_AIR_S + GRACE_S)
        assert await end_reason(call) == "no_answer"


async def test_a_greeting_that_does_not_come_is_apologized_for(system: System) -> None:
    """Words for one caller, which nobody made ahead, of a voice that is slow: no long silence."""
    order = {"service": "inworld", "operation": "context", "for_s": 60}
    await fault(system, kind="slow", delay_s=8, **order)
    config = {"agent": "alone", "greeting": "Good morning, Mary."}
    async with system.service() as service, Call(service, config=config) as call:
        await call.agent_joins()
        joined = time.monotonic()
        assert await apologizes(system, call, joined) < scaled(DEAD_AIR_S + GRACE_S)
        await call.end()


async def end_reason(call: Call) -> str | None:
    """Why the session ended, once it has."""
    async with asyncio.timeout(ANSWER_S):
        while (await call.session()).status != "ended":  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)
    return (await call.session()).reason


async def test_who_only_writes_is_told_too(system: System) -> None:
    """In writing: the apology is a line of its own, and the session ends for the same reasons."""
    async with system.service() as service:
        for after_chunks, question in ((0, "What is two plus three?"), (4, f"Say {LONG}")):
            async with Call(service, config={"agent": "writer"}) as call:
                await call.agent_joins()
                order = {"operation": "chat", "match": question, "for_s": 60}
                await fault(
                    system, kind="stall", service="groq", after_chunks=after_chunks, **order
                )
                await asks(call, question, APOLOGY)
                if after_chunks:
                    assert await end_reason(call) == "no_answer"
        async with Call(service, config={"agent": "caring-writer"}) as call:
            await call.agent_joins()
            await call.caller.wait_for_line("agent", lambda line: PROMPT in line.text, ANSWER_S)
            assert await end_reason(call) == "user_away"


async def apologizes(system: System, call: Call, since: float) -> float:
    """Waits for the apology; the longest silence that the caller heard before it."""
    async with asyncio.timeout(ANSWER_S):
        while True:
            entries = await happened(system, call.session_id)
            if any(e["name"] == "dead_air" and e["data"]["apologized"] for e in entries):
                break
            await asyncio.sleep(0.05)
    told = time.monotonic()
    heard = await call.caller.wait_for_speech(ANSWER_S, since=told - 0.5)
    return longest_silence(call, since, heard.started)


async def test_words_that_come_with_the_agent_are_not_lost(system: System) -> None:
    """A message typed the moment the agent has joined is answered, though it hears nobody yet."""
    async with system.service() as service, Call(service, config={"agent": "slow"}) as call:
        await has_joined(system, call.session_id)
        await asks(call, "What is two plus three?", "5")
        await call.end()


async def has_joined(system: System, session_id: str) -> None:
    """Wait until the agent is in the room, whether or not LiveKit has told the others."""
    async with asyncio.timeout(ANSWER_S):
        while not any(  # noqa: ASYNC110 - nothing tells
            e["name"] == "agent.joined" for e in await happened(system, session_id)
        ):
            await asyncio.sleep(0.02)


async def test_sound_from_before_the_agent_is_not_lost(system: System) -> None:
    """A client's pre-connect buffer, as LiveKit's own clients send it, is heard as the first words.

    The caller spoke before the agent was there: the client recorded it, publishes its microphone
    with that mark, and sends the recording when it sees the agent.
    """
    speech = await speak("What time is it?")
    session_id, user_id = f"early-{time.monotonic_ns()}", "early-bird"
    transcript = Transcript(Bell())
    reading: set[asyncio.Task[None]] = set()

    def on_text(reader: rtc.TextStreamReader, identity: str) -> None:
        who: Who = "caller" if identity == user_id else "agent"
        reading.add(asyncio.create_task(transcript.read(reader, who=who, identity=identity)))

    async with system.service() as service:
        grant = await service.token(session_id, user_id)
        await service.start(
            session_id, user_id, config={"agent": "slow"}, session_key=grant.session_key
        )
        await has_joined(system, session_id)
        room = rtc.Room()
        room.register_text_stream_handler(TOPIC, on_text)
        await room.connect(grant.url, grant.token)
        (agent,) = room.remote_participants
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        microphone = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, preconnect_buffer=True
        )
        publication = await room.local_participant.publish_track(track, microphone)
        about = {
            "trackId": publication.sid,
            "sampleRate": str(SAMPLE_RATE_HZ),
            "channels": "1",
        }
        writer = await room.local_participant.stream_bytes(
            "preconnect-buffer",
            topic="lk.agent.pre-connect-audio-buffer",
            mime_type="audio/pcm",
            attributes=about,
            destination_identities=[agent],
        )
        await writer.write(speech.samples.tobytes())
        await writer.aclose()
        quiet = rtc.AudioFrame.create(SAMPLE_RATE_HZ, 1, SAMPLE_RATE_HZ // 50)
        async with asyncio.timeout(ANSWER_S):
            while not any(
                line.who == "agent" and line.text.startswith("It is ") for line in transcript.lines
            ):
                await source.capture_frame(quiet)
        heard = [line.text for line in transcript.lines if line.who == "caller"]
        assert heard == ["What time is it?"]
        await service.end(session_id, session_key=grant.session_key)
        await room.disconnect()
        await asyncio.gather(*reading, return_exceptions=True)
        await source.aclose()


async def test_a_waiting_caller_is_told_and_then_let_go(system: System) -> None:
    """No answer comes: the apology is heard though no vendor works, and in the end it says why.

    It was made before anybody called. Of a voice that never worked there is none: it is read.
    """
    await fault(system, kind="stall", service="groq", operation="chat", for_s=60)
    await fault(system, kind="fail", service="inworld", for_s=60)

    async def waits(config: dict[str, str], *, hears: bool) -> None:
        async with system.service() as service, Call(service, config=config) as call:
            await listens(call)
            asked = time.monotonic()
            await call.caller.type("What is two plus three?")
            if hears:
                heard = await call.caller.wait_for_speech(ANSWER_S, since=asked)
                assert heard.started - asked < scaled(DEAD_AIR_S + GRACE_S)
            else:
                await call.caller.wait_for_line("agent", lambda x: x.text == APOLOGY, ANSWER_S)
                assert not call.caller.sounds
            assert await end_reason(call) == "no_answer"
            timeline = await happened(system, call.session_id)
            (entry,) = [e for e in timeline if e["name"] == "dead_air"]
            assert entry["data"]["apologized"]

    await asyncio.gather(
        waits({"agent": "alone"}, hears=True),
        waits({"agent": "alone", "voice": "inworld-male-2"}, hears=False),
    )


async def sentence_is_made(system: System, agent: str, text: str | None) -> None:
    """Wait until the sentence lies in the workers' cache."""
    environ = system.environ
    spec = Catalog.load(environ["ASSISTANT_AGENTS_FILE"]).agents[agent]
    folder = Path(environ["ASSISTANT_SPEECH_CACHE"])
    cache = SpeechCache(folder, endpoint=environ["ASSISTANT_INWORLD_URL"])
    async with asyncio.timeout(ANSWER_S):
        while cache.find(spec, text or "") is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)


async def test_a_greeting_is_spoken_once_for_all_callers(system: System) -> None:
    """The first caller already hears it, though the voice's vendor has been down since."""
    await fault(system, kind="fail", service="inworld", for_s=60)
    async with system.service() as service, Call(service, config={"agent": "assistant"}) as call:
        await call.agent_joins()
        heard = await call.greeting()
        assert heard is not None
        assert heard.text == GREETING
        await call.end()


async def test_a_silent_caller_is_asked_and_then_let_go(system: System) -> None:
    """`away`: the prompt after one silence, the end with its reason after the next."""
    async with system.service() as service, Call(service, config={"agent": "caring"}) as call:
        await call.agent_joins()
        await call.caller.wait_for_line("agent", lambda line: PROMPT in line.text, ANSWER_S)
        assert await end_reason(call) == "user_away"
