"""What callers send before the conversation listens: typed words, and sound from before the join.

The SDK takes both from its start on, which comes after the join; LiveKit's clients send them as
soon as they see the agent. Whatever comes in between is kept here, and handed over. So are the
words of somebody of whom LiveKit has not told yet that they have joined, which the SDK drops.
"""

from collections import deque
from collections.abc import Callable

from livekit import rtc
from livekit.agents.types import TOPIC_CHAT
from livekit.agents.voice.room_io._pre_connect_audio import PRE_CONNECT_AUDIO_BUFFER_STREAM

from assistant import log

# Of each kind. A client sends one buffer, and nobody types faster.
MAX_KEPT = 20

_log = log.get(__name__)


class EarlyStreams:
    """Registered before the room is joined; `release` just before the conversation starts.

    From `release` until the SDK's own handlers stand nothing may be awaited that really waits.
    Source: livekit-agents 1.8.9, `AgentSession.start`, where `RoomIO.start` and
    `register_text_input` come before the first such await.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._texts: deque[tuple[rtc.TextStreamReader, str]] = deque(maxlen=MAX_KEPT)
        self._sounds: deque[tuple[rtc.ByteStreamReader, str]] = deque(maxlen=MAX_KEPT)
        #: The SDK's; None: it has none yet, or the room takes no words.
        self._reads: Callable[[rtc.TextStreamReader, str], None] | None = None
        self._listens = False
        room.register_text_stream_handler(TOPIC_CHAT, self._on_text)
        room.register_byte_stream_handler(PRE_CONNECT_AUDIO_BUFFER_STREAM, self._keep_sound)
        room.on("participant_connected", lambda _participant: self._pass_on())

    def release(self) -> None:
        """Make way for the SDK's handlers."""
        self._room.unregister_text_stream_handler(TOPIC_CHAT)
        self._room.unregister_byte_stream_handler(PRE_CONNECT_AUDIO_BUFFER_STREAM)

    def attach(self) -> None:
        """Once the SDK's handlers stand, and before it looks for a track's buffer."""
        # Read only: the room has no other way to ask who listens.
        hears = self._room._byte_stream_handlers.get(PRE_CONNECT_AUDIO_BUFFER_STREAM)  # noqa: SLF001
        while hears is not None and self._sounds:
            _log.info("early_stream.handed_over", kind="sound")
            hears(*self._sounds.popleft())
        self._reads = self._room._text_stream_handlers.get(TOPIC_CHAT)  # noqa: SLF001 - as above
        if self._reads is not None:
            self._room.unregister_text_stream_handler(TOPIC_CHAT)
            self._room.register_text_stream_handler(TOPIC_CHAT, self._on_text)

    def listen(self) -> None:
        """Once the conversation takes words: those that were kept, and all that come."""
        self._listens = True
        self._pass_on()

    def _on_text(self, reader: rtc.TextStreamReader, sender: str) -> None:
        self._texts.append((reader, sender))
        self._pass_on()

    def _pass_on(self) -> None:
        if not self._listens or self._reads is None:
            return
        for _ in range(len(self._texts)):
            reader, sender = self._texts.popleft()
            if sender in self._room.remote_participants:
                self._reads(reader, sender)
            else:
                self._texts.append((reader, sender))

    def _keep_sound(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        self._sounds.append((reader, sender))
