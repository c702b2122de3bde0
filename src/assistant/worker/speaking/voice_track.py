"""The agent's voice in its room: a track that is there before anybody listens."""

import asyncio
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
