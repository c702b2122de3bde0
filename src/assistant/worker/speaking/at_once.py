"""The agent's voice, silent as soon as it is told to be."""

import time

from livekit import rtc
from livekit.agents.voice import io
from livekit.agents.voice.room_io._output import _ParticipantAudioOutput


class AtOnce(io.AudioOutput):
    """In front of the room's output, which would go on until its next frame of 50 ms is due.

    What waits in its source, 0.2 s, is dropped on the spot, and counted as dropped: the transcript
    ends with the word that was heard.

    Source: livekit-agents 1.8.9, `_ParticipantAudioOutput.pause` and `_forward_audio`, which does
    the same later.
    """

    def __init__(self, output: io.AudioOutput) -> None:
        super().__init__(
            label="AtOnce",
            next_in_chain=output,
            sample_rate=output.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._room_output = _room_output(output)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self.next_in_chain is not None:
            await self.next_in_chain.capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        if self.next_in_chain is not None:
            self.next_in_chain.flush()

    def pause(self) -> None:
        super().pause()
        self._drop()

    def clear_buffer(self) -> None:
        if self.next_in_chain is not None:
            self.next_in_chain.clear_buffer()
        self._drop()

    # ruff: noqa: SLF001 - the SDK has no other way to drop it, and to say that it was dropped
    def _drop(self) -> None:
        output = self._room_output
        if output is None or not output._pushed_duration:
            return
        source, pushed_s = output._audio_source, output._source_pushed_duration
        if queued_s := source.queued_duration:
            now = time.time()
            output._source_discarded_duration += queued_s
            output._report_run(offset=pushed_s - queued_s, ended_at=now, resumes_at=pushed_s)
            source.clear_queue()


def _room_output(output: io.AudioOutput | None) -> _ParticipantAudioOutput | None:
    """The end of the chain, where it is a room's."""
    while output is not None and not isinstance(output, _ParticipantAudioOutput):
        output = output.next_in_chain
    return output
