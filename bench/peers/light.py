"""A caller that costs little, for many at once: it speaks by the clock, and listens to nothing.

Its sound leaves in pieces of a tenth of a second. Whether it is answered is told by the room: the
server says who speaks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bench.peers.peer import Peer, Room
from livekit import rtc

from assistant.rehearsal.errors import WaitTimedOutError
from assistant.rehearsal.speech import Speech
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ

PIECE_S = 0.1
QUEUE_MS = 200
AGENT_TIMEOUT_S = 40.0
#: A start that is lost has no conversation to measure; another call is made, so often.
MAX_LOST = 2
#: From the beginning of one question to that of the next, the answer between them.
PERIOD_S = 6.0
_PIECE = int(PIECE_S * SAMPLE_RATE_HZ)


class LightCaller:
    """In its room from `enter` on; `asked` and `answered` count its questions."""

    def __init__(self, peer: Peer, room: Room, question: Speech, *, offset_s: float) -> None:
        self.asked = 0
        self.answered = 0
        self._peer = peer
        self._where = room
        self._offset_s = offset_s
        samples = question.samples.tobytes()
        step = 2 * _PIECE
        self._pieces = [
            samples[at : at + step].ljust(step, b"\0") for at in range(0, len(samples), step)
        ]
        self._room = rtc.Room()
        self._spoken_to = asyncio.Event()
        self._owed = False
        self._source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms=QUEUE_MS)
        self._talking: asyncio.Task[None] | None = None
        self._room.on("active_speakers_changed", self._on_speakers)

    async def enter(self) -> None:
        """Joins, asks for the agent, hears it greet, and begins to talk.

        Raises:
            WaitTimedOutError: no agent greeted.
        """
        await self._room.connect(self._where.url, self._where.token)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        source = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, source)
        self._talking = asyncio.create_task(self._talk(), name="light caller")
        await self._peer.begin(self._where)
        try:
            await asyncio.wait_for(self._spoken_to.wait(), AGENT_TIMEOUT_S)
        except TimeoutError as error:
            raise WaitTimedOutError(
                "waiting for the greeting", timeout_s=AGENT_TIMEOUT_S, seen=self._peer.name
            ) from error

    async def leave(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.gather(self._talking, return_exceptions=True)
        await self._room.disconnect()
        await self._source.aclose()
        await self._peer.end(self._where)

    async def _talk(self) -> None:
        """Silence until it was greeted, and then questions, each followed by its period's rest."""
        loop = asyncio.get_running_loop()
        silence = bytes(2 * _PIECE)
        next_at = None
        waiting: list[bytes] = []
        while True:
            if next_at is None and self._spoken_to.is_set():
                next_at = loop.time() + PERIOD_S / 2 + self._offset_s
            if next_at is not None and loop.time() >= next_at:
                next_at += PERIOD_S
                waiting = list(self._pieces)
                self.asked += 1
                self._owed = True
            piece = waiting.pop(0) if waiting else silence
            # Returns when there is room in the queue, and so keeps the pace of speech.
            await self._source.capture_frame(rtc.AudioFrame(piece, SAMPLE_RATE_HZ, 1, _PIECE))

    def _on_speakers(self, speakers: Sequence[rtc.Participant]) -> None:
        own = self._room.local_participant.identity
        if any(speaker.identity != own for speaker in speakers):
            self._spoken_to.set()
            if self._owed:
                self._owed = False
                self.answered += 1


class LightCrowd:
    """The light callers of one contender, who come one after another and leave together."""

    def __init__(self, peer: Peer, question: Speech) -> None:
        self._peer = peer
        self._question = question
        self._stack = AsyncExitStack()
        self.callers: list[LightCaller] = []

    async def grow(self, number: int) -> None:
        """Until there are so many, who ask at different moments.

        Raises:
            WaitTimedOutError: more than `MAX_LOST` callers were not greeted.
        """
        lost = 0
        while len(self.callers) < number:
            offset_s = PERIOD_S / 3 * (len(self.callers) % 3)
            room = await self._peer.room()
            caller = LightCaller(self._peer, room, self._question, offset_s=offset_s)
            try:
                async with AsyncExitStack() as leaving:
                    leaving.push_async_callback(caller.leave)
                    await caller.enter()
                    self._stack.push_async_exit(leaving.pop_all())
            except WaitTimedOutError:
                lost += 1
                if lost > MAX_LOST:
                    raise
            else:
                self.callers.append(caller)

    @property
    def unanswered(self) -> int:
        """Questions without an answer, but for each caller's last one, which may still come."""
        return sum(max(each.asked - 1 - each.answered, 0) for each in self.callers)

    async def aclose(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def light_crowd(peer: Peer, question: Speech) -> AsyncIterator[LightCrowd]:
    crowd = LightCrowd(peer, question)
    try:
        yield crowd
    finally:
        await crowd.aclose()
