"""The agent's voice when it is told to be silent."""

import asyncio

import pytest
from livekit import rtc
from livekit.agents.voice import io

from assistant.worker.speaking.voice_track import VoiceTrack
from tests.timing import scaled

RATE = 24_000
FRAME = rtc.AudioFrame.create(RATE, 1, RATE // 20)
FRAMES = 40
WITHIN_S = scaled(5)


class Speaking:
    """Two seconds of speech on their way into a room that nobody has joined."""

    def __init__(self) -> None:
        self.voice = VoiceTrack(rtc.Room())
        self.voice.subscribed.set_result(None)
        self.source = self.voice._audio_source
        self.voice._forwarding_task = asyncio.create_task(self.voice._forward_audio())
        self.finished = asyncio.get_running_loop().create_future()
        self.voice.on("playback_finished", self.finished.set_result)

    async def speak(self) -> float:
        """Return while half a second of it waits, with how much went to the source."""
        for _ in range(FRAMES):
            await self.voice.capture_frame(FRAME)
        self.voice.flush()
        async with asyncio.timeout(WITHIN_S):
            # The source takes a frame whenever it has room, and tells nobody.
            while self.voice._source_pushed_duration < 0.5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.voice._source_pushed_duration

    async def end(self) -> io.PlaybackFinishedEvent:
        async with asyncio.timeout(WITHIN_S):
            event: io.PlaybackFinishedEvent = await self.finished
        await self.voice.aclose()
        return event


async def test_a_pause_empties_what_waits_and_counts_it_as_unheard() -> None:
    speaking = Speaking()
    pushed_s = await speaking.speak()
    unheard_s = speaking.source.queued_duration
    assert unheard_s > 0.1
    speaking.voice.pause()
    assert speaking.source.queued_duration == 0
    speaking.voice.clear_buffer()
    event = await speaking.end()
    assert event.interrupted
    assert event.playback_position == pytest.approx(pushed_s - unheard_s, abs=0.01)


async def test_an_interruption_empties_what_waits_and_counts_it_as_unheard() -> None:
    speaking = Speaking()
    pushed_s = await speaking.speak()
    unheard_s = speaking.source.queued_duration
    speaking.voice.clear_buffer()
    assert speaking.source.queued_duration == 0
    event = await speaking.end()
    assert event.interrupted
    assert event.playback_position == pytest.approx(pushed_s - unheard_s, abs=0.01)


async def test_a_false_interruption_costs_what_was_dropped_and_no_more() -> None:
    """Whoever goes on says all the rest, and the dropped part is not counted as heard."""
    speaking = Speaking()
    await speaking.speak()
    unheard_s = speaking.source.queued_duration
    speaking.voice.pause()
    speaking.voice.resume()
    event = await speaking.end()
    assert not event.interrupted
    assert event.playback_position == pytest.approx(FRAMES * FRAME.duration - unheard_s, abs=0.01)


async def test_who_is_silent_already_has_nothing_to_drop() -> None:
    speaking = Speaking()
    speaking.voice.pause()
    speaking.voice.clear_buffer()
    assert speaking.voice._source_discarded_duration == 0
    await speaking.voice.aclose()
