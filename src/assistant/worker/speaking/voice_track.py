"""The agent's voice in its room: there before anybody listens, and silent as soon as it is told."""

import asyncio
import time
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice.room_io import AudioOutputOptions
from livekit.agents.voice.room_io._output import _ParticipantAudioOutput

from assistant import log

# What the SDK calls its own.
TRACK_NAME = "roomio_audio"

_log = log.get(__name__)


class VoiceTrack(_ParticipantAudioOutput):
    """The SDK's own output to a room, except that the job publishes it, as soon as it has joined.

    The SDK publishes when the conversation runs and the user is there. Others learn of a
    participant by its track, and taking one takes a tenth of a second; who comes later than the
    agent finds both done.

    Told to be silent, the SDK's would go on until its next frame of 50 ms is due. Here what waits
    in its source, 0.2 s, is dropped on the spot, and counted as dropped: the transcript ends with
    the word that was heard.

    Source: livekit-agents 1.8.9, `_ParticipantAudioOutput.pause` and `_forward_audio`, which does
    the same later.
    """

    def __init__(self, room: rtc.Room) -> None:
        options = AudioOutputOptions()
        super().__init__(
            room,
            sample_rate=options.sample_rate,
            num_channels=options.num_channels,
            track_publish_options=options.track_publish_options,
            track_name=TRACK_NAME,
        )

    async def publish(self) -> None:
        """Return once somebody listens. Needs a joined room; a failure is logged."""
        try:
            await self.start()
        except rtc.participant.PublishTrackError as error:
            # The room was lost, which the job learns by itself; or LiveKit is out of order, and the
            # user's silence ends the session.
            _log.error("voice_track.not_published", error=error.message)

    async def heard(self, conversation: AgentSession[Any]) -> None:
        """Return once the conversation's user can hear it; a started one.

        Whoever listens in may take the track before.
        """
        await asyncio.shield(self.subscribed)
        await conversation.room_io.wait_for_ready()

    def pause(self) -> None:
        super().pause()
        self._drop()

    def clear_buffer(self) -> None:
        super().clear_buffer()
        self._drop()

    def _drop(self) -> None:
        source, pushed_s = self._audio_source, self._source_pushed_duration
        if self._pushed_duration and (queued_s := source.queued_duration):
            self._source_discarded_duration += queued_s
            self._report_run(offset=pushed_s - queued_s, ended_at=time.time(), resumes_at=pushed_s)
            source.clear_queue()
