"""AssemblyAI's streaming recognition, version 3, as its clients see it.

Source: the vendor's "Message Sequence" and API reference pages, and what the LiveKit plugin sends
and reads.
"""

import json
import time
import uuid
from typing import Any, Literal

from aiohttp import WSCloseCode, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from assistant import log
from assistant.local_stack.stand_ins.errors import (
    DecoderLostError,
    FaultClosedError,
    FaultFailedError,
)
from assistant.local_stack.stand_ins.parts import PARTS, Parts, cut
from assistant.local_stack.stand_ins.stream_session import MAX_MESSAGE_BYTES, StreamSession
from assistant.local_stack.stand_ins.turn_follower import TurnFollower

_log = log.get(__name__)

#: Each pocketsphinx stream is a process.
MAX_STREAMS = {"pocketsphinx": 64, "scripted": 2_000}
#: A session ends after so long. Source: the vendor's limits page.
SESSION_LIMIT_S = 3 * 3600

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


class Words:
    """One session in AssemblyAI's words."""

    def __init__(self, parts: Parts) -> None:
        self._journal = parts.journal
        self._began = time.monotonic()

    def opening(self) -> dict[str, Any]:
        expires_at = int(time.time() + SESSION_LIMIT_S)
        return {"type": "Begin", "id": str(uuid.uuid4()), "expires_at": expires_at}

    def worded(self, message: dict[str, Any]) -> dict[str, Any]:
        return message  # The follower's messages are in this vendor's words.

    def failure(self, status: int) -> tuple[dict[str, Any], int]:
        code = status if status == WSCloseCode.INTERNAL_ERROR else CLOSE_BAD_INPUT
        return _error(status, "Internal error" if code == status else "Ordered failure"), code

    async def order(self, text: str, session: StreamSession) -> bool:
        try:
            order = json.loads(text)
            kind = order.get("type")
            if kind == "Terminate":
                session.queue(await session.follower.force_end())
                session.put(
                    {
                        "type": "Termination",
                        "audio_duration_seconds": round(session.follower.audio_s, 3),
                        "session_duration_seconds": round(time.monotonic() - self._began, 3),
                    }
                )
                return True
            if kind == "ForceEndpoint":
                session.queue(await session.follower.force_end())
            elif kind == "UpdateConfiguration":
                self._journal.add("assemblyai", "configure", order)
                options = {**session.follower.options.model_dump(), **order}
                session.follower.configure(StreamOptions.model_validate(options))
            elif kind != "KeepAlive":
                session.put(_error(CLOSE_BAD_INPUT, f"Invalid Message Type: {kind!r}"))
        except (ValueError, AttributeError) as error:
            _log.info("stand_in.bad_message", service="assemblyai", error=type(error).__name__)
            session.put(_error(CLOSE_BAD_INPUT, "Invalid JSON"))
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
            _log.warning("stand_in.decoder_lost", reason=str(error))
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
            await StreamSession(request, ws, follower, Words(parts)).run()
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
