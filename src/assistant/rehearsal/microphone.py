"""A microphone that a program speaks into, at the pace of real time."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from livekit import rtc

from assistant.rehearsal.errors import SpeechUnavailableError
from assistant.rehearsal.speech import Speech
from assistant.rehearsal.waveform import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

# No queue inside the SDK: a frame goes to WebRTC's encoder in the call that captures it, so
# that the time of the call is the time at which a real microphone would have delivered it.
# Source: the native source takes 10 ms frames directly when its queue is 0.
SDK_QUEUE_MS = 0
# Late by more than this, silence is left out to be on time again; speech never is.
MAX_LAG_S = 0.05

_FRAME_BYTES = FRAME_SAMPLES * 2
_SILENCE = bytes(_FRAME_BYTES)


@dataclass(frozen=True)
class Spoken:
    """What a microphone said: when its first and behind its last audible sample were captured.

    Both are readings of `time.monotonic()`, to 10 ms. `max_lag_s` is how late the latest frame
    was: a figure taken while this is large says more about this machine than about the agent.
    """

    speech: Speech
    started: float
    ended: float
    max_lag_s: float


class _Utterance:
    """A speech on its way out, frame by frame."""

    def __init__(self, speech: Speech, done: asyncio.Future[Spoken]) -> None:
        audible = speech.audible_s()
        if audible is None:
            raise SpeechUnavailableError(reason="it is silent", remedy="say words")
        self.done = done
        self._speech = speech
        self._begins_s, self._ends_s = audible
        self._bytes = speech.samples.tobytes()
        self._position = 0
        self._started: float | None = None
        self._ended: float | None = None
        self._max_lag_s = 0.0

    def next_frame(self) -> bytes:
        frame = self._bytes[self._position : self._position + _FRAME_BYTES]
        return frame.ljust(_FRAME_BYTES, b"\0")

    def sent(self, at: float, lag_s: float) -> bool:
        """Records that the next frame was captured at `at`; True when the speech is all out."""
        offset_s = self._position / 2 / SAMPLE_RATE_HZ
        self._position += _FRAME_BYTES
        self._max_lag_s = max(self._max_lag_s, lag_s)
        # A frame is delivered when its last sample has been captured.
        if self._started is None and offset_s + FRAME_S > self._begins_s:
            self._started = at - FRAME_S
        if self._ended is None and offset_s + FRAME_S >= self._ends_s:
            self._ended = at - FRAME_S + (self._ends_s - offset_s)
        if self._position < len(self._bytes):
            return False
        if not self.done.done() and self._started is not None and self._ended is not None:
            self.done.set_result(Spoken(self._speech, self._started, self._ended, self._max_lag_s))
        return True


class Microphone:
    """Sends silence until told to speak, so that the other side's VAD hears speech end."""

    def __init__(self) -> None:
        self.source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms=SDK_QUEUE_MS)
        self._utterances: deque[_Utterance] = deque()

    async def say(self, speech: Speech) -> Spoken:
        """Speaks after whatever is being said already; cancelled, it falls silent at once."""
        done: asyncio.Future[Spoken] = asyncio.get_running_loop().create_future()
        utterance = _Utterance(speech, done)
        self._utterances.append(utterance)
        try:
            return await done
        finally:
            if utterance in self._utterances:
                self._utterances.remove(utterance)

    async def run(self) -> None:
        """Captures a frame every 10 ms until cancelled."""
        due = time.monotonic()
        while True:
            utterance = self._utterances[0] if self._utterances else None
            data = utterance.next_frame() if utterance else _SILENCE
            at = time.monotonic()
            await self.source.capture_frame(rtc.AudioFrame(data, SAMPLE_RATE_HZ, 1, FRAME_SAMPLES))
            if utterance and utterance.sent(at, at - due) and utterance in self._utterances:
                self._utterances.remove(utterance)
            due += FRAME_S
            if not self._utterances and time.monotonic() - due > MAX_LAG_S:
                due = time.monotonic()
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
