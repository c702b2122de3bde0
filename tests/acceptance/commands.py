"""`python -m assistant …` and its processes, as an operator runs and sees them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from assistant.local_stack.supervisor import Part, RunningPart
from tests.timing import scaled

COMMAND_WITHIN_S = 30.0
POLL_S = 0.05  # where nothing tells of the change: another process, a key in Redis


@dataclass(frozen=True)
class Ran:
    """What a command that has ended said; `text` is both of its outputs, in one line each."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


async def run_command(
    *args: str,
    environ: Mapping[str, str],
    cwd: Path,
    written: str | None = None,
    goes_on: bool = False,
) -> Ran:
    """Run a command to its end; one that does not end is killed, and fails the test.

    `written`: what is piped into it; None: it gets no input. `goes_on`: somebody sits there who
    might write more.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "assistant", *args),
        env=dict(environ),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL if written is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(scaled(COMMAND_WITHIN_S)):
            if goes_on and process.stdin is not None:
                process.stdin.write((written or "").encode())
                await process.wait()
            piped = None if goes_on or written is None else written.encode()
            out, err = await process.communicate(piped)
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def command_part(name: str, *args: str, environ: Mapping[str, str], cwd: Path) -> Part:
    """A command that goes on until it is told to stop, for a supervisor."""
    return Part(
        name=name, argv=(sys.executable, "-m", "assistant", *args), env=dict(environ), cwd=cwd
    )


async def ended(running: RunningPart, within_s: float) -> int:
    """The exit status, once the process has ended."""
    async with asyncio.timeout(scaled(within_s)):
        await running.exited.wait()
    assert running.returncode is not None
    return running.returncode


def family(pid: int) -> list[psutil.Process]:
    """A process and everything below it, now; also what left its group, as the watchdog does."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


async def gone(processes: Iterable[psutil.Process], within_s: float) -> None:
    """Wait until none of them runs; a zombie does not."""
    left = list(processes)

    async def none_left() -> bool:
        left[:] = [process for process in left if _runs(process)]
        return not left

    await until(none_left, within_s, lambda: f"still running: {left}")


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(
    holds: Callable[[], Awaitable[bool]], within_s: float, otherwise: Callable[[], str]
) -> None:
    """Wait until something holds that tells nobody when it begins to."""
    try:
        async with asyncio.timeout(scaled(within_s)):
            while not await holds():  # noqa: ASYNC110 - as the docstring says
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(otherwise()) from None
