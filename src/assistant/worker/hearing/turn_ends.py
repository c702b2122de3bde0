"""Whether the caller has finished, asked of the model that all conversations share.

The SDK's detector with another way to its model. Without an answer the turn is taken for
unfinished: the caller waits for the agent's longest delay, and nothing else happens.

Source: livekit-agents 1.8.9, `inference/eot/base.py` and `inference/eot/transports.py`.
"""

import asyncio
import socket
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

from livekit import rtc
from livekit.agents import inference
from livekit.agents.inference.eot.base import _BaseStreamingTurnDetectorStream
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions

from assistant import log
from assistant.worker.process.turn_model import ANSWER, SOUND_BYTES

# The SDK waits 1 s, and then takes the turn for finished.
ANSWER_TIMEOUT_S = 0.8

_log = log.get(__name__)


class SharedTurnDetector(inference.TurnDetector):
    """Asks at `address`; `options` are those of the SDK's own."""

    def __init__(
        self, address: str, *, answer_timeout_s: float = ANSWER_TIMEOUT_S, **options: Any
    ) -> None:
        # The version is always named: left out, the SDK may choose its cloud's model.
        super().__init__(version="v1-mini", **options)
        self._address = address
        self._answer_timeout_s = answer_timeout_s

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> _BaseStreamingTurnDetectorStream:
        del conn_options
        transport = _Transport(Line(self._address, answer_timeout_s=self._answer_timeout_s))
        return _BaseStreamingTurnDetectorStream(
            detector=self, opts=self._opts, transport=transport, model=self.model
        )


class _Transport:
    """What the caller said last, and the way to the model; the SDK's protocol of one."""

    session_id = None

    def __init__(self, line: "Line") -> None:
        self._line = line
        self._said: deque[bytes] = deque()
        self._said_bytes = 0
        self._stream: weakref.ref[_BaseStreamingTurnDetectorStream] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    def attach(self, stream: _BaseStreamingTurnDetectorStream) -> None:
        self._stream = weakref.ref(stream)

    def detach(self) -> None:
        for task in self._asking:
            task.cancel()
        self._line.close()

    async def run(self) -> None:
        stream = self._stream() if self._stream is not None else None
        if stream is None:
            return
        # Loads the model, if nobody had it loaded, while the agent greets.
        with suppress(OSError):
            await self._line.open()
        await stream._drain_audio_channel()  # noqa: SLF001 - as the SDK's transports

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        piece = bytes(frame.data)
        self._said.append(piece)
        self._said_bytes += len(piece)
        while self._said_bytes - len(self._said[0]) >= SOUND_BYTES:
            self._said_bytes -= len(self._said.popleft())

    def flush(self) -> None:
        self._said.clear()
        self._said_bytes = 0

    def run_inference(self, request_id: str) -> None:
        # The model takes what is missing in front for silence.
        sound = b"".join(self._said)[-SOUND_BYTES:].rjust(SOUND_BYTES, b"\0")
        task = asyncio.create_task(self._predict(request_id, sound), name="end of turn")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _predict(self, request_id: str, sound: bytes) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        probability = 0.0
        try:
            probability = await self._line.ask(sound)
        except (OSError, EOFError) as error:
            _log.warning("turn_model.silent", kind=type(error).__name__)
        stream = self._stream() if self._stream is not None else None
        if stream is not None:
            stream._resolve_prediction(  # noqa: SLF001 - as the SDK's transports
                request_id, probability, inference_duration=loop.time() - asked_at
            )


class Line:
    """A connection to the model, opened anew where it broke."""

    def __init__(self, address: str, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._address = address
        self._answer_timeout_s = answer_timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Have the model loaded, if it is not.

        Raises:
            OSError: there is no worker any more, or far too many wait.
        """
        async with self._one_at_a_time:
            await self._opened()

    async def ask(self, sound: bytes) -> float:
        """The probability that a turn which sounds like this has ended.

        Raises:
            OSError, EOFError: nobody answers; TimeoutError, which is an OSError: not in time.
        """
        async with asyncio.timeout(self._answer_timeout_s), self._one_at_a_time:
            try:
                return await self._exchange(sound)
            except (OSError, EOFError):
                # Its process is gone; another one is started for whoever connects.
                return await self._exchange(sound)

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None

    async def _exchange(self, sound: bytes) -> float:
        try:
            reader, writer = await self._opened()
            writer.write(sound)
            await writer.drain()
            (probability,) = ANSWER.unpack(await reader.readexactly(ANSWER.size))
        except BaseException:
            # Half of an answer may still come.
            self.close()
            raise
        return float(probability)

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._ends is None:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                end.setblocking(False)
                end.connect(self._address)  # Waits for nobody: whoever listens accepts it later.
                self._ends = await asyncio.open_unix_connection(sock=end)
            except BaseException:
                end.close()
                raise
        return self._ends
