"""Groq's OpenAI-compatible chat completions, as their clients see them.

Source: the vendor's API reference; errors are in OpenAI's shape.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from assistant.local_stack.stand_ins.chat_request import Answer, ChatRequest, Spoken
from assistant.local_stack.stand_ins.errors import FaultClosedError, FaultFailedError
from assistant.local_stack.stand_ins.faults import FaultPlayer
from assistant.local_stack.stand_ins.parts import PARTS, cut

MODELS = (
    "llama-3.3-70b-versatile",
    "llama-3.1-8b-instant",
    "meta-llama/llama-4-maverick-17b-128e-instruct",
    "meta-llama/llama-4-scout-17b-16e-instruct",
    "openai/gpt-oss-120b",
    "openai/gpt-oss-20b",
    "qwen/qwen3-32b",
    "moonshotai/kimi-k2-instruct",
)
CONTEXT_WINDOW = 131_072
#: What an English token is on average.
CHARS_PER_TOKEN = 4
#: The moment all models are said to have been made.
MODELS_CREATED = 1_733_000_000

#: `type` and `code` of the errors that a fault can ask for; others are server errors.
ERRORS = {
    400: ("invalid_request_error", None, "Bad request"),
    401: ("invalid_request_error", "invalid_api_key", "Invalid API Key"),
    403: ("permissions_error", "permissions_error", "Not allowed"),
    404: ("invalid_request_error", "model_not_found", "The model does not exist"),
    413: ("invalid_request_error", "request_too_large", "Request Entity Too Large"),
    429: ("tokens", "rate_limit_exceeded", "Rate limit reached for model"),
    498: ("server_error", "capacity_exceeded", "Flex tier capacity exceeded"),
}
#: What a rate-limited client is told to wait.
RETRY_AFTER_S = 1


def error_response(status: int, message: str | None = None) -> web.Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 429 else None
    return web.json_response({"error": _error(status, message)}, status=status, headers=headers)


def _error(status: int, message: str | None = None) -> dict[str, Any]:
    kind, code, default = ERRORS.get(
        status, ("internal_server_error", None, "Internal Server Error")
    )
    error: dict[str, Any] = {"message": message or default, "type": kind}
    return error if code is None else {**error, "code": code}


def _authorized(request: web.Request) -> bool:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(key.strip())


def _tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


class Completion:
    """One answer in the vendor's shapes."""

    def __init__(self, chat: ChatRequest, answer: Answer) -> None:
        self.chat = chat
        self.answer = answer
        self.id = f"chatcmpl-{uuid.uuid4()}"
        self.created = int(time.time())
        limit = chat.max_completion_tokens or chat.max_tokens
        self.pieces: list[str] = []
        self.cut_short = False
        if isinstance(answer, Spoken):
            pieces = re.findall(r"\s*\S+\s*?", answer.text)
            self.cut_short = limit is not None and len(pieces) > limit
            self.pieces = pieces[:limit]
        self._call_id = f"call_{uuid.uuid4().hex[:12]}"

    @property
    def finish_reason(self) -> str:
        if not isinstance(self.answer, Spoken):
            return "tool_calls"
        return "length" if self.cut_short else "stop"

    def message(self) -> dict[str, Any]:
        if isinstance(self.answer, Spoken):
            return {"role": "assistant", "content": "".join(self.pieces)}
        function = {"name": self.answer.name, "arguments": self.answer.arguments}
        call = {"id": self._call_id, "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def usage(self, started: float, first: float) -> dict[str, Any]:
        """`started` and `first` are the monotonic times of the request and the first token."""
        spoken = isinstance(self.answer, Spoken)
        produced = len(self.pieces) if spoken else _tokens(json.dumps(self.message()))
        prompt = _tokens("".join(message.text for message in self.chat.messages))
        now = time.monotonic()
        return {
            "queue_time": 0.0,
            "prompt_tokens": prompt,
            "prompt_time": round(first - started, 6),
            "completion_tokens": produced,
            "completion_time": round(now - first, 6),
            "total_tokens": prompt + produced,
            "total_time": round(now - started, 6),
        }

    def whole(self, started: float) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": self.message(),
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": self.usage(started, time.monotonic()),
        }

    def chunk(
        self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any
    ) -> dict[str, Any]:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return {**self._head("chat.completion.chunk"), "choices": [choice], **more}

    def usage_chunk(self, usage: dict[str, Any]) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}

    def deltas(self) -> Sequence[dict[str, Any]]:
        """What the chunks between the first and the last carry."""
        if isinstance(self.answer, Spoken):
            return [{"content": piece} for piece in self.pieces]
        call = {**self.message()["tool_calls"][0], "index": 0}
        return [{"tool_calls": [call]}]

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.chat.model,
            "system_fingerprint": "fp_stand_in",
        }


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """`POST /openai/v1/chat/completions`."""
    parts = request.app[PARTS]
    started = time.monotonic()
    if not _authorized(request):
        return error_response(401)
    try:
        body = json.loads(await request.text())
        chat = ChatRequest.model_validate(body)
    except web.HTTPRequestEntityTooLarge:
        return error_response(413)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return error_response(400, f"'{where}': {first['msg']}")
    except ValueError:
        return error_response(400, "the body is not valid JSON")
    fault = parts.faults.take("groq", "chat", parts.journal.add("groq", "chat", body))
    completion = Completion(chat, parts.responder.answer(chat))
    settings = parts.settings
    try:
        if not chat.stream:
            await fault.step()
            tokens_s = len(completion.pieces) / settings.llm_tokens_per_s
            await asyncio.sleep(settings.llm_ttft_s + tokens_s)
            return web.json_response(completion.whole(started))
        return await _stream(request, completion, fault, started)
    except FaultFailedError as error:
        return error_response(error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)


async def _stream(
    request: web.Request, completion: Completion, fault: FaultPlayer, started: float
) -> web.StreamResponse:
    """Server-sent events: the role, the words at their pace, the reason, the usage, `[DONE]`.

    A fault before the first chunk is the caller's to answer: nothing is on the wire yet. The words
    count as pieces, and so does the reason; a tool is called with the reason, not before.
    """
    settings = request.app[PARTS].settings
    await fault.step()
    await asyncio.sleep(settings.llm_ttft_s)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    first = time.monotonic()
    await _event(response, completion.chunk({"role": "assistant", "content": ""}))
    try:
        for index, delta in enumerate(completion.deltas()):
            due = first + index / settings.llm_tokens_per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await fault.step()
            await _event(response, completion.chunk(delta))
        await fault.step()
        usage = completion.usage(started, first)
        x_groq = {"id": completion.id, "usage": usage}
        await _event(response, completion.chunk({}, completion.finish_reason, x_groq=x_groq))
        await fault.step()
    except FaultFailedError as error:
        await _event(response, {"error": _error(error.status)})
        await response.write_eof()
        return response
    options = completion.chat.stream_options
    if options is not None and options.include_usage:
        await _event(response, completion.usage_chunk(usage))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _event(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(data).encode() + b"\n\n")


async def models(request: web.Request) -> web.StreamResponse:
    """`GET /openai/v1/models`."""
    parts = request.app[PARTS]
    if not _authorized(request):
        return error_response(401)
    fault = parts.faults.take("groq", "models", parts.journal.add("groq", "models", {}))
    try:
        await fault.step()
    except FaultFailedError as error:
        return error_response(error.status)
    except FaultClosedError:
        cut(request)
        return web.Response(status=500)
    data = [
        {
            "id": name,
            "object": "model",
            "created": MODELS_CREATED,
            "owned_by": "stand-in",
            "active": True,
            "context_window": CONTEXT_WINDOW,
        }
        for name in MODELS
    ]
    return web.json_response({"object": "list", "data": data})


def add_routes(app: web.Application) -> None:
    app.router.add_post("/openai/v1/chat/completions", chat_completions)
    app.router.add_get("/openai/v1/models", models)
