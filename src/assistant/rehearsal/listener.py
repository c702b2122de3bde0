"""An ear in the room: what was heard from the agent, and when."""

import time

import numpy as np
from livekit import rtc

from assistant.rehearsal.bell import Bell
from assistant.rehearsal.waveform import (
    FRAME_S,
    SAMPLE_RATE_HZ,
    Frame,
    Samples,
    Sound,
    SoundTracker,
    mix,
)

# Frames that may wait for the event loop, 10 s; beyond it the oldest are lost.
QUEUE_FRAMES = 1000
# What is kept of a track, a quarter of an hour (86 MB); later frames are still measured.
MAX_KEPT_FRAMES = 90_000


class _Track:
    def __init__(self) -> None:
        self.tracker = SoundTracker()
        self.frames: list[Frame] = []


class Listener:
    """Hears every track it is given; rings the bell when a sound begins.

    `kept_frames`: what is kept of each track to be listened to again.
    """

    def __init__(self, bell: Bell, *, kept_frames: int = MAX_KEPT_FRAMES) -> None:
        self._bell = bell
        self._kept_frames = kept_frames
        self._tracks: list[_Track] = []

    async def listen(self, track: rtc.Track) -> None:
        """Hears a track until it ends.

        A frame's time is its arrival here, behind WebRTC's jitter buffer (20 to 60 ms on
        loopback), which is when a person's loudspeaker would have begun to play it.
        """
        heard = _Track()
        self._tracks.append(heard)
        stream = rtc.AudioStream(
            track, capacity=QUEUE_FRAMES, sample_rate=SAMPLE_RATE_HZ, num_channels=1
        )
        try:
            async for event in stream:
                at = time.monotonic()
                samples = np.frombuffer(event.frame.data, dtype=np.int16)
                if len(heard.frames) < self._kept_frames:
                    heard.frames.append(Frame(samples, at))
                if heard.tracker.feed(samples, at):
                    self._bell.ring()
        finally:
            await stream.aclose()

    def sounds(self) -> list[Sound]:
        """Every sound so far, by its beginning."""
        every = (sound for track in self._tracks for sound in track.tracker.sounds)
        return sorted(every, key=lambda sound: sound.started)

    def sound_after(self, at: float) -> Sound | None:
        """The first sound that began at or after `at`."""
        return next((sound for sound in self.sounds() if sound.started >= at), None)

    def last_heard(self) -> float | None:
        """When the last audible sample was heard; None: nothing yet."""
        ends = [t.tracker.sounds[-1].ended for t in self._tracks if t.tracker.sounds]
        return max(ends, default=None)

    def silent_since(self, at: float, *, quiet_s: float) -> float | None:
        """When the sound that went on at `at` stopped for at least `quiet_s`.

        `at` itself when it was silent then; None when it has not stopped for so long yet.
        """
        stopped = at
        for sound in self.sounds():
            if sound.ended <= at:
                continue
            if sound.started - stopped >= quiet_s:
                break
            stopped = max(stopped, sound.ended)
        else:
            if time.monotonic() - stopped < quiet_s:
                return None
        return stopped

    def audio(self, *, since: float | None = None, until: float | None = None) -> Samples:
        """What was heard in a stretch of monotonic time, all tracks together.

        None: from the first frame kept, to the last one.
        """
        tracks = [track.frames for track in self._tracks if track.frames]
        if not tracks:
            return np.zeros(0, dtype=np.int16)
        first = min(frames[0].at for frames in tracks)
        last = max(frames[-1].at for frames in tracks) + FRAME_S
        return mix(
            tracks,
            since=first if since is None else since,
            until=last if until is None else until,
        )
