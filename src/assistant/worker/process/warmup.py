"""A side-effect module: what a job would otherwise load, on its loop, while a caller waits.

The worker imports it once, and every job process inherits the result; where there is no
forkserver (macOS), each job process imports it before it takes a job. Nothing here starts a
thread, a loop or a socket.

Each import was seen as a stall of 100-500 ms in a first job, reported by the SDK's loop monitor;
what is exercised here took 10-40 ms of its loop.
"""

import asyncio
import json
import signal

import anyio._backends._asyncio  # noqa: F401 - the backend that httpx finds by name
import httpcore2  # noqa: F401 - what httpx imports when its first client is made
import httpx2
import openai
import uvloop
from livekit import local_inference
from livekit.agents.llm import ChatMessage
from livekit.agents.tokenize import basic
from livekit.agents.utils import http_context
from openai.pagination import AsyncPage
from openai.types import Model

from assistant.worker import job  # noqa: F401 - and with it everything that a job is made of
from assistant.worker.speaking import speech_rate

# Parses the whole CA bundle, and is cached for the process image.
http_context._create_ssl_context()  # noqa: SLF001

# Reads its patterns at its first word; transcripts are timed by syllables.
basic.hyphenate_word("word")

# Of the two models in its library the small one, which hears voices; see `turn_model`.
local_inference.init_vad()

# A message's schema is made with the first message.
ChatMessage(role="assistant", content=["word"])


def _answer(request: httpx2.Request) -> httpx2.Response:
    """As a server of chat completions would."""
    if request.url.path.endswith("/models"):
        return httpx2.Response(200, json={"object": "list", "data": [_MODEL]})
    return httpx2.Response(200, text=f"data: {json.dumps(_CHUNK)}\n\ndata: [DONE]\n\n")


_MODEL = {"id": "m", "object": "model", "created": 0, "owned_by": "o"}
_CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_CHUNK = {
    "id": "r",
    "object": "chat.completion.chunk",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "tool_calls": [_CALL]}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}

# A language model's client looks at the platform, and makes the types of what it is answered, with
# its first requests: the one that opens the connection, and a reply. The answers are made up here.
with openai.Client(
    api_key="none",
    base_url="http://127.0.0.1/v1",
    http_client=httpx2.Client(transport=httpx2.MockTransport(_answer), trust_env=False),
) as _client:
    _client.models.list()
    for _ in _client.chat.completions.create(model="m", messages=[], stream=True):
        pass
AsyncPage[Model].construct(object="list", data=[_MODEL])

speech_rate.install()

# The loops of worker and jobs: a twentieth less CPU while a caller talks.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

# The worker alone decides when its processes end. A process manager that signals all of them at
# once, as systemd does, would end the forkserver, and with it every conversation.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
