"""A side-effect module: what a job would otherwise load, on its loop, while a caller waits.

The forkserver imports it once, and every job process inherits the result; where there is no
forkserver (macOS), each job process imports it before it takes a job. Nothing here starts a
thread, a loop or a socket.

Each import was seen as a stall of 100-500 ms in a first job, reported by the SDK's loop monitor;
what is exercised here took 10-40 ms of its loop.
"""

import signal

import anyio._backends._asyncio  # noqa: F401 - the backend that httpx finds by name
import httpcore2  # noqa: F401 - what httpx imports when its first client is made
import openai.resources.chat.completions  # noqa: F401
from livekit.agents.tokenize import basic
from livekit.agents.utils import http_context
from openai.pagination import AsyncPage
from openai.types import Model
from openai.types.chat import ChatCompletionChunk

from assistant.worker import job  # noqa: F401 - and with it everything that a job is made of

# Parses the whole CA bundle, and is cached for the process image.
http_context._create_ssl_context()  # noqa: SLF001

# Reads its patterns at its first word; transcripts are timed by syllables.
basic.hyphenate_word("word")

# Types of answers get their schemas at the first answer: that of the request which opens the
# connection, and the parts of a streamed reply.
AsyncPage[Model].construct(object="list", data=[{"id": "m", "object": "model"}])
_CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ChatCompletionChunk.construct(
    id="r",
    object="chat.completion.chunk",
    created=0,
    model="m",
    choices=[{"index": 0, "delta": {"role": "assistant", "content": "", "tool_calls": [_CALL]}}],
    usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
)

# The worker alone decides when its processes end. A process manager that signals all of them at
# once, as systemd does, would end the forkserver, and with it every conversation.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
