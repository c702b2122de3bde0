"""The watchdog kills a process that stops beating, and lets one that ends go."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.timing import scaled

TIMEOUT_S = 2.0
BEATING = f"""
import asyncio, sys
from assistant.worker.process.watchdog import Watchdog
async def main():
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(Watchdog(timeout_s={TIMEOUT_S}).run())
        await asyncio.sleep(0.2)
        print("beating", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        watch.cancel()
asyncio.run(main())
"""


@pytest.fixture
def beating() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", BEATING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "beating\n"
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=scaled(10))


def test_a_frozen_process_is_killed(beating: subprocess.Popen[str]) -> None:
    """SIGSTOP is what a hung loop looks like from outside."""
    os.kill(beating.pid, signal.SIGSTOP)
    assert beating.wait(scaled(TIMEOUT_S + 8)) == -signal.SIGKILL


def test_a_process_that_ends_by_itself_is_let_go(beating: subprocess.Popen[str]) -> None:
    """Its watchdog leaves with it: nothing is left that holds its pipes open."""
    beating.communicate("", timeout=scaled(10))
    assert beating.returncode == 0
