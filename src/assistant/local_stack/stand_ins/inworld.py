"""Inworld's speech synthesis, as its clients see it.

Source: the vendor's API reference ("Synthesize speech (WebSocket)", "stream"), and what the
LiveKit plugin sends and reads. Errors are those of a gRPC gateway: `{code, message, details}`.
"""

import asyncio
import json
import time
from typing import Any

from aiohttp import WSMsgType, web
from pydantic import ValidationError

from assistant import log
from assistant.local_stack.stand_ins.errors import (
    FaultClosedError,
    FaultFailedError,
    SynthesisError,
    VoiceUnknownError,
)
from assistant.local_stack.stand_ins.parts import PARTS, Parts, cut
from assistant.local_stack.stand_ins.speech_context import SpeechContext, speak
from assistant.local_stack.stand_ins.speech_request import ContextMessage, OneShot, VoiceConfig
from assistant.local_stack.stand_ins.voices import VOICES, find_voice

_log = log.get(__name__)

#: Text only travels in this direction.
MAX_MESSAGE_BYTES = 1 << 16
#: Source: the vendor's page, "a maximum of 5 contexts per connection".
MAX_CONTEXTS = 5

#: gRPC's numbers.
INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, RESOURCE_EXHAUSTED = 3, 5, 6, 8
INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 13, 14, 16
CODES = {
    400: INVALID_ARGUMENT,
    401: UNAUTHENTICATED,
    404: NOT_FOUND,
    429: RESOURCE_EXHAUSTED,
    503: UNAVAILABLE,
}


def error_response(status: int, message: str = "Ordered failure") -> web.Response:
    body = {"code": CODES.get(status, INTERNAL), "message": message, "details": []}
    return web.json_response(body, status=status)


def _authorized(request: web.Request) -> bool:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() in ("basic", "bearer") and bool(key.strip())


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


class Connection:
    """One websocket with its contexts."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self._request = request
        self._ws = ws
        self._parts: Parts = request.app[PARTS]
        self._contexts: dict[str, tuple[SpeechContext, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            async for message in self._ws:
                if message.type is not WSMsgType.TEXT:
                    break
                try:
                    raw = json.loads(message.data)
                    order = ContextMessage.model_validate(raw)
                except ValidationError as error:
                    context_id = raw.get("contextId") if isinstance(raw, dict) else None
                    await self._fail(context_id, INVALID_ARGUMENT, _first_problem(error))
                except ValueError:
                    await self._fail(None, INVALID_ARGUMENT, "the message is not valid JSON")
                else:
                    await self._act(group, order, raw)
            for _, task in self._contexts.values():
                task.cancel()

    async def _act(self, group: asyncio.TaskGroup, order: ContextMessage, raw: Any) -> None:
        # With a single context its id may be left out.
        context_id = order.context_id
        if context_id is None and order.create is None and len(self._contexts) == 1:
            context_id = next(iter(self._contexts))
        context_id = context_id or ""
        if order.create is not None:
            await self._create(group, context_id, order.create, raw)
            return
        context, task = self._contexts.get(context_id, (None, None))
        if context is None or task is None:
            # Cancelling what has just finished is no mistake of the client's.
            if order.cancel_context is None and order.close_context is None:
                await self._fail(context_id, NOT_FOUND, f"Context {context_id} not found")
            return
        try:
            if order.send_text is not None:
                self._parts.journal.add("inworld", "text", raw)
                context.put_text(order.send_text.text)
            elif order.flush_context is not None:
                context.put_flush()
            elif order.close_context is not None:
                context.put_close()
            elif order.cancel_context is not None:
                self._parts.journal.add("inworld", "cancel", raw)
                task.cancel()
            else:
                await self._fail(context_id, INVALID_ARGUMENT, "unknown message")
        except asyncio.QueueFull:
            await self._fail(context_id, RESOURCE_EXHAUSTED, "too much text is waiting")

    async def _create(
        self, group: asyncio.TaskGroup, context_id: str, config: VoiceConfig, raw: Any
    ) -> None:
        text = self._parts.journal.add("inworld", "context", raw)
        if context_id in self._contexts:
            await self._fail(context_id, ALREADY_EXISTS, f"Context {context_id} already exists")
            return
        if len(self._contexts) >= MAX_CONTEXTS:
            await self._fail(context_id, RESOURCE_EXHAUSTED, "too many contexts")
            return
        try:
            voice = find_voice(config.voice_id)
        except VoiceUnknownError as error:
            await self._fail(context_id, NOT_FOUND, str(error))
            return

        async def send(result: dict[str, Any]) -> None:
            await self._result(context_id, result)

        context = SpeechContext(
            config,
            voice,
            synthesizer=self._parts.synthesizer,
            settings=self._parts.settings,
            fault=self._parts.faults.take("inworld", "context", text),
            send=send,
        )
        await self._result(context_id, {"contextCreated": raw["create"]})
        task = group.create_task(
            self._follow(context_id, context), name=f"stand-in-tts-{context_id}"
        )
        self._contexts[context_id] = (context, task)

    async def _follow(self, context_id: str, context: SpeechContext) -> None:
        try:
            await context.run()
            await self._result(context_id, {"contextClosed": {}})
        except asyncio.CancelledError:
            if not self._ws.closed:
                await self._result(context_id, {"contextClosed": {}})
            raise
        except FaultFailedError as error:
            code = CODES.get(error.status, INTERNAL)
            await self._fail(context_id, code, "Ordered failure")
        except FaultClosedError:
            cut(self._request)
        except SynthesisError as error:
            _log.warning("stand_in.synthesis_failed", engine=error.engine, reason=error.reason)
            await self._fail(context_id, INTERNAL, str(error))
        except ConnectionError:
            _log.debug("stand_in.client_left", service="inworld")
        finally:
            self._contexts.pop(context_id, None)

    async def _result(self, context_id: str, result: dict[str, Any]) -> None:
        status = {"code": 0, "message": "", "details": []}
        body = {"contextId": context_id, **result, "status": status}
        await self._ws.send_json({"result": body})

    async def _fail(self, context_id: str | None, code: int, message: str) -> None:
        status = {"code": code, "message": message, "details": []}
        if context_id is None:
            await self._ws.send_json({"error": status})
        else:
            await self._ws.send_json({"result": {"contextId": context_id, "status": status}})


async def stream_bidirectional(request: web.Request) -> web.StreamResponse:
    """`GET /tts/v1/voice:streamBidirectional`: contexts on a websocket."""
    parts = request.app[PARTS]
    if not _authorized(request):
        return error_response(401, "missing API key")
    text = parts.journal.add("inworld", "connect", dict(request.query))
    try:
        await parts.faults.take("inworld", "connect", text).step()
    except FaultFailedError as error:
        return error_response(error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)
    ws = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, compress=False)
    await ws.prepare(request)
    await Connection(request, ws).run()
    return ws


async def stream(request: web.Request) -> web.StreamResponse:
    """`POST /tts/v1/voice:stream`: one text, its audio as lines of JSON."""
    arrived = time.monotonic()
    parts = request.app[PARTS]
    if not _authorized(request):
        return error_response(401, "missing API key")
    try:
        body = json.loads(await request.text())
        config = OneShot.model_validate(body)
        voice = find_voice(config.voice_id)
    except ValidationError as error:
        return error_response(400, _first_problem(error))
    except ValueError:
        return error_response(400, "the body is not valid JSON")
    except VoiceUnknownError as error:
        return error_response(404, str(error))
    fault = parts.faults.take("inworld", "stream", parts.journal.add("inworld", "stream", body))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        async for chunk in speak(
            config.text,
            config=config,
            voice=voice,
            synthesizer=parts.synthesizer,
            settings=parts.settings,
            arrived=arrived,
        ):
            await fault.step()
            if not response.prepared:
                await response.prepare(request)
            result = chunk.as_json(config.model_id, len(config.text))
            await response.write(json.dumps({"result": result}).encode() + b"\n")
    except (FaultFailedError, SynthesisError) as error:
        status = error.status if isinstance(error, FaultFailedError) else 500
        if not response.prepared:
            return error_response(status, str(error))
        wire = {"code": CODES.get(status, INTERNAL), "message": str(error), "details": []}
        await response.write(json.dumps({"error": wire}).encode() + b"\n")
    except FaultClosedError:
        cut(request)
        return response if response.prepared else web.Response(status=500)
    await response.write_eof()
    return response


async def voices(request: web.Request) -> web.StreamResponse:
    """`GET /tts/v1/voices`: all of them; all speak English and nothing else."""
    parts = request.app[PARTS]
    if not _authorized(request):
        return error_response(401, "missing API key")
    text = parts.journal.add("inworld", "voices", dict(request.query))
    try:
        await parts.faults.take("inworld", "voices", text).step()
    except FaultFailedError as error:
        return error_response(error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)
    wanted = request.query.get("filter", "").removeprefix("language=")
    listed = [
        {
            "voiceId": voice.voice_id,
            "displayName": voice.voice_id,
            "description": voice.description,
            "languages": ["en"],
            "tags": [voice.gender],
        }
        for voice in VOICES.values()
        if wanted in ("", "en")
    ]
    return web.json_response({"voices": listed})


def add_routes(app: web.Application) -> None:
    app.router.add_get("/tts/v1/voice:streamBidirectional", stream_bidirectional)
    app.router.add_post("/tts/v1/voice:stream", stream)
    app.router.add_get("/tts/v1/voices", voices)
