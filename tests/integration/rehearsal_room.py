"""A real livekit-server and an agent made of the plain SDK, for the tests of the caller."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from livekit import api, rtc

from assistant.local_stack.livekit_build import livekit_program
from assistant.local_stack.livekit_server import (
    LiveKitKeys,
    LiveKitPorts,
    livekit_part,
    livekit_url,
    new_keys,
)
from assistant.local_stack.ports import free_port
from assistant.local_stack.supervisor import Supervisor
from assistant.rehearsal.waveform import Samples, is_audible

TOOLS = Path(__file__).parents[2] / "tools"
RATE = 48_000


def tone(duration_s: float) -> Samples:
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(round(duration_s * RATE)) / RATE)
    return wave.astype(np.int16)


@dataclass(frozen=True)
class LiveKit:
    """A running server."""

    url: str
    keys: LiveKitKeys

    def token(self, identity: str, room: str, *, agent: bool = False) -> str:
        grants = api.VideoGrants(
            room_join=True, room=room, agent=agent, can_update_own_metadata=agent
        )
        minted = api.AccessToken(self.keys.api_key, self.keys.api_secret)
        minted = minted.with_identity(identity).with_grants(grants)
        if agent:
            minted = minted.with_kind("agent")
        return minted.to_jwt()

    def api(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(
            self.url.replace("ws://", "http://"), self.keys.api_key, self.keys.api_secret
        )

    async def make_room(self, name: str) -> None:
        async with self.api() as client:
            await client.room.create_room(api.CreateRoomRequest(name=name))

    async def people(self, room: str) -> set[str]:
        async with self.api() as client:
            listed = await client.room.list_participants(api.ListParticipantsRequest(room=room))
        return {participant.identity for participant in listed.participants}

    async def delete_room(self, name: str) -> None:
        async with self.api() as client:
            await client.room.delete_room(api.DeleteRoomRequest(room=name))


async def _program() -> Path:
    named = os.environ.get("LIVEKIT_SERVER_BIN")
    if named:
        return Path(named)
    return await livekit_program(tools_dir=TOOLS, environ=os.environ, progress=print)


@asynccontextmanager
async def running_livekit(folder: Path) -> AsyncIterator[LiveKit]:
    """A server on free ports; a failure to start shows the end of its log."""
    keys = new_keys()
    http = free_port()
    ports = LiveKitPorts(http=http, udp=free_port(taken=[http]))
    part = livekit_part(
        program=await _program(),
        config_file=folder / "livekit.yaml",
        ports=ports,
        keys=keys,
        redis_port=None,
        webhook_url=None,
    )
    async with Supervisor(folder / "logs") as supervisor:
        await supervisor.start_all([part])
        yield LiveKit(livekit_url(ports), keys)


class PlainAgent:
    """An agent of the plain SDK: it speaks when told, and knows when it heard what.

    It does not use the caller's own parts, so that they can be measured against it.
    """

    def __init__(self, livekit: LiveKit, room: str, *, identity: str = "agent-test-1") -> None:
        self.identity = identity
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self._livekit = livekit
        self._room_name = room
        self._room = rtc.Room()
        # As livekit-agents publishes: 50 ms frames into a queue of 200 ms.
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=200)
        self._ear: asyncio.Task[None] | None = None
        self._loud_at: float | None = None
        self._readers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._room.on("track_subscribed", self._on_track)
        self._room.register_text_stream_handler("lk.chat", self._on_chat)
        token = self._livekit.token(self.identity, self._room_name, agent=True)
        await self._room.connect(self._livekit.url, token)
        track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        publication = await self._room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        await publication.wait_for_subscription()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks = [*self._readers, *([self._ear] if self._ear else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._room.disconnect()
        await self._source.aclose()

    async def set_state(self, state: str) -> None:
        await self._room.local_participant.set_attributes({"lk.agent.state": state})

    async def speak(self, samples: Samples) -> float:
        """Queues speech and returns when its first frame went to the encoder."""
        started = time.monotonic()
        size = RATE // 20
        for at in range(0, samples.size, size):
            frame = np.pad(samples[at : at + size], (0, max(0, at + size - samples.size)))
            await self._source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE, 1, size))
        return started

    async def speech_ended(self, quiet_s: float) -> float:
        """Waits for the caller's speech and then `quiet_s` of silence; returns its end."""
        while True:
            await asyncio.sleep(0.01)
            if self._loud_at is not None and time.monotonic() - self._loud_at >= quiet_s:
                ended, self._loud_at = self._loud_at, None
                return ended

    async def hush(self) -> float:
        """Drops what is queued; returns when."""
        self._source.clear_queue()
        return time.monotonic()

    async def transcribe(
        self, text: str, *, segment: str, final: bool, identity: str | None = None
    ) -> None:
        """Publishes a user's words as livekit-agents does: a stream for each state."""
        writer = await self._room.local_participant.stream_text(
            topic="lk.transcription",
            sender_identity=identity,
            attributes={
                "lk.segment_id": segment,
                "lk.transcription_final": "true" if final else "false",
                "lk.transcribed_track_id": "TR_test",
            },
        )
        await writer.write(text)
        await writer.aclose()

    async def narrate(self, pieces: list[str], *, segment: str) -> None:
        """Publishes its own words as livekit-agents does: pieces, final in the trailer."""
        writer = await self._room.local_participant.stream_text(
            topic="lk.transcription",
            sender_identity=self.identity,
            attributes={"lk.segment_id": segment, "lk.transcription_final": "false"},
        )
        for piece in pieces:
            await writer.write(piece)
        await writer.aclose(attributes={"lk.transcription_final": "true"})

    def _on_track(self, track: rtc.Track) -> None:
        self._ear = asyncio.create_task(self._listen(track), name="plain-agent-ear")

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                if is_audible(np.frombuffer(event.frame.data, dtype=np.int16)):
                    self._loud_at = time.monotonic()
        finally:
            await stream.aclose()

    def _on_chat(self, reader: rtc.TextStreamReader, _identity: str) -> None:
        async def read() -> None:
            await self.messages.put(await reader.read_all())

        self._readers.add(asyncio.create_task(read(), name="plain-agent-chat"))
