"""The agent's voice while nobody listens yet, and its first words when somebody does."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from livekit.agents.voice import io

from assistant.worker.speaking.speech_cache import LEAD_S, played
from assistant.worker.speaking.until_heard import UntilHeard
from assistant.worker.speaking.voice_track import VoiceTrack

FRAME = rtc.AudioFrame.create(24000, 1, 480)


class Mouth(io.AudioOutput):
    """Counts what is heard."""

    def __init__(self) -> None:
        super().__init__(label="mouth", capabilities=io.AudioOutputCapabilities(pause=True))
        self.heard = 0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self.heard += 1

    def clear_buffer(self) -> None:
        return

    def flush(self) -> None:
        super().flush()


async def test_who_is_interrupted_before_somebody_listens_is_heard_later() -> None:
    """The interruption ends that speech alone, and not the wait of all later ones."""
    mouth, listens = Mouth(), asyncio.get_running_loop().create_future()
    voice = UntilHeard(mouth, listens)
    greeting = asyncio.create_task(voice.capture_frame(FRAME))
    await asyncio.sleep(0)
    greeting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await greeting
    answer = asyncio.create_task(voice.capture_frame(FRAME))
    await asyncio.sleep(0)
    assert (mouth.heard, voice.captured_playout_segments) == (0, 0)
    listens.set_result(None)
    await answer
    assert (mouth.heard, voice.captured_playout_segments) == (1, 1)


async def test_nobody_is_greeted_whose_track_was_taken_by_a_listener() -> None:
    """An operator may listen in before the user has come; the first word is the user's."""
    track, user_came = VoiceTrack(rtc.Room()), asyncio.Event()
    conversation = SimpleNamespace(room_io=SimpleNamespace(wait_for_ready=user_came.wait))
    heard = asyncio.create_task(track.heard(cast("Any", conversation)))
    await asyncio.sleep(0)
    track.subscribed.set_result(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not heard.done()
    user_came.set()
    await heard
    await track.aclose()


async def test_words_that_were_made_before_are_given_whole_and_hardly_ahead_of_the_ear() -> None:
    """Whatever has been heard, at most LEAD_S more was given; nothing is left out."""
    frames = [rtc.AudioFrame.create(24000, 1, 480) for _ in range(40)]
    loop, given, began_at = asyncio.get_running_loop(), list[rtc.AudioFrame](), 0.0
    async for frame in played(frames):
        began_at = began_at or loop.time()
        ahead_s = sum(each.duration for each in given) - (loop.time() - began_at)
        assert ahead_s <= LEAD_S + 1e-3
        given.append(frame)
    assert given == frames
