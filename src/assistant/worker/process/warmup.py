"""A side-effect module: what a job would otherwise load, on its loop, while a caller waits.

The worker imports it once, and every job process inherits the result; where there is no
forkserver (macOS), each job process imports it before it takes a job. Nothing here starts a
thread, a loop or a socket.

Each import was seen as a stall of 100-500 ms in a first job, reported by the SDK's loop monitor;
what is exercised here took 10-40 ms of its loop.
"""

import asyncio
import multiprocessing.popen_forkserver  # noqa: F401 - what a job process is told by
import signal

import anyio._backends._asyncio  # noqa: F401 - the backend that httpx finds by name
import httpcore2  # noqa: F401 - what httpx imports when its first client is made
import livekit.agents.llm.async_toolset  # noqa: F401 - with an agent's tools
import numpy.fft  # noqa: F401 - which numpy has imported where it is used
import uvloop

from assistant.worker import job  # noqa: F401 - and with it everything that a job is made of
from assistant.worker.process import first_uses, log_levels
from assistant.worker.speaking import speech_rate

first_uses.of_certificates()
first_uses.of_words()
first_uses.of_voices()
first_uses.of_conversations()
first_uses.of_language_models()

speech_rate.install()
log_levels.install()

# The loops of worker and jobs: a twentieth less CPU while a caller talks.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

# The worker alone decides when its processes end. A process manager that signals all of them at
# once, as systemd does, would end the forkserver, and with it every conversation.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
