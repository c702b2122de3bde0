"""One connection of a recogniser's client: audio and orders in, what was heard out.

The recogniser and its turns are the same for every vendor; a `Dialect` has a vendor's words.
"""

import asyncio
import time
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from assistant import log
from assistant.local_stack.stand_ins.errors import (
    DecoderLostError,
    FaultClosedError,
    FaultFailedError,
)
from assistant.local_stack.stand_ins.parts import cut
from assistant.local_stack.stand_ins.turn_follower import Outgoing, TurnFollower

_log = log.get(__name__)

#: One message of audio.
MAX_MESSAGE_BYTES = 1 << 20
#: Messages waiting for their time to be sent; beyond this the client isn't reading.
MAX_OUTBOX = 1_000
#: Without audio for so long inside speech, the turn is over: a muted microphone sends nothing.
SILENT_LINE_S = 1.0


class Dialect(Protocol):
    """A vendor's words."""

    def opening(self) -> dict[str, Any] | None:
        """What a client is told first; None: nothing."""

    def worded(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message of the follower's, as this vendor says it."""

    def failure(self, status: int) -> tuple[dict[str, Any] | None, int]:
        """What is said of a failure, if anything, and the code to close with."""

    async def order(self, text: str, session: "StreamSession") -> bool:
        """Act on a text message; True when it ends the session."""


class StreamSession:
    """Reads audio and orders, sends what was heard, each message in its time."""

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        follower: TurnFollower,
        dialect: Dialect,
    ) -> None:
        self.follower = follower
        self._request = request
        self._ws = ws
        self._dialect = dialect
        self._outbox: asyncio.Queue[Outgoing | None] = asyncio.Queue(MAX_OUTBOX)

    async def run(self) -> None:
        opening = self._dialect.opening()
        if opening is not None:
            await self._ws.send_json(opening)
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send(), name="stand-in-stt-sender")
            try:
                ended = await self._read()
            except DecoderLostError as error:
                _log.warning("stand_in.decoder_lost", reason=str(error))
                await self._fail(WSCloseCode.INTERNAL_ERROR, "Internal error")
                ended = False
            except asyncio.QueueFull:
                cut(self._request)
                ended = False
            if ended:
                await self._outbox.put(None)
            else:
                sender.cancel()

    def put(self, message: dict[str, Any]) -> None:
        """Say a message of the dialect's own, after what is due before it."""
        self.queue([Outgoing(message, time.monotonic())])

    def queue(self, items: list[Outgoing]) -> None:
        for item in items:
            self._outbox.put_nowait(item)

    async def _send(self) -> None:
        while (item := await self._outbox.get()) is not None:
            await asyncio.sleep(item.due - time.monotonic())
            try:
                if item.fault is not None:
                    await item.fault.step()
                await self._ws.send_json(self._dialect.worded(item.message))
            except FaultFailedError as error:
                await self._fail(error.status, "Ordered failure")
                return
            except FaultClosedError:
                cut(self._request)
                return
            except ConnectionError:
                return  # The client left with messages still due.

    async def _fail(self, status: int, why: str) -> None:
        message, code = self._dialect.failure(status)
        if message is not None:
            await self._ws.send_json(message)
        await self._ws.close(code=code, message=why.encode())

    async def _receive(self) -> WSMessage | None:
        """The next message; None when a line that was speaking has gone silent."""
        timeout = SILENT_LINE_S if self.follower.in_turn else None
        try:
            return await self._ws.receive(timeout)
        except TimeoutError:
            return None

    async def _read(self) -> bool:
        """Until the client ends the session (True) or leaves (False)."""
        while True:
            message = await self._receive()
            if message is None:
                self.queue(await self.follower.force_end())
            elif message.type is WSMsgType.BINARY:
                self.queue(await self.follower.push(message.data))
            elif message.type is not WSMsgType.TEXT:
                return False
            elif await self._dialect.order(message.data, self):
                return True
