"""The machine's microphone and loudspeaker, with the agent's own voice taken out of what is heard.

Source: sounddevice 0.5, which needs the PortAudio library where its wheel does not bring it.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from livekit import rtc

from assistant.console.errors import NoSoundError
from assistant.console.line import FRAME_SAMPLES, RATE_HZ, Line
from assistant.rehearsal.waveform import Samples

INSTALL = "install PortAudio (Debian: apt-get install libportaudio2)"
CONNECT = "connect a microphone and a loudspeaker, or choose them as the system's default"


class SoundCard:
    """Found when it is made, so that a machine without one is told before anything starts.

    Raises:
        NoSoundError: there is no PortAudio, no microphone or no loudspeaker.
    """

    def __init__(self) -> None:
        try:
            self._sound: Any = importlib.import_module("sounddevice")
        except (ImportError, OSError) as error:
            raise NoSoundError(str(error), INSTALL) from error
        try:
            self.microphone = str(self._sound.query_devices(kind="input")["name"])
            self.loudspeaker = str(self._sound.query_devices(kind="output")["name"])
        except (self._sound.PortAudioError, ValueError) as error:
            raise NoSoundError(str(error), CONNECT) from error

    @contextmanager
    def connected(self, line: Line) -> Iterator[None]:
        """Listen and play in here.

        Raises:
            NoSoundError: the devices cannot be opened.
        """
        filtered = _Filtered(line)

        def exchange(heard: Any, played: Any, _frames: int, _time: Any, _status: Any) -> None:
            played[:, 0] = filtered.exchange(heard[:, 0])

        try:
            stream = self._sound.Stream(
                samplerate=RATE_HZ,
                blocksize=FRAME_SAMPLES,
                channels=1,
                dtype="int16",
                callback=exchange,
            )
        except self._sound.PortAudioError as error:
            raise NoSoundError(str(error), CONNECT) from error
        with stream:
            filtered.delay_s = sum(stream.latency)
            yield


class _Filtered:
    """Takes the loudspeaker's echo and noise out of what the microphone heard."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._filter = rtc.AudioProcessingModule(
            echo_cancellation=True,
            noise_suppression=True,
            high_pass_filter=True,
            auto_gain_control=True,
        )
        #: From playing a sample to hearing it.
        self.delay_s = 0.0

    def exchange(self, heard: Samples) -> Samples:
        frame = _frame(heard)
        self._filter.set_stream_delay_ms(round(self.delay_s * 1000))
        self._filter.process_stream(frame)
        played = self._line.exchange(np.frombuffer(frame.data, dtype=np.int16))
        self._filter.process_reverse_stream(_frame(played))
        return played


def _frame(samples: Samples) -> rtc.AudioFrame:
    return rtc.AudioFrame(samples.astype("<i2").tobytes(), RATE_HZ, 1, samples.size)
