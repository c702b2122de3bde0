"""The speech synthesis stand-in, with the real plugin as its client."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIError, APIStatusError, tts
from livekit.plugins import inworld

from assistant.local_stack.stand_ins.pcm import Samples
from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from tests.timing import scaled

ONCE = APIConnectOptions(max_retry=0, timeout=scaled(5))
HEADERS = {"Authorization": "Basic key"}
TEXT = "Hello there, how are you today? It is ten past four in the afternoon."


@asynccontextmanager
async def client(**settings: Any) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    chosen = StandInSettings(stt_mode="scripted", **{"tts_ttfb_s": 0.0, **settings})
    async with serving(chosen) as url, aiohttp.ClientSession() as http:
        yield url, http


@asynccontextmanager
async def plugin(
    url: str, http: aiohttp.ClientSession, **options: Any
) -> AsyncIterator[inworld.TTS]:
    ws_url = url.replace("http:", "ws:") + "/"
    speaker = inworld.TTS(
        api_key="key", base_url=f"{url}/", ws_url=ws_url, http_session=http, **options
    )
    try:
        yield speaker
    finally:
        await speaker.aclose()


async def collect(stream: AsyncIterator[tts.SynthesizedAudio]) -> tuple[Samples, int, list[Any]]:
    """All audio of a stream, its rate, and its timed words."""
    pieces: list[Samples] = []
    words: list[Any] = []
    rate = 0
    async with asyncio.timeout(scaled(15)):
        async for audio in stream:
            pieces.append(np.frombuffer(audio.frame.data, np.int16))
            rate = audio.frame.sample_rate
            words += audio.frame.userdata.get("lk.timed_transcripts", [])
    return np.concatenate(pieces), rate, words


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


async def speak(speaker: inworld.TTS, text: str) -> tuple[Samples, int, list[Any]]:
    stream = speaker.stream(conn_options=ONCE)
    stream.push_text(text)
    stream.end_input()
    try:
        return await collect(stream)
    finally:
        await stream.aclose()


async def order(url: str, http: aiohttp.ClientSession, **fault: Any) -> None:
    async with http.post(f"{url}/control/faults", json={"service": "inworld", **fault}) as answer:
        assert answer.status == 201


async def requests(url: str, http: aiohttp.ClientSession, operation: str) -> list[dict[str, Any]]:
    async with http.get(f"{url}/control/requests", params={"operation": operation}) as answer:
        return [entry["content"] for entry in (await answer.json())["requests"]]


@pytest.mark.parametrize("engine", ["flite", "espeak"])
async def test_streaming(engine: str) -> None:
    """Two sentences come as audible speech of plausible length at the rate asked for, with every
    word's time, rising; with either engine.
    """
    async with (
        client(tts_engine=engine) as (url, http),
        plugin(url, http, timestamp_type="WORD", sample_rate=24_000, voice="Olivia") as speaker,
    ):
        samples, rate, words = await speak(speaker, TEXT)
        assert rate == 24_000
        seconds = len(samples) / rate
        assert 2.5 < seconds < 7
        assert loudness(samples) > 500
        assert [str(word) for word in words] == TEXT.split()
        starts = [word.start_time for word in words]
        assert starts == sorted(starts)
        assert words[-1].end_time == pytest.approx(seconds, abs=0.1)
        (created,) = await requests(url, http, "context")
        assert created["create"]["voiceId"] == "Olivia"
        assert created["create"]["audioConfig"]["sampleRateHertz"] == 24_000


async def test_first_audio_in_time() -> None:
    """The first audio waits for the set time, and no second more than that."""
    async with client(tts_ttfb_s=0.3) as (url, http), plugin(url, http) as speaker:
        began = time.monotonic()
        stream = speaker.stream(conn_options=ONCE)
        stream.push_text("Good morning to you.")
        stream.end_input()
        async for _ in stream:
            break
        assert 0.3 <= time.monotonic() - began < scaled(1.0)
        await stream.aclose()


async def test_one_shot_and_encodings() -> None:
    """`synthesize` gives the same speech over HTTP, as plain PCM and as LINEAR16; a slower
    speaking rate lasts longer.
    """
    async with client() as (url, http):
        lengths = []
        for options in ({}, {"encoding": "LINEAR16"}, {"speaking_rate": 0.7}):
            async with plugin(url, http, **options) as speaker:
                samples, rate, _ = await collect(
                    speaker.synthesize("Good morning to you.", conn_options=ONCE)
                )
                assert loudness(samples) > 500
                lengths.append(len(samples) / rate)
        assert lengths[0] == pytest.approx(lengths[1], abs=0.05)
        assert lengths[2] > lengths[0] * 1.2


async def test_voices_differ_and_unknown_ones_are_refused() -> None:
    """The list of voices has the vendor's default; two voices sound different; an unknown one is
    the vendor's error.
    """
    async with client() as (url, http), plugin(url, http) as speaker:
        listed = {voice["voiceId"] for voice in await speaker.list_voices("en")}
        assert {"Ashley", "Alex", "Hades"} <= listed
        assert await speaker.list_voices("ja") == []
        female, _, _ = await speak(speaker, "Good morning.")
        speaker.update_options(voice="Alex")
        male, _, _ = await speak(speaker, "Good morning.")
        assert not np.array_equal(female, male)
        speaker.update_options(voice="Nobody")
        with pytest.raises(APIError, match="Nobody"):
            await speak(speaker, "Good morning.")
        with pytest.raises(APIStatusError) as caught:
            await collect(speaker.synthesize("Good morning.", conn_options=ONCE))
        assert caught.value.status_code == 404


async def test_two_contexts_at_once() -> None:
    """Two streams on one connection each get their own speech."""
    async with client() as (url, http), plugin(url, http) as speaker:
        short, long = await asyncio.gather(speak(speaker, "Yes."), speak(speaker, TEXT))
        assert len(short[0]) * 2 < len(long[0])
        assert len(await requests(url, http, "connect")) == 1


async def test_cancel_stops_the_generation() -> None:
    """A stream that is closed early is cancelled on the wire; the rest is never generated."""
    async with (
        client(tts_speed=2) as (url, http),
        http.ws_connect(f"{url}/tts/v1/voice:streamBidirectional", headers=HEADERS) as ws,
    ):
        await ws.send_json({"create": {"voiceId": "Ashley", "modelId": "m"}, "contextId": "a"})
        assert "contextCreated" in (await ws.receive_json())["result"]
        await ws.send_json({"send_text": {"text": TEXT}, "contextId": "a"})
        await ws.send_json({"flush_context": {}, "contextId": "a"})
        assert "audioChunk" in (await ws.receive_json())["result"]
        await ws.send_json({"cancel_context": {}, "contextId": "a"})
        after = 0
        while "contextClosed" not in (await ws.receive_json())["result"]:
            after += 1
        assert after <= 2
        await ws.send_json({"send_text": {"text": "more"}, "contextId": "a"})
        assert (await ws.receive_json())["result"]["status"]["code"] == 5
    async with client(tts_speed=2) as (url, http), plugin(url, http) as speaker:
        stream = speaker.stream(conn_options=ONCE)
        stream.push_text(TEXT)
        stream.end_input()
        async for _ in stream:
            break
        await stream.aclose()
        # Messages are taken in order: what follows on the same connection comes after the cancel.
        await speak(speaker, "Yes.")
        assert len(await requests(url, http, "cancel")) == 1


async def test_buffering_on_the_raw_protocol() -> None:
    """Outside auto mode text waits for its flush, which is confirmed after the audio; in
    SENTENCE_BOUNDARY mode a whole sentence is spoken and the rest waits; closing speaks the rest.
    """

    async def until(ws: aiohttp.ClientWebSocketResponse, name: str) -> list[str]:
        names: list[str] = []
        while name not in names:
            result = (await ws.receive_json(timeout=scaled(5)))["result"]
            names += [key for key in result if key not in ("contextId", "status")]
        return names

    async with (
        client() as (url, http),
        http.ws_connect(f"{url}/tts/v1/voice:streamBidirectional", headers=HEADERS) as ws,
    ):
        create: dict[str, Any] = {"voiceId": "Ashley", "modelId": "m"}
        create["timestampType"] = "CHARACTER"
        await ws.send_json({"create": create, "contextId": "a"})
        await ws.send_json({"send_text": {"text": "Good "}, "contextId": "a"})
        await ws.send_json({"send_text": {"text": "day."}})
        assert await until(ws, "contextCreated") == ["contextCreated"]
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=0.3)
        await ws.send_json({"flush_context": {}, "contextId": "a"})
        names = await until(ws, "flushCompleted")
        assert names[0] == "audioChunk"
        await ws.send_json({"close_context": {}, "contextId": "a"})
        assert await until(ws, "contextClosed") == ["contextClosed"]
        create |= {"autoMode": True, "autoModeStrategy": "SENTENCE_BOUNDARY"}
        await ws.send_json({"create": create, "contextId": "b"})
        await ws.send_json({"send_text": {"text": "Good day. And"}, "contextId": "b"})
        assert (await until(ws, "flushCompleted"))[1] == "audioChunk"
        await ws.send_json({"close_context": {}, "contextId": "b"})
        assert "audioChunk" in await until(ws, "contextClosed")


async def test_wrong_messages_are_refused() -> None:
    """No key is 401; wrong JSON, encodings, doubled and too many contexts are gRPC's errors."""
    async with client() as (url, http):
        target = f"{url}/tts/v1/voice:streamBidirectional"
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(target)
        assert caught.value.status == 401
        async with http.post(f"{url}/tts/v1/voice:stream", json={}) as answer:
            assert answer.status == 401
        async with http.ws_connect(target, headers=HEADERS) as ws:
            await ws.send_str("{")
            assert (await ws.receive_json())["error"]["code"] == 3
            mp3 = {"voiceId": "Ashley", "modelId": "m", "audioConfig": {"audioEncoding": "MP3"}}
            await ws.send_json({"create": mp3, "contextId": "a"})
            assert (await ws.receive_json())["result"]["status"]["code"] == 3
            create = {"voiceId": "Ashley", "modelId": "m"}
            for context_id in "abcdeaf":
                await ws.send_json({"create": create, "contextId": context_id})
            codes = [(await ws.receive_json())["result"]["status"]["code"] for _ in range(7)]
            assert codes == [0, 0, 0, 0, 0, 6, 8]


async def test_faults() -> None:
    """Synthesis can be told to refuse, to be slow, to stall, to fail and to close."""
    async with client() as (url, http):
        async with plugin(url, http) as speaker:
            await order(url, http, kind="fail", operation="connect", status=503)
            with pytest.raises(APIConnectionError):
                await speak(speaker, "Yes.")
            await order(url, http, kind="fail", operation="context", status=429)
            with pytest.raises(APIError, match="Ordered failure"):
                await speak(speaker, "Yes.")
            await order(url, http, kind="close", operation="context", after_chunks=1)
            with pytest.raises(APIConnectionError):
                await speak(speaker, TEXT)
            await order(url, http, kind="slow", operation="context", delay_s=0.4)
            began = time.monotonic()
            await speak(speaker, "Yes.")
            assert time.monotonic() - began >= 0.4
            await order(url, http, kind="fail", operation="stream", status=500)
            with pytest.raises(APIStatusError) as caught:
                await collect(speaker.synthesize("Yes.", conn_options=ONCE))
            assert caught.value.status_code == 500
            await order(url, http, kind="fail", operation="voices", status=403)
            with pytest.raises(APIStatusError):
                await speaker.list_voices()
        await order(url, http, kind="stall", operation="stream", after_chunks=1)
        body = {"text": TEXT, "voiceId": "Ashley", "modelId": "m"}
        target = f"{url}/tts/v1/voice:stream"
        async with http.post(target, json=body, headers=HEADERS) as answer:
            assert await answer.content.readline()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(answer.content.readline(), 0.4)
