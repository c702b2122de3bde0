"""The end-of-turn model in one process, for all conversations of a worker.

In each job process it would have 18 MB to work in from its first prediction, and 230 MB of weights
would lie in memory before there is anybody to listen to. So the worker holds an address and no
model: the first job that connects has the model's process forked and loaded, in 0.15 s, while the
agent greets. It ends by itself when no conversation has needed it for a while. One that died is
replaced when the next job connects, which jobs do at once.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from livekit import local_inference

from assistant import log

#: Of each question: what the model hears, 16-bit samples, the last one said last.
SOUND_BYTES = 2 * local_inference.EOT_MAX_SAMPLES
#: Of each answer: the probability that the turn has ended.
ANSWER = struct.Struct("<d")
# A prediction takes 25 ms of CPU: at twenty a minute of each caller, one thread is half busy with
# sixty callers. Each that is ever busy beside another one takes 18 MB.
THREADS = 2
KEEP_S = 300.0
# Jobs that connect before there is a process.
BACKLOG = 512
BACKOFF_BASE_S = 0.1
BACKOFF_MAX_S = 30.0
# A process that lived this long was no failed start.
LIVED_S = 10.0
_PEER = struct.Struct("iII")  # process, user and group of SO_PEERCRED

_log = log.get(__name__)


def address_for(worker: str) -> str | None:
    """Where jobs of this worker connect; None: each of them has the model itself.

    A name without a file, which Linux alone has, as it alone forks.
    """
    return f"\0assistant/{worker}/turn-model" if sys.platform == "linux" else None


class TurnModel:
    """The worker's side: listens, and has a process answer as soon as somebody asks."""

    def __init__(self, address: str, *, keep_s: float = KEEP_S) -> None:
        self._address = address
        self._keep_s = keep_s
        self._context = multiprocessing.get_context("forkserver")

    async def run(self) -> None:
        """Until cancelled; the process is gone then."""
        failures = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self._address)
            listener.listen(BACKLOG)
            while True:
                await _readable(listener.fileno())
                began = time.monotonic()
                code = await self._serve(listener)
                if code == 0:
                    failures = 0
                    continue
                failures = 1 if time.monotonic() - began > LIVED_S else failures + 1
                after_s = min(BACKOFF_BASE_S * 2.0 ** min(failures - 1, 16), BACKOFF_MAX_S)
                _log.error("turn_model.gone", exit_code=code, failures=failures, retry_s=after_s)
                await asyncio.sleep(after_s)

    async def _serve(self, listener: socket.socket) -> int | None:
        """One process, from its fork to its end; returns its exit code, None: there was none."""
        process = self._context.Process(
            target=serve, args=(listener, self._keep_s), name="turn model", daemon=True
        )
        starting = asyncio.create_task(asyncio.to_thread(process.start), name="fork turn model")
        try:
            await asyncio.shield(starting)
            _log.info("turn_model.started", pid=process.pid)
            await _readable(process.sentinel)
        except OSError as error:
            _log.error("turn_model.not_started", error=str(error))
        finally:
            with suppress(OSError):
                await starting
            if process.pid is not None:
                if process.exitcode is None:
                    process.kill()
                await asyncio.to_thread(process.join)
        return process.exitcode


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def serve(listener: socket.socket, keep_s: float) -> None:
    """The process itself: answers whoever connects."""
    # Ends with the worker, or when that says so; signals to all of a service's processes are not
    # for it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(_Model(keep_s).serve(listener))


class _Model:
    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._eot = local_inference.EOT()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="turn model")
        self._done = asyncio.Event()
        #: Who has a conversation now.
        self._jobs = 0
        self._leaving: asyncio.TimerHandle | None = None

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        worker = multiprocessing.parent_process()
        if worker is not None:
            loop.add_reader(worker.sentinel, self._done.set)
        self._leaving = loop.call_later(self._keep_s, self._done.set)
        # The first prediction makes the room that all others work in.
        await self._predict(bytes(SOUND_BYTES))
        server = await asyncio.start_unix_server(self._attend, sock=listener, limit=SOUND_BYTES)
        await self._done.wait()
        server.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation's questions, one after another."""
        is_ours = _is_ours(writer)
        self._come()
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while is_ours:
                    sound = await reader.readexactly(SOUND_BYTES)
                    writer.write(ANSWER.pack(await self._predict(sound)))
                    await writer.drain()
        finally:
            writer.close()
            self._go()

    async def _predict(self, sound: bytes) -> float:
        samples = np.frombuffer(sound, dtype=np.int16)
        loop = asyncio.get_running_loop()
        return float(await loop.run_in_executor(self._threads, self._eot.predict, samples))

    def _come(self) -> None:
        self._jobs += 1
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _go(self) -> None:
        self._jobs -= 1
        if not self._jobs:
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(self._keep_s, self._done.set)


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """A name without a file has no permissions: whoever asks must be this user."""
    peer = writer.get_extra_info("socket")
    _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return bool(user == os.getuid())
