"""AssemblyAI's streaming recognition, version 3, as its clients see it.

Source: the vendor's "Message Sequence" and API reference pages, and what the LiveKit plugin sends
and reads.
"""

import asyncio
import json
import time
import uuid
from typing import Any, Literal

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from assistant.local_stack.stand_ins.errors import (
    DecoderLostError,
    FaultClosedError,
    FaultFailedError,
)
from assistant.local_stack.stand_ins.parts import PARTS, Parts, cut
from assistant.local_stack.stand_ins.turn_follower import Outgoing, TurnFollower

log = structlog.get_logger(__name__)

#: One message of audio; the vendor takes up to 1 s, 32 kB at 16 kHz.
MAX_MESSAGE_BYTES = 1 << 20
#: Messages waiting for their time to be sent; beyond this the client isn't reading.
MAX_OUTBOX = 1_000
#: Each pocketsphinx stream is a process.
MAX_STREAMS = {"pocketsphinx": 64, "scripted": 2_000}
#: A session ends after so long. Source: the vendor's limits page.
SESSION_LIMIT_S = 3 * 3600
#: Without audio for so long inside speech, the turn is over: a muted microphone sends nothing.
SILENT_LINE_S = 1.0

CLOSE_BAD_INPUT = 3006
CLOSE_TOO_MANY = 1008


class StreamOptions(BaseModel):
    """The query of `/v3/ws` and the fields of `UpdateConfiguration`; silences in milliseconds.

    What this stand-in doesn't act on is accepted and kept in the journal only.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sample_rate: int = Field(default=16_000, ge=8_000, le=48_000)
    encoding: Literal["pcm_s16le", "pcm_mulaw"] = "pcm_s16le"
    speech_model: str = "universal-streaming-english"
    format_turns: bool = False
    min_turn_silence: int = Field(default=400, ge=0, le=60_000)
    max_turn_silence: int = Field(default=1_280, ge=0, le=60_000)
    interruption_delay: int = Field(default=500, ge=0, le=1_000)
    vad_threshold: float = Field(default=0.4, ge=0, le=1)
    keyterms_prompt: tuple[str, ...] = Field(default=(), max_length=100)

    @field_validator("keyterms_prompt", mode="before")
    @classmethod
    def _from_query(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


def _error(code: int, message: str) -> dict[str, Any]:
    return {"type": "Error", "error_code": code, "error": message}


class StreamSession:
    """One connection: reads audio and orders, sends what was heard, each message in its time."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, follower: TurnFollower
    ) -> None:
        self._request = request
        self._ws = ws
        self._follower = follower
        self._parts = request.app[PARTS]
        self._outbox: asyncio.Queue[Outgoing | None] = asyncio.Queue(MAX_OUTBOX)
        self._began = time.monotonic()

    async def run(self) -> None:
        expires_at = int(time.time() + SESSION_LIMIT_S)
        self._put({"type": "Begin", "id": str(uuid.uuid4()), "expires_at": expires_at})
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send(), name="stand-in-stt-sender")
            try:
                ended = await self._read()
            except DecoderLostError as error:
                log.warning("stand_in.decoder_lost", reason=str(error))
                self._put(_error(WSCloseCode.INTERNAL_ERROR, "Internal error"))
                ended = True
            except asyncio.QueueFull:
                cut(self._request)
                ended = False
            if ended:
                await self._outbox.put(None)
            else:
                sender.cancel()

    def _put(self, message: dict[str, Any]) -> None:
        self._outbox.put_nowait(Outgoing(message, time.monotonic()))

    async def _send(self) -> None:
        while (item := await self._outbox.get()) is not None:
            await asyncio.sleep(item.due - time.monotonic())
            try:
                if item.fault is not None:
                    await item.fault.step()
                await self._ws.send_json(item.message)
            except FaultFailedError as error:
                await self._ws.send_json(_error(error.status, "Ordered failure"))
                await self._ws.close(code=CLOSE_BAD_INPUT, message=b"Ordered failure")
                return
            except FaultClosedError:
                cut(self._request)
                return
            except ConnectionError:
                return  # The client left with messages still due.

    async def _receive(self) -> WSMessage | None:
        """The next message; None when a line that was speaking has gone silent."""
        timeout = SILENT_LINE_S if self._follower.in_turn else None
        try:
            return await self._ws.receive(timeout)
        except TimeoutError:
            return None

    async def _read(self) -> bool:
        """Until the client ends the session (True) or leaves (False)."""
        while True:
            message = await self._receive()
            if message is None:
                self._queue(await self._follower.force_end())
            elif message.type is WSMsgType.BINARY:
                self._queue(await self._follower.push(message.data))
            elif message.type is WSMsgType.TEXT:
                if await self._order(message.data):
                    return True
            else:
                return False

    def _queue(self, items: list[Outgoing]) -> None:
        for item in items:
            self._outbox.put_nowait(item)

    async def _order(self, text: str) -> bool:
        """Act on one JSON message; True when it ends the session."""
        try:
            order = json.loads(text)
            kind = order.get("type")
            if kind == "Terminate":
                self._queue(await self._follower.force_end())
                self._put(
                    {
                        "type": "Termination",
                        "audio_duration_seconds": round(self._follower.audio_s, 3),
                        "session_duration_seconds": round(time.monotonic() - self._began, 3),
                    }
                )
                return True
            if kind == "ForceEndpoint":
                self._queue(await self._follower.force_end())
            elif kind == "UpdateConfiguration":
                self._parts.journal.add("assemblyai", "configure", order)
                self._follower.configure(
                    StreamOptions.model_validate({**self._follower.options.model_dump(), **order})
                )
            elif kind != "KeepAlive":
                self._put(_error(CLOSE_BAD_INPUT, f"Invalid Message Type: {kind!r}"))
        except (ValueError, AttributeError) as error:
            log.info("stand_in.bad_message", service="assemblyai", error=type(error).__name__)
            self._put(_error(CLOSE_BAD_INPUT, "Invalid JSON"))
        return False


async def stream(request: web.Request) -> web.StreamResponse:
    """`GET /v3/ws`: one streaming session."""
    parts = request.app[PARTS]
    if not (request.headers.get("Authorization") or request.query.get("token")):
        return web.json_response({"error": "Unauthorized, missing API key"}, status=401)
    query = {key: value for key, value in request.query.items() if key != "token"}
    text = parts.journal.add("assemblyai", "connect", query)
    fault = parts.faults.take("assemblyai", "connect", text)
    try:
        await fault.step()
        options = StreamOptions.model_validate(query)
    except FaultFailedError as error:
        return web.json_response({"error": "Ordered failure"}, status=error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)
    except (ValidationError, ValueError) as error:
        return web.json_response({"error": f"Invalid query: {error}"}, status=400)
    ws = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, compress=False)
    await ws.prepare(request)
    await _serve(request, ws, options, parts)
    return ws


async def _serve(
    request: web.Request, ws: web.WebSocketResponse, options: StreamOptions, parts: Parts
) -> None:
    streams = request.app[STREAMS]
    if len(streams) >= MAX_STREAMS[parts.settings.stt_mode]:
        await ws.send_json(_error(CLOSE_TOO_MANY, "Too many concurrent sessions"))
        await ws.close(code=CLOSE_TOO_MANY, message=b"Too many concurrent sessions")
        return
    streams.add(ws)
    try:
        try:
            recognizer = await parts.recognizers.open()
        except DecoderLostError as error:
            log.warning("stand_in.decoder_lost", reason=str(error))
            await ws.send_json(_error(WSCloseCode.INTERNAL_ERROR, "Internal error"))
            await ws.close(code=WSCloseCode.INTERNAL_ERROR)
            return
        try:
            follower = TurnFollower(
                options,
                recognizer,
                faults=parts.faults,
                journal=parts.journal,
                final_delay_s=parts.settings.stt_delay_s,
            )
            await StreamSession(request, ws, follower).run()
        finally:
            await recognizer.aclose()
    finally:
        streams.discard(ws)
        await ws.close()


#: The open streams, counted against their bound.
STREAMS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("assemblyai_streams", set)


def add_routes(app: web.Application) -> None:
    app[STREAMS] = set()
    app.router.add_get("/v3/ws", stream)
