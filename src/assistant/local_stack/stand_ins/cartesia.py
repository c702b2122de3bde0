"""Cartesia's speech synthesis on a websocket, as its clients see it.

Source: the vendor's reference ("Stream Speech (WebSocket)"), and what the LiveKit plugin sends and
reads. Any voice's id is spoken, since the vendor's are UUIDs; one of our names picks that voice.
"""

import asyncio
import base64
import json
import time
from typing import Any, Literal

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant import log
from assistant.local_stack.stand_ins.errors import (
    FaultClosedError,
    FaultFailedError,
    SynthesisError,
)
from assistant.local_stack.stand_ins.faults import FaultPlayer
from assistant.local_stack.stand_ins.parts import PARTS, Parts, cut
from assistant.local_stack.stand_ins.speech_request import sentences
from assistant.local_stack.stand_ins.voices import DEFAULT_VOICE, VOICES

_log = log.get(__name__)

#: Text only travels in this direction.
MAX_MESSAGE_BYTES = 1 << 16
MAX_CONTEXTS = 10
#: Pieces of text waiting to be spoken in one context.
MAX_QUEUE = 1_000
#: Audio in one message.
CHUNK_S = 0.2


class _Wire(BaseModel):
    # The vendor's clients send fields that come and go; what isn't read here is left alone.
    model_config = ConfigDict(frozen=True, extra="ignore")


class VoiceId(_Wire):
    mode: Literal["id"]
    id: str = Field(min_length=1, max_length=256)


class OutputFormat(_Wire):
    container: Literal["raw"]
    encoding: Literal["pcm_s16le"]
    sample_rate: int = Field(ge=8_000, le=48_000)


class Generation(_Wire):
    """One message: a piece of a context's text; the last one has `continue: false`."""

    model_id: str = Field(min_length=1)
    transcript: str = Field(max_length=20_000)
    voice: VoiceId
    output_format: OutputFormat
    context_id: str = Field(min_length=1, max_length=256)
    more: bool = Field(default=False, alias="continue")
    add_timestamps: bool = False


class Connection:
    """One websocket with its contexts, each spoken by a task of its own."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self._request = request
        self._ws = ws
        self._parts: Parts = request.app[PARTS]
        self._contexts: dict[str, asyncio.Queue[tuple[Generation, float]]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            async for message in self._ws:
                if message.type is not WSMsgType.TEXT:
                    break
                raw = json.loads(message.data)
                try:
                    order = Generation.model_validate(raw)
                except ValidationError as error:
                    await self._fail(raw.get("context_id"), 400, str(error))
                    continue
                if order.context_id not in self._contexts:
                    if len(self._contexts) >= MAX_CONTEXTS:
                        await self._fail(order.context_id, 429, "too many contexts")
                        continue
                    text = self._parts.journal.add("cartesia", "context", raw)
                    fault = self._parts.faults.take("cartesia", "context", text)
                    self._contexts[order.context_id] = asyncio.Queue(MAX_QUEUE)
                    tasks.append(group.create_task(self._follow(order.context_id, fault)))
                self._contexts[order.context_id].put_nowait((order, time.monotonic()))
            for task in tasks:
                task.cancel()

    async def _follow(self, context_id: str, fault: FaultPlayer) -> None:
        spoken_s, more = 0.0, True
        try:
            while more:
                order, arrived = await self._contexts[context_id].get()
                for sentence in sentences(order.transcript):
                    spoken_s += await self._speak(order, sentence, arrived, spoken_s, fault)
                more = order.more
            await fault.step()
            await self._send(context_id, {"type": "done", "done": True})
        except FaultFailedError as error:
            await self._fail(context_id, error.status, "Ordered failure")
        except FaultClosedError:
            cut(self._request)
        except SynthesisError as error:
            _log.warning("stand_in.synthesis_failed", engine=error.engine, reason=error.reason)
            await self._fail(context_id, 500, str(error))
        except ConnectionError:
            _log.debug("stand_in.client_left", service="cartesia")
        finally:
            self._contexts.pop(context_id, None)

    async def _speak(
        self, order: Generation, sentence: str, arrived: float, offset_s: float, fault: FaultPlayer
    ) -> float:
        """Speak one sentence at the set pace; how long it is."""
        rate, settings = order.output_format.sample_rate, self._parts.settings
        voice = VOICES.get(order.voice.id, VOICES[DEFAULT_VOICE])
        speech = await self._parts.synthesizer.speak(sentence, voice, rate=rate)
        due = arrived + settings.tts_ttfb_s
        step = int(CHUNK_S * rate)
        for start in range(0, len(speech.samples), step):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            piece = speech.samples[start : start + step]
            due = time.monotonic() + len(piece) / rate / settings.tts_speed
            from_s, until_s = start / rate, (start + step) / rate
            words = [word for word in speech.words if from_s <= word.start_s < until_s]
            await fault.step()
            if order.add_timestamps and words:
                times = {
                    "words": [word.text for word in words],
                    "start": [round(offset_s + word.start_s, 3) for word in words],
                    "end": [round(offset_s + word.end_s, 3) for word in words],
                }
                timed = {"type": "timestamps", "word_timestamps": times}
                await self._send(order.context_id, timed)
            data = base64.b64encode(piece.tobytes()).decode("ascii")
            await self._send(order.context_id, {"type": "chunk", "data": data, "done": False})
        return speech.duration_s

    async def _send(self, context_id: str, message: dict[str, Any]) -> None:
        await self._ws.send_json({"status_code": 206, "context_id": context_id, **message})

    async def _fail(self, context_id: str | None, status: int, message: str) -> None:
        error = {"type": "error", "status_code": status, "error": message, "done": True}
        await self._ws.send_json({"context_id": context_id, **error})


async def websocket(request: web.Request) -> web.StreamResponse:
    """`GET /tts/websocket`: contexts on a websocket."""
    parts = request.app[PARTS]
    if not request.headers.get("X-API-Key") or not request.query.get("cartesia_version"):
        return web.json_response({"error": "missing API key or version"}, status=401)
    text = parts.journal.add("cartesia", "connect", dict(request.query))
    try:
        await parts.faults.take("cartesia", "connect", text).step()
    except FaultFailedError as error:
        return web.json_response({"error": "Ordered failure"}, status=error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)
    ws = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, compress=False)
    await ws.prepare(request)
    await Connection(request, ws).run()
    return ws


def add_routes(app: web.Application) -> None:
    app.router.add_get("/tts/websocket", websocket)
