"""A side-effect module: what a job would otherwise load, on its loop, while a caller waits.

The forkserver imports it once, and every job process inherits the result; where there is no
forkserver (macOS), each job process imports it before it takes a job. Nothing here starts a
thread, a loop or a socket.

Each import was seen as a stall of 100-500 ms in a first job, reported by the SDK's loop monitor.
"""

import signal

import anyio._backends._asyncio  # noqa: F401 - the backend that httpx finds by name
import openai.pagination
import openai.resources.chat.completions
import openai.types.chat  # noqa: F401
from livekit.agents.utils import http_context

from assistant.worker import job  # noqa: F401 - and with it everything that a job is made of

# Parses the whole CA bundle, and is cached for the process image.
http_context._create_ssl_context()  # noqa: SLF001

# The worker alone decides when its processes end. A process manager that signals all of them at
# once, as systemd does, would end the forkserver, and with it every conversation.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
