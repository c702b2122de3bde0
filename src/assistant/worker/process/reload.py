"""`dev`: the worker, restarted whenever its code or agents.yaml changes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from watchfiles import awatch

STOP_TIMEOUT_S = 5.0


async def run(paths: list[Path], environ: Mapping[str, str]) -> int:
    """Run `python -m assistant start` until Ctrl-C, anew after every change below `paths`."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # One warm process: while code changes often, a pool is mostly made to be thrown away.
    child_environ = {"PREWARM_POOL_SIZE": "1", "ASSISTANT_DRAIN_TIMEOUT": "1", **environ}
    changes = awatch(*paths, stop_event=stopped, watch_filter=_is_source)
    while not stopped.is_set():
        async with _worker(child_environ):
            async for changed in changes:
                names = ", ".join(sorted({Path(path).name for _, path in changed}))
                sys.stderr.write(f"changed: {names}; restarting the worker\n")
                break
    return 0


def _is_source(_change: object, path: str) -> bool:
    return Path(path).suffix in {".py", ".yaml", ".yml", ".lua"}


@contextlib.asynccontextmanager
async def _worker(environ: Mapping[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "assistant", "start", env={**os.environ, **environ}
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()
