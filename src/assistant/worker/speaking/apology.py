"""The sentence for a caller whose answer does not come, beside the answer that holds the agent."""

import uuid
from collections.abc import Callable
from typing import Protocol

from livekit import rtc
from livekit.agents.types import (
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    TOPIC_TRANSCRIPTION,
)

TRACK_NAME = "apology"
QUEUE_MS = 200


class Apology(Protocol):
    """Told once for each wait that is too long."""

    def is_ready(self) -> bool:
        """Whether there is a sentence, and it can be told now."""
        ...

    async def tell(self, is_waited: Callable[[], bool]) -> None:
        """Have it heard or read, as long as somebody still waits."""
        ...


class FirstOf:
    """The first of these that is ready."""

    def __init__(self, *ways: Apology) -> None:
        self._ways = ways

    def is_ready(self) -> bool:
        return any(way.is_ready() for way in self._ways)

    async def tell(self, is_waited: Callable[[], bool]) -> None:
        for way in self._ways:
            if way.is_ready():
                await way.tell(is_waited)
                return


class SpokenApology:
    """`frames` gives it ready to be heard; None: it could not be made yet.

    It has a track of its own, because the answer that does not come holds the agent's.
    """

    def __init__(self, room: rtc.Room, frames: Callable[[], list[rtc.AudioFrame] | None]) -> None:
        self._room = room
        self._frames = frames
        self._source: rtc.AudioSource | None = None

    def is_ready(self) -> bool:
        return bool(self._frames())

    async def tell(self, is_waited: Callable[[], bool]) -> None:
        frames = self._frames()
        if not frames:
            return
        source = self._source or await self._publish(frames[0])
        for frame in frames:
            if not is_waited():
                source.clear_queue()
                return
            await source.capture_frame(frame)

    async def _publish(self, like: rtc.AudioFrame) -> rtc.AudioSource:
        self._source = rtc.AudioSource(like.sample_rate, like.num_channels, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, self._source)
        await self._room.local_participant.publish_track(track)
        return self._source


class WrittenApology:
    """Among the agent's words in the room, as a line of its own."""

    def __init__(self, room: rtc.Room, sentence: str | None) -> None:
        self._room = room
        self._sentence = sentence

    def is_ready(self) -> bool:
        return bool(self._sentence)

    async def tell(self, is_waited: Callable[[], bool]) -> None:
        if not self._sentence or not is_waited():
            return
        await self._room.local_participant.send_text(
            self._sentence,
            topic=TOPIC_TRANSCRIPTION,
            attributes={
                ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID: f"apology-{uuid.uuid4().hex[:12]}",
                ATTRIBUTE_TRANSCRIPTION_FINAL: "true",
            },
        )
