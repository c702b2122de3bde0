"""Deepgram's live recognition, `/v1/listen`, as its clients see it.

The recogniser and its turns are those of the other stand-in; only the words of the protocol are
others. Source: the vendor's reference ("Live Audio"), and what the LiveKit plugin sends and reads.
"""

import asyncio
import json
import time
import uuid
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from assistant.local_stack.stand_ins.errors import (
    DecoderLostError,
    FaultClosedError,
    FaultFailedError,
)
from assistant.local_stack.stand_ins.parts import PARTS, cut
from assistant.local_stack.stand_ins.turn_follower import Outgoing, TurnFollower

log = structlog.get_logger(__name__)

#: One message of audio.
MAX_MESSAGE_BYTES = 1 << 20
#: Messages waiting for their time to be sent; beyond this the client isn't reading.
MAX_OUTBOX = 1_000
#: Each stream is a process where speech is really recognised.
MAX_STREAMS = 16
#: Without audio for so long inside speech, the turn is over: a muted microphone sends nothing.
SILENT_LINE_S = 1.0


class ListenOptions(BaseModel):
    """The query of `/v1/listen`; `endpointing` in milliseconds.

    What this stand-in doesn't act on is accepted and kept in the journal only.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sample_rate: int = Field(default=16_000, ge=8_000, le=48_000)
    endpointing: int = Field(default=10, ge=0, le=60_000)
    punctuate: bool = False
    interim_results: bool = False

    @field_validator("endpointing", mode="before")
    @classmethod
    def _off_is_none(cls, value: Any) -> Any:
        return 0 if value == "false" else value

    # What the follower asks for, in its words.
    encoding: str = "pcm_s16le"
    format_turns: bool = False
    interruption_delay: int = 0
    vad_threshold: float = 0.4

    @property
    def speech_model(self) -> str:
        return "u3-rt-pro" if self.punctuate else "universal-streaming-english"

    @property
    def min_turn_silence(self) -> int:
        return self.endpointing

    @property
    def max_turn_silence(self) -> int:
        return self.endpointing


def results(turn: dict[str, Any], request_id: str) -> dict[str, Any]:
    """A `Results` message with the words of a turn, which has its times in milliseconds."""
    words = [
        {
            "word": word["text"].lower().strip(".,?!"),
            "punctuated_word": word["text"],
            "start": word["start"] / 1000,
            "end": word["end"] / 1000,
            "confidence": word["confidence"],
        }
        for word in turn["words"]
    ]
    start_s = words[0]["start"] if words else 0.0
    alternative = {
        "transcript": turn["transcript"],
        "confidence": turn["end_of_turn_confidence"],
        "words": words,
    }
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": start_s,
        "duration": (words[-1]["end"] - start_s) if words else 0.0,
        "is_final": turn["end_of_turn"],
        "speech_final": turn["end_of_turn"],
        "channel": {"alternatives": [alternative]},
        "metadata": {"request_id": request_id},
    }


class ListenSession:
    """One connection: reads audio and orders, sends what was heard, each message in its time."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, follower: TurnFollower
    ) -> None:
        self._request = request
        self._ws = ws
        self._follower = follower
        self._request_id = str(uuid.uuid4())
        self._outbox: asyncio.Queue[Outgoing | None] = asyncio.Queue(MAX_OUTBOX)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send(), name="stand-in-deepgram-sender")
            try:
                ended = await self._read()
            except DecoderLostError as error:
                log.warning("stand_in.decoder_lost", reason=str(error))
                await self._ws.close(code=WSCloseCode.INTERNAL_ERROR)
                ended = False
            except asyncio.QueueFull:
                cut(self._request)
                ended = False
            if ended:
                await self._outbox.put(None)
            else:
                sender.cancel()

    async def _send(self) -> None:
        while (item := await self._outbox.get()) is not None:
            await asyncio.sleep(item.due - time.monotonic())
            try:
                if item.fault is not None:
                    await item.fault.step()
                await self._ws.send_json(self._reworded(item.message))
            except FaultFailedError:
                await self._ws.close(code=WSCloseCode.INTERNAL_ERROR, message=b"Ordered failure")
                return
            except FaultClosedError:
                cut(self._request)
                return
            except ConnectionError:
                return  # The client left with messages still due.

    def _reworded(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["type"] == "Turn":
            return results(message, self._request_id)
        return {"type": "SpeechStarted", "channel": [0], "timestamp": message["timestamp"] / 1000}

    async def _read(self) -> bool:
        """Until the client ends the stream (True) or leaves (False)."""
        while True:
            try:
                timeout = SILENT_LINE_S if self._follower.in_turn else None
                message = await self._ws.receive(timeout)
            except TimeoutError:
                self._queue(await self._follower.force_end())
                continue
            if message.type is WSMsgType.BINARY:
                self._queue(await self._follower.push(message.data))
            elif message.type is not WSMsgType.TEXT:
                return False
            else:
                kind = json.loads(message.data).get("type")
                if kind in {"CloseStream", "Finalize"}:
                    self._queue(await self._follower.force_end())
                if kind == "CloseStream":
                    return True

    def _queue(self, items: list[Outgoing]) -> None:
        for item in items:
            self._outbox.put_nowait(item)


async def listen(request: web.Request) -> web.StreamResponse:
    """`GET /v1/listen`: one stream."""
    parts = request.app[PARTS]
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "token" or not key.strip():
        return web.json_response({"err_code": "INVALID_AUTH"}, status=401)
    query = {key: request.query.getall(key) for key in request.query}
    text = parts.journal.add("deepgram", "connect", query)
    try:
        await parts.faults.take("deepgram", "connect", text).step()
        options = ListenOptions.model_validate(dict(request.query))
    except FaultFailedError as error:
        return web.json_response({"err_code": "ORDERED_FAILURE"}, status=error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)
    except ValidationError as error:
        return web.json_response({"err_code": "Bad Request", "err_msg": str(error)}, status=400)
    streams = request.app[STREAMS]
    if len(streams) >= MAX_STREAMS:
        return web.json_response({"err_code": "TOO_MANY_REQUESTS"}, status=429)
    ws = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, compress=False)
    streams.add(ws)
    try:
        recognizer = await parts.recognizers.open()
        try:
            await ws.prepare(request)
            follower = TurnFollower(
                options,
                recognizer,
                faults=parts.faults,
                journal=parts.journal,
                final_delay_s=parts.settings.stt_delay_s,
                service="deepgram",
            )
            await ListenSession(request, ws, follower).run()
        finally:
            await recognizer.aclose()
    finally:
        streams.discard(ws)
    await ws.close()
    return ws


#: The open streams, counted against their bound.
STREAMS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("deepgram_streams", set)


def add_routes(app: web.Application) -> None:
    app[STREAMS] = set()
    app.router.add_get("/v1/listen", listen)
