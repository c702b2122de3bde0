"""The conversation's ear and mouth, whatever device is at the other end.

A device calls `Line.exchange` every 10 ms, from any thread: what it heard goes in, what it shall
play comes out. So the device's clock is the only one.
"""

import asyncio
import threading
import time

import numpy as np
from livekit import rtc
from livekit.agents.voice import io

from assistant.rehearsal.waveform import Samples

RATE_HZ = 24_000  # what rooms give an agent, and what its voice is asked for
FRAME_SAMPLES = RATE_HZ // 100
# The agent hears in real time; where its loop was held up for longer, the oldest sound goes.
MAX_UNHEARD_FRAMES = 200
# A voice is made faster than it is spoken; beyond this its maker waits.
MAX_AHEAD_SAMPLES = 30 * RATE_HZ

_BYTES = 2  # of a sample


class Ear(io.AudioInput):
    """What the user says, frame by frame."""

    def __init__(self) -> None:
        super().__init__(label="console")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue(MAX_UNHEARD_FRAMES)

    def put(self, frame: rtc.AudioFrame) -> None:
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()


class Mouth(io.AudioOutput):
    """What the agent says, until a device takes it; one utterance at a time.

    An utterance begins with its first frame, is complete at `flush`, and is over when the device
    has taken all of it, or at `clear_buffer`.
    """

    def __init__(self) -> None:
        super().__init__(
            label="console",
            capabilities=io.AudioOutputCapabilities(pause=True),
            sample_rate=RATE_HZ,
        )
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._taken = 0  # samples of this utterance that the device has
        self._is_complete = False
        self._is_cut = False
        self._is_paused = False
        self._utterance = 0
        self._has_room = asyncio.Event()
        self._is_over = asyncio.Event()
        self._is_over.set()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if self._is_complete:
            await self._is_over.wait()
        await super().capture_frame(frame)
        with self._lock:
            self._is_over.clear()
            if self._is_cut:
                return
            self._waiting += bytes(frame.data)
            is_full = len(self._waiting) > MAX_AHEAD_SAMPLES * _BYTES
        if is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def flush(self) -> None:
        super().flush()
        with self._lock:
            if self._is_over.is_set():
                return
            self._is_complete = True
            is_taken = not self._waiting
        if is_taken:
            self._end(self._utterance, interrupted=self._is_cut)

    def clear_buffer(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._has_room.set()
        if self._is_over.is_set():
            return
        self._is_cut = True
        if self._is_complete:
            self._end(self._utterance, interrupted=True)

    def pause(self) -> None:
        super().pause()
        self._is_paused = True

    def resume(self) -> None:
        super().resume()
        self._is_paused = False

    def take(self, count: int) -> Samples:
        """The next samples for the device, silence where there are none; from any thread."""
        samples = np.zeros(count, dtype=np.int16)
        with self._lock:
            if self._is_paused or not self._waiting:
                return samples
            spoken = min(count, len(self._waiting) // _BYTES)
            samples[:spoken] = np.frombuffer(self._waiting, dtype="<i2", count=spoken)
            del self._waiting[: spoken * _BYTES]
            begins, self._taken = self._taken == 0, self._taken + spoken
            ends = self._is_complete and not self._waiting
            has_room = len(self._waiting) <= MAX_AHEAD_SAMPLES * _BYTES
            utterance = self._utterance
        if begins:
            self._loop.call_soon_threadsafe(self._begin, utterance, time.time())
        if ends:
            self._loop.call_soon_threadsafe(self._end, utterance)
        if has_room:
            self._loop.call_soon_threadsafe(self._has_room.set)
        return samples

    def _begin(self, utterance: int, at: float) -> None:
        if utterance == self._utterance:
            self.on_playback_started(created_at=at)

    def _end(self, utterance: int, *, interrupted: bool = False) -> None:
        if utterance != self._utterance:
            return  # It was cut off in the same moment.
        with self._lock:
            taken, self._taken = self._taken, 0
            self._utterance += 1
            self._is_complete = self._is_cut = False
            self._is_over.set()
        self.on_playback_finished(playback_position=taken / RATE_HZ, interrupted=interrupted)


class Aside:
    """What is played beside what the agent says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Samples = np.zeros(0, dtype=np.int16)

    @property
    def is_playing(self) -> bool:
        return bool(self._waiting.size)

    def put(self, samples: Samples) -> None:
        with self._lock:
            self._waiting = np.concatenate((self._waiting, samples))

    def clear(self) -> None:
        with self._lock:
            self._waiting = self._waiting[:0]

    def over(self, played: Samples) -> Samples:
        """Both together; from any thread."""
        with self._lock:
            part, self._waiting = self._waiting[: played.size], self._waiting[played.size :]
        if not part.size:
            return played
        both = played.astype(np.int32)
        both[: part.size] += part
        loudest = np.iinfo(np.int16)
        return both.clip(loudest.min, loudest.max).astype(np.int16)


class Line:
    """Ear and mouth together; make it where the loop runs."""

    def __init__(self) -> None:
        self.aside = Aside()
        self.ear = Ear()
        self.mouth = Mouth()
        self._loop = asyncio.get_running_loop()

    def exchange(self, heard: Samples) -> Samples:
        """Give what was heard for as much to play; from any thread."""
        frame = rtc.AudioFrame(heard.astype("<i2").tobytes(), RATE_HZ, 1, heard.size)
        self._loop.call_soon_threadsafe(self.ear.put, frame)
        return self.aside.over(self.mouth.take(heard.size))
