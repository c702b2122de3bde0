"""The agent's voice while nobody listens yet."""

import asyncio

import pytest
from livekit import rtc
from livekit.agents.voice import io

from assistant.worker.speaking.until_heard import UntilHeard

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
