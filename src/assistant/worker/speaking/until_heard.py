"""The agent's voice, held back until somebody listens."""

import asyncio

from livekit import rtc
from livekit.agents.voice import io


class UntilHeard(io.AudioOutput):
    """In front of the room's own output, which also holds sound back, but for one cancellation.

    Whoever is interrupted before a caller has taken the track would cancel the future that all
    later sound waits for: the agent would be mute for the rest of the session. `heard` is done once
    somebody listens; it is only looked at.

    Source: livekit-agents 1.8.9, `_ParticipantAudioOutput.capture_frame`.
    """

    def __init__(self, output: io.AudioOutput, heard: asyncio.Future[None]) -> None:
        super().__init__(
            label="UntilHeard",
            next_in_chain=output,
            sample_rate=output.sample_rate,
            capabilities=io.AudioOutputCapabilities(pause=True),
        )
        self._output = output
        self._heard = heard

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if not self._heard.done():
            await asyncio.shield(self._heard)
        await super().capture_frame(frame)
        await self._output.capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        self._output.flush()

    def clear_buffer(self) -> None:
        self._output.clear_buffer()
