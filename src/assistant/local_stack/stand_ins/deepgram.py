"""Deepgram's live recognition, `/v1/listen`, as its clients see it.

The recogniser and its turns are those of the other stand-in; only the words of the protocol are
others. Source: the vendor's reference ("Live Audio"), and what the LiveKit plugin sends and reads.
"""

import json
import uuid
from typing import Any

from aiohttp import WSCloseCode, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from assistant.local_stack.stand_ins.errors import FaultClosedError, FaultFailedError
from assistant.local_stack.stand_ins.parts import PARTS, cut
from assistant.local_stack.stand_ins.stream_session import MAX_MESSAGE_BYTES, StreamSession
from assistant.local_stack.stand_ins.turn_follower import TurnFollower

#: Each stream is a process where speech is really recognised.
MAX_STREAMS = 16


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


class Words:
    """One stream in Deepgram's words."""

    def __init__(self) -> None:
        self._request_id = str(uuid.uuid4())

    def opening(self) -> None:
        return

    def worded(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["type"] == "Turn":
            return results(message, self._request_id)
        return {"type": "SpeechStarted", "channel": [0], "timestamp": message["timestamp"] / 1000}

    def failure(self, status: int) -> tuple[None, int]:
        del status  # The vendor has one code for what went wrong on its side.
        return None, WSCloseCode.INTERNAL_ERROR

    async def order(self, text: str, session: StreamSession) -> bool:
        kind = json.loads(text).get("type")
        if kind in {"CloseStream", "Finalize"}:
            session.queue(await session.follower.force_end())
        return bool(kind == "CloseStream")


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
            await StreamSession(request, ws, follower, Words()).run()
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
