"""The recognition stand-in, with the real plugin as its client."""

import asyncio
import io
import subprocess
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError, stt
from livekit.plugins import assemblyai

from assistant.local_stack.stand_ins.pcm import Samples, from_bytes
from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from tests.timing import scaled

Type = stt.SpeechEventType
RATE = 16_000
FRAME = RATE // 50


@dataclass
class Heard:
    """What the plugin said of one stream; `ended_at` is when the speech in it had been sent."""

    events: list[tuple[float, stt.SpeechEvent]] = field(default_factory=list)
    ended_at: float = 0.0

    @property
    def types(self) -> list[Type]:
        return [event.type for _, event in self.events]

    def texts(self, kind: Type) -> list[str]:
        return [event.alternatives[0].text for _, event in self.events if event.type is kind]


def spoken(text: str, voice: str = "slt") -> Samples:
    """Real speech with a little silence before and after it."""
    made = subprocess.run(
        ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"],
        check=True,
        capture_output=True,
        timeout=scaled(10),
    )
    with wave.open(io.BytesIO(made.stdout)) as file:
        samples = from_bytes(file.readframes(file.getnframes()))
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    silence = np.zeros(RATE // 4, np.int16)
    return np.concatenate((silence, samples[loud[0] : loud[-1]], silence, silence))


async def feed(stream: stt.SpeechStream, samples: Samples, heard: Heard) -> None:
    """Push the audio at the pace of real time, frames of 20 ms."""
    began = time.monotonic()
    for start in range(0, len(samples), FRAME):
        piece = samples[start : start + FRAME]
        stream.push_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece)))
        due = began + (start + len(piece)) / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    heard.ended_at = began + (len(samples) - RATE // 2) / RATE


async def listen(stream: stt.SpeechStream, samples: Samples) -> Heard:
    """Feed a stream and collect its events until its first turn has ended."""
    heard = Heard()
    async with asyncio.timeout(scaled(20)):
        task = asyncio.create_task(feed(stream, samples, heard))
        async for event in stream:
            heard.events.append((time.monotonic(), event))
            if event.type is Type.END_OF_SPEECH:
                break
        await task
    await stream.aclose()
    return heard


@asynccontextmanager
async def client(**settings: Any) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with serving(StandInSettings(**settings)) as url, aiohttp.ClientSession() as http:
        yield url, http


def plugin(url: str, http: aiohttp.ClientSession, **options: Any) -> assemblyai.STT:
    base_url = url.replace("http:", "ws:")
    return assemblyai.STT(api_key="key", base_url=base_url, http_session=http, **options)


async def requests(url: str, http: aiohttp.ClientSession, operation: str) -> list[dict[str, Any]]:
    async with http.get(f"{url}/control/requests", params={"operation": operation}) as answer:
        return [entry["content"] for entry in (await answer.json())["requests"]]


async def order(url: str, http: aiohttp.ClientSession, **fault: Any) -> None:
    async with http.post(f"{url}/control/faults", json=fault) as answer:
        assert answer.status == 201


async def drain(stream: stt.SpeechStream) -> None:
    async for _ in stream:
        continue


def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalpha() or c == " ")


async def test_recognises_real_speech() -> None:
    """Real speech in real time comes back right: start, interims, the final soon after the end."""
    async with client() as (url, http):
        recogniser = plugin(url, http, keyterms_prompt=["LiveKit"])
        heard = await listen(recogniser.stream(), spoken("What time is it?"))
        assert heard.types[0] is Type.START_OF_SPEECH
        assert heard.types[-1] is Type.END_OF_SPEECH
        assert heard.types.index(Type.INTERIM_TRANSCRIPT) < heard.types.index(Type.FINAL_TRANSCRIPT)
        assert heard.texts(Type.FINAL_TRANSCRIPT) == ["What time is it?"]
        assert len(heard.texts(Type.INTERIM_TRANSCRIPT)) >= 2
        assert heard.events[-1][0] - heard.ended_at < scaled(1.0)
        final = next(e for _, e in heard.events if e.type is Type.FINAL_TRANSCRIPT)
        words = final.alternatives[0].words
        assert words is not None
        assert [plain(word) for word in words] == ["what", "time", "is", "it"]
        starts = [float(word.start_time or 0) for word in words]
        assert starts == sorted(starts)
        (query,) = await requests(url, http, "connect")
        assert query["sample_rate"] == "16000"
        assert query["keyterms_prompt"] == '["LiveKit"]'


async def test_two_speakers_at_once() -> None:
    """Two streams are recognised at the same time, each with its own words."""
    async with client() as (url, http):
        recogniser = plugin(url, http)
        first, second = await asyncio.gather(
            listen(recogniser.stream(), spoken("Can you tell me the weather in London?", "rms")),
            listen(recogniser.stream(), spoken("What time is it?")),
        )
        assert "weather in london" in plain(first.texts(Type.FINAL_TRANSCRIPT)[0])
        assert plain(second.texts(Type.FINAL_TRANSCRIPT)[0]) == "what time is it"


async def test_recognition_is_done_by_other_processes() -> None:
    """The work of recognition is done outside the server's process; when the process that holds
    the model is killed, the stream under way ends with an error and the next one works.
    """
    before = set(psutil.Process().children())
    async with client() as (url, http):
        (keeper,) = set(psutil.Process().children()) - before
        stream = plugin(url, http).stream()
        heard = await listen(stream, spoken("What time is it?"))
        assert heard.texts(Type.FINAL_TRANSCRIPT) == ["What time is it?"]
        async with http.ws_connect(f"{url}/v3/ws", headers={"Authorization": "key"}) as ws:
            assert (await ws.receive_json())["type"] == "Begin"
            await ws.send_bytes(spoken("What time is it?").tobytes())
            assert (await ws.receive_json())["type"] == "SpeechStarted"
            (decoder,) = keeper.children()
            assert sum(decoder.cpu_times()[:2]) > 0
            decoder.kill()
            keeper.kill()
            await ws.send_bytes(spoken("What time is it?").tobytes())
            async with asyncio.timeout(scaled(5)):
                messages = [message.json() async for message in ws]
            assert messages[-1]["type"] == "Error"
        again = await listen(plugin(url, http).stream(), spoken("What time is it?"))
        assert again.texts(Type.FINAL_TRANSCRIPT) == ["What time is it?"]


async def test_scripted_mode_with_turn_silence() -> None:
    """In scripted mode any sound is heard as the script's lines in turn; pauses split turns."""
    async with client(stt_mode="scripted", stt_delay_s=0) as (url, http):
        stream = plugin(url, http, min_turn_silence=150, max_turn_silence=150).stream()
        sound = (np.sin(np.arange(RATE) * 0.2) * 8000).astype(np.int16)
        gap = np.zeros(RATE // 2, np.int16)
        task = asyncio.create_task(
            feed(stream, np.concatenate((gap, sound, gap, sound, gap, gap)), Heard())
        )
        finals: list[str] = []
        async with asyncio.timeout(scaled(15)):
            async for event in stream:
                if event.type is Type.FINAL_TRANSCRIPT:
                    finals.append(event.alternatives[0].text)
                if len(finals) == 2:
                    break
            await task
        await stream.aclose()
        assert finals == ["What time is it?", "Tell me a joke."]


async def test_force_endpoint_and_configuration() -> None:
    """ForceEndpoint ends the turn at once; UpdateConfiguration reaches the wire."""
    async with client(stt_mode="scripted", stt_delay_s=0) as (url, http):
        recogniser = plugin(url, http, min_turn_silence=30_000, max_turn_silence=30_000)
        stream = recogniser.stream()
        recogniser.update_options(keyterms_prompt=["Valkey"])
        sound = (np.sin(np.arange(RATE) * 0.2) * 8000).astype(np.int16)
        task = asyncio.create_task(feed(stream, sound, Heard()))
        async with asyncio.timeout(scaled(10)):
            async for event in stream:
                if event.type is Type.INTERIM_TRANSCRIPT:
                    stream.force_endpoint()
                if event.type is Type.FINAL_TRANSCRIPT:
                    assert event.alternatives[0].text == "What time is it?"
                    break
            await task
        await stream.aclose()
        configured = await requests(url, http, "configure")
        assert configured == [{"type": "UpdateConfiguration", "keyterms_prompt": ["Valkey"]}]


async def test_raw_protocol_mulaw_and_termination() -> None:
    """Begin comes first; mu-law at 8 kHz works; unknown messages get an error; Terminate ends
    the turn under way, answers with the durations and closes with 1000.
    """
    async with client(stt_mode="scripted", stt_delay_s=0) as (url, http):
        headers = {"Authorization": "key"}
        query = "sample_rate=8000&encoding=pcm_mulaw&format_turns=true"
        async with http.ws_connect(f"{url}/v3/ws?{query}", headers=headers) as ws:
            begin = await ws.receive_json()
            assert begin["type"] == "Begin"
            assert begin["expires_at"] > time.time()
            await ws.send_json({"type": "Dance"})
            assert (await ws.receive_json())["type"] == "Error"
            for _ in range(5):
                await ws.send_bytes(bytes([0x80, 0x00] * 400))
            await ws.send_json({"type": "Terminate"})
            messages = [message.json() async for message in ws]
            assert [message["type"] for message in messages][-3:] == ["Turn", "Turn", "Termination"]
            plain_turn, formatted = messages[-3], messages[-2]
            assert not plain_turn["turn_is_formatted"]
            assert formatted["turn_is_formatted"]
            assert messages[-1]["audio_duration_seconds"] == 0.5
            assert ws.close_code == 1000


async def test_silent_line_ends_the_turn() -> None:
    """A client that stops sending in mid-speech, as a muted one does, gets its final turn."""
    async with (
        client(stt_mode="scripted", stt_delay_s=0) as (url, http),
        http.ws_connect(f"{url}/v3/ws", headers={"Authorization": "key"}) as ws,
    ):
        await ws.send_bytes((np.sin(np.arange(RATE) * 0.2) * 8000).astype(np.int16).tobytes())
        async with asyncio.timeout(scaled(10)):
            while not (await ws.receive_json()).get("end_of_turn"):
                continue


async def test_missing_key_and_bad_query_are_refused() -> None:
    """Without a key the upgrade is refused with 401, with a senseless query with 400."""
    async with client(stt_mode="scripted") as (url, http):
        for target, headers, status in (
            ("/v3/ws", {}, 401),
            ("/v3/ws?sample_rate=5", {"Authorization": "key"}, 400),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(url + target, headers=headers)
            assert caught.value.status == status


async def test_faults() -> None:
    """Recognition can be told to refuse, to be slow, to stall, to fail and to close."""
    sound = (np.sin(np.arange(RATE) * 0.2) * 8000).astype(np.int16)
    audio = np.concatenate((sound, np.zeros(RATE // 2, np.int16))).tobytes()
    headers = {"Authorization": "key"}
    async with client(stt_mode="scripted", stt_delay_s=0) as (url, http):
        await order(url, http, kind="fail", service="assemblyai", operation="connect", status=503)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(f"{url}/v3/ws", headers=headers)
        assert caught.value.status == 503

        await order(url, http, kind="slow", service="assemblyai", operation="turn", delay_s=0.4)
        async with http.ws_connect(f"{url}/v3/ws", headers=headers) as ws:
            await ws.receive_json()
            before = time.monotonic()
            await ws.send_bytes(audio)
            await ws.receive_json()
            assert time.monotonic() - before >= 0.4

        await order(url, http, kind="stall", service="assemblyai", operation="turn")
        async with http.ws_connect(f"{url}/v3/ws", headers=headers) as ws:
            await ws.receive_json()
            await ws.send_bytes(audio)
            with pytest.raises(TimeoutError):
                await ws.receive(timeout=0.5)

        await order(url, http, kind="fail", service="assemblyai", operation="turn")
        async with http.ws_connect(f"{url}/v3/ws", headers=headers) as ws:
            await ws.receive_json()
            await ws.send_bytes(audio)
            assert (await ws.receive_json())["type"] == "Error"
            assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE

        await order(url, http, kind="close", service="assemblyai", operation="turn")
        stream = plugin(url, http).stream(
            conn_options=APIConnectOptions(max_retry=0, timeout=scaled(5))
        )
        stream.push_frame(rtc.AudioFrame(audio, RATE, 1, len(audio) // 2))
        with pytest.raises(APIStatusError):
            await drain(stream)
        await stream.aclose()
