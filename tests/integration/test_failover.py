"""Vendors that fall silent, with the real plugins on the wire: who goes on, and with what."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, stt, tts
from livekit.plugins import assemblyai, inworld

from assistant.local_stack.stand_ins.pcm import Samples
from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.worker.hearing.recognizer_stream import RecognizersStream
from assistant.worker.hearing.recognizers import Recognizers
from assistant.worker.speaking.voices import Voices
from tests.integration.test_stand_in_assemblyai import FRAME, RATE, order, plain, spoken
from tests.timing import scaled

PATIENCE_S = 0.6
RETURN_S = 0.5
OPTIONS = APIConnectOptions(max_retry=1, timeout=scaled(5))
FINAL = stt.SpeechEventType.FINAL_TRANSCRIPT
ANSWER_S = scaled(15)


@asynccontextmanager
async def stand_ins() -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with serving(StandInSettings()) as url, aiohttp.ClientSession() as http:
        yield url, http


def recognizers(url: str, http: aiohttp.ClientSession, names: list[str]) -> Recognizers:
    """One for each name, which stands in its connection's query."""
    base_url = url.replace("http:", "ws:")
    plugins = [
        assemblyai.STT(api_key="key", base_url=base_url, http_session=http, keyterms_prompt=[name])
        for name in names
    ]
    return Recognizers(plugins, patience_s=PATIENCE_S, return_after_s=RETURN_S)


class Troubles:
    """What the vendors' own error events and the adapter's events say, in their order."""

    def __init__(self, adapter: Any, stage: str) -> None:
        self.told: list[tuple[str, int]] = []
        for place, vendor in enumerate(adapter.vendors):
            vendor.on("error", self._failed(place))
        adapter.on(f"{stage}_availability_changed", self._changed(adapter, stage))

    def _failed(self, place: int) -> Callable[[Any], None]:
        return lambda event: self.told.append((type(event.error).__name__, place))

    def _changed(self, adapter: Any, stage: str) -> Callable[[Any], None]:
        def changed(event: Any) -> None:
            place = adapter.vendors.index(getattr(event, stage))
            self.told.append(("back" if event.available else "gone", place))

        return changed


class Caller:
    """Speaks into a stream in real time, with the voice activity told as the SDK tells it."""

    def __init__(self, stream: RecognizersStream) -> None:
        self._stream = stream
        self.finals: list[str] = []
        self._heard = asyncio.Event()
        self._quiet = asyncio.create_task(self._silence())
        self._listening = asyncio.create_task(self._listen())

    async def say(self, samples: Samples) -> None:
        self._quiet.cancel()
        self._stream.voice(speaking=True)
        await self._push(samples)
        self._stream.voice(speaking=False)
        self._quiet = asyncio.create_task(self._silence())

    async def is_understood(self, count: int) -> str:
        async with asyncio.timeout(ANSWER_S):
            while len(self.finals) < count:
                self._heard.clear()
                await self._heard.wait()
        return plain(self.finals[count - 1])

    async def leave(self) -> None:
        for task in (self._quiet, self._listening):
            task.cancel()
        await asyncio.gather(self._quiet, self._listening, return_exceptions=True)
        await self._stream.aclose()

    async def _silence(self) -> None:
        while True:
            await self._push(np.zeros(FRAME, np.int16))

    async def _push(self, samples: Samples) -> None:
        due = time.monotonic()
        for start in range(0, len(samples), FRAME):
            piece = samples[start : start + FRAME]
            self._stream.push_frame(rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece)))
            due += len(piece) / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _listen(self) -> None:
        async for event in self._stream:
            if event.type is FINAL:
                self.finals.append(event.alternatives[0].text)
                self._heard.set()


async def test_a_silent_recognizer_is_replaced_and_gets_its_place_back() -> None:
    """Connected and silent: the next one hears the same words; the first returns when it hears."""
    async with stand_ins() as (url, http):
        adapter = recognizers(url, http, ["first", "second"])
        troubles = Troubles(adapter, "stt")
        caller = Caller(adapter.stream(conn_options=OPTIONS))
        await order(url, http, kind="stall", service="assemblyai", operation="turn", count=1)
        began = time.monotonic()
        question = spoken("What time is it?")
        await caller.say(question)
        assert await caller.is_understood(1) == "what time is it"
        waited_s = time.monotonic() - began - len(question) / RATE
        assert waited_s < scaled(PATIENCE_S + 2.5)
        assert troubles.told == [("SilentVendorError", 0), ("gone", 0)]
        assert adapter.active is adapter.vendors[1]
        # The first one listens beside the second after a while; an utterance later it is back.
        async with asyncio.timeout(scaled(30)):
            while ("back", 0) not in troubles.told:
                await caller.say(question)
                await asyncio.sleep(1.0)  # a pause between two sentences
        count = len(caller.finals)
        await caller.say(spoken("What time is it?"))
        await caller.is_understood(count + 1)
        assert adapter.active is adapter.vendors[0]
        assert {plain(text) for text in caller.finals} == {"what time is it"}
        await caller.leave()


async def test_a_late_recognizer_is_not_heard_twice() -> None:
    """However late the first one answers, before or after the second: each sentence comes once."""
    async with stand_ins() as (url, http):
        adapter = recognizers(url, http, ["first", "second"])
        caller = Caller(adapter.stream(conn_options=OPTIONS))
        said = []
        for delay_s in (1.4, 2.0, 2.2):
            fault = {"service": "assemblyai", "operation": "turn", "count": 1}
            await order(url, http, kind="slow", delay_s=delay_s, **fault)
            for sentence in ("What time is it?", "Tell me a joke."):
                await caller.say(spoken(sentence))
                said.append(plain(sentence))
                await caller.is_understood(len(said))
        assert [plain(text) for text in caller.finals] == said
        await caller.leave()


async def test_speech_is_not_lost_with_its_connection() -> None:
    """The only recognizer hangs up in the middle of a word: the whole sentence is understood."""
    async with stand_ins() as (url, http):
        adapter = recognizers(url, http, ["only"])
        troubles = Troubles(adapter, "stt")
        caller = Caller(adapter.stream(conn_options=OPTIONS))
        fault = {"service": "assemblyai", "operation": "turn", "count": 1}
        await order(url, http, kind="close", after_chunks=1, **fault)
        await caller.say(spoken("What time is it?"))
        assert await caller.is_understood(1) == "what time is it"
        assert troubles.told[0][1] == 0
        await caller.leave()


async def test_a_sound_without_words_is_nobodys_failure() -> None:
    """A hum, and nobody finds words in it: nobody is blamed, and the next question is heard."""
    async with stand_ins() as (url, http):
        adapter = recognizers(url, http, ["first", "second"])
        troubles = Troubles(adapter, "stt")
        caller = Caller(adapter.stream(conn_options=OPTIONS))
        hush = np.random.default_rng(1).integers(-20, 20, RATE, dtype=np.int16)
        await caller.say(hush)
        # Long enough for a second opinion, which finds nothing either.
        async with asyncio.timeout(ANSWER_S):
            while await connections(url, http) < 2:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.1)
        await caller.say(spoken("What time is it?"))
        assert await caller.is_understood(1) == "what time is it"
        assert troubles.told == []
        await caller.leave()


async def connections(url: str, http: aiohttp.ClientSession) -> int:
    query = {"service": "assemblyai", "operation": "connect"}
    async with http.get(f"{url}/control/requests", params=query) as answer:
        return len((await answer.json())["requests"])


TEXT = "The train leaves at nine. Please be there in time, and do not forget your ticket at home."


async def test_the_next_voice_says_the_rest() -> None:
    """A voice falls silent in the middle: the next one goes on at the word, and nothing is lost."""
    async with stand_ins() as (url, http):
        ws_url = url.replace("http:", "ws:") + "/"
        voices = [
            inworld.TTS(
                api_key="key",
                base_url=f"{url}/",
                ws_url=ws_url,
                http_session=http,
                voice=name,
                timestamp_type="WORD",
            )
            for name in ("Ashley", "Dennis")
        ]
        adapter = Voices(voices, patience_s=PATIENCE_S, probe_after_s=RETURN_S)
        troubles = Troubles(adapter, "tts")
        fault = {"service": "inworld", "operation": "context", "match": "Ashley"}
        await order(url, http, kind="stall", after_chunks=5, count=1, **fault)
        said, words = await say(adapter, TEXT)
        assert troubles.told[:2] == [("SilentVendorError", 0), ("gone", 0)]
        assert [plain(word) for word in words] == [plain(word) for word in TEXT.split()]
        whole, _ = await say(adapter, TEXT)
        assert 0.7 * whole < said < 1.3 * whole
        async with asyncio.timeout(scaled(15)):
            while ("back", 0) not in troubles.told:  # noqa: ASYNC110 - an event of the SDK
                await asyncio.sleep(0.05)
        await adapter.aclose()
        for voice in voices:
            await voice.aclose()


async def say(voice: tts.TTS[Any], text: str) -> tuple[float, list[str]]:
    """Seconds of audio and the words that came with times, which must not run backwards."""
    seconds, words, times = 0.0, list[str](), list[float]()
    async with asyncio.timeout(ANSWER_S), voice.stream(conn_options=OPTIONS) as stream:
        stream.push_text(text)
        stream.end_input()
        async for audio in stream:
            seconds += audio.frame.duration
            for word in audio.frame.userdata.get("lk.timed_transcripts", []):
                words.append(str(word).strip())
                times.append(float(word.end_time))
    assert times == sorted(times)
    return seconds, words


async def test_what_waits_for_words_is_starving_too() -> None:
    """The words of an answer stop coming: since when nothing is heard is known, not their fault."""
    async with stand_ins() as (url, http):
        ws_url = url.replace("http:", "ws:") + "/"
        vendor = inworld.TTS(api_key="key", base_url=f"{url}/", ws_url=ws_url, http_session=http)
        adapter = Voices([vendor], patience_s=PATIENCE_S)
        async with adapter.stream(conn_options=OPTIONS) as stream:
            # Of the last sentence nobody knows yet how it goes on.
            stream.push_text(f"{TEXT} And when")
            reading = asyncio.create_task(to_the_end(stream))
            async with asyncio.timeout(ANSWER_S):
                while adapter.starving_since is None:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.05)
            stream.push_text(" will you come?")
            stream.end_input()
            await reading
        assert adapter.starving_since is None
        await adapter.aclose()
        await vendor.aclose()


async def to_the_end(stream: tts.SynthesizeStream) -> None:
    async for _ in stream:
        pass
