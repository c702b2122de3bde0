"""What the SDK's recorder writes, and where to."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice import io
from livekit.agents.voice.recorder_io import recorder_io

from assistant.sessions.recordings import Recordings
from assistant.worker.record.recorder import Recorder
from tests.timing import scaled

RATE = 24_000
SPOKEN_S = 6
WITHIN_S = scaled(5)


class Deaf(io.AudioOutput):
    """Never asked for anything."""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None: ...
    def flush(self) -> None: ...
    def clear_buffer(self) -> None: ...


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    (tmp_path / "kept").mkdir()
    recordings = Recordings((tmp_path / "kept").as_uri(), endpoint=None)
    return Recorder(tmp_path / "spool", recordings, "s", 1)


async def test_what_was_said_is_in_the_spool_before_the_end(
    recorder: Recorder, tmp_path: Path
) -> None:
    recorder.prepare(cast("Any", SimpleNamespace(session_directory=tmp_path / "job")))
    given = tmp_path / "job" / "audio.ogg"
    assert given.is_file(), "a pipe that this process reads can stop it for ever"
    sdk = recorder_io.RecorderIO(agent_session=cast("Any", None))
    sdk.record_input(io.AudioInput(label="silent"))
    sdk.record_output(Deaf(label="deaf", capabilities=io.AudioOutputCapabilities(pause=True)))
    await sdk.start(output_path=given)
    began = time.time()
    noise = np.random.default_rng(1).integers(-9000, 9000, RATE * SPOKEN_S, dtype=np.int16)
    frame = rtc.AudioFrame(noise.tobytes(), RATE, 1, noise.size)
    sdk._put(recorder_io._Captured(channel=0, started_at=began, frame=frame))
    sdk._put(recorder_io._Flush(until=began + SPOKEN_S - 1))
    file = recorder.recording.file
    async with asyncio.timeout(WITHIN_S):
        # FFmpeg itself would keep a quarter of a megabyte back.
        while file.stat().st_size < 10_000:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with asyncio.timeout(WITHIN_S):
        await sdk.aclose()
    with av.open(file) as kept:
        (stream,) = kept.streams.audio
        seconds = sum(f.samples for f in kept.decode(stream)) / stream.rate
    assert seconds == pytest.approx(SPOKEN_S - 1, abs=0.2)
    recorder.discard()
    assert list((tmp_path / "spool").iterdir()) == []
