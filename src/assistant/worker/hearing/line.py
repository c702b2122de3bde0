"""One open stream of one recognizer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from livekit import rtc
from livekit.agents import stt

# Vendors ask for audio at about the pace of speech, and may refuse what comes faster (AssemblyAI:
# "Client sent audio too fast"); some seconds at this pace are no more than a poor network brings.
REPLAY_SPEED = 1.5
# Frames that wait while the tape is played: some minutes.
MAX_WAITING = 6000


class Line:
    """Plays `replay` to `stream`, then what is pushed; puts `(self, event)` into `heard`.

    Its end is `(self, error)`, None for an orderly one.
    """

    def __init__(
        self,
        place: int,
        stream: stt.RecognizeStream,
        replay: Sequence[rtc.AudioFrame],
        heard: asyncio.Queue[Any],
    ) -> None:
        self.place = place
        self.replay_s = sum(frame.duration for frame in replay) / REPLAY_SPEED
        self._stream = stream
        self._heard = heard
        #: None: a flush; the sentinel ends it.
        self._waiting: asyncio.Queue[Any] = asyncio.Queue(MAX_WAITING)
        self._tasks = (
            asyncio.create_task(self._feed(replay), name="recognizer feed"),
            asyncio.create_task(self._listen(), name="recognizer events"),
        )

    def push(self, frame: rtc.AudioFrame | None) -> None:
        """Audio, or None for a flush; dropped where nobody reads."""
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(frame)

    def end(self) -> None:
        """No more audio will come."""
        self.push(_END)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stream.aclose()

    async def _feed(self, replay: Sequence[rtc.AudioFrame]) -> None:
        # A stream that broke says so through its events; pushing to it raises RuntimeError.
        with suppress(RuntimeError):
            for frame in replay:
                self._stream.push_frame(frame)
                await asyncio.sleep(frame.duration / REPLAY_SPEED)
            while (item := await self._waiting.get()) is not _END:
                if item is None:
                    self._stream.flush()
                else:
                    self._stream.push_frame(item)
            self._stream.end_input()

    async def _listen(self) -> None:
        error: BaseException | None = None
        try:
            async for event in self._stream:
                await self._heard.put((self, event))
        except Exception as raised:  # noqa: BLE001 - whatever a plugin raises, another one is asked
            error = raised
        await self._heard.put((self, error))


_END: Any = object()
