"""`python -m assistant up`, which is what `make up` runs, with every part real."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from assistant.local_stack import state_folder
from assistant.local_stack.errors import AlreadyRunningError
from assistant.local_stack.ports import free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Supervisor
from assistant.local_stack.valkey import valkey_part, valkey_url
from tests.timing import scaled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UP = (sys.executable, "-m", "assistant", "up")
FIRST_START_S = scaled(600)  # it may have to build livekit-server
START_S = scaled(60)
STOP_S = scaled(30)
PARTS = ("valkey", "livekit-valkey", "livekit", "stand-ins", "service", "worker")
REPLACEABLE = ("LIVEKIT_", "ASSISTANT_", "REDIS_URL", "GROQ_", "ASSEMBLY", "INWORLD_")
OTHER_VENDORS = """\
version: 1
default: clerk
agents:
  clerk:
    title: Clerk
    instructions: Answer in one sentence.
    stt: {provider: deepgram}
    llm: {provider: groq}
    tts: {provider: cartesia, voice: 694f9389-aac1-45b6-b726-9d9369183238}
"""


class Up:
    """One run of the command."""

    def __init__(self, process: asyncio.subprocess.Process, state_dir: Path, output: Path) -> None:
        self.process = process
        self.state_dir = state_dir
        self.output = output

    @property
    def stack(self) -> dict[str, Any]:
        stored: dict[str, Any] = json.loads((self.state_dir / "stack.json").read_text())
        return stored

    def said(self) -> str:
        return self.output.read_text()

    async def ready(self, limit_s: float) -> None:
        async with asyncio.timeout(limit_s):
            while not (self.state_dir / "stack.json").exists():
                assert self.process.returncode is None, self.said()
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        async with asyncio.timeout(STOP_S):
            return await self.process.wait()

    def family(self) -> list[psutil.Process]:
        """Every process below the command, now."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children


@contextlib.asynccontextmanager
async def up(tmp_path: Path, **settings: str) -> AsyncIterator[Up]:
    """The command, started; its output in a file, its state folder below `tmp_path`."""
    state_dir, output = tmp_path / "state", tmp_path / "output"
    with output.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *UP, cwd=ROOT, env=environ(state_dir, settings), stdout=file, stderr=file
        )
    running = Up(process, state_dir, output)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
            await running.ended()


def environ(state_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anything that replaces a part."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(REPLACEABLE)}
    http_port = str(free_port())
    return {
        **kept,
        "ASSISTANT_STATE_DIR": str(state_dir),
        "ASSISTANT_HTTP_PORT": http_port,
        "PREWARM_POOL_SIZE": "1",
        **settings,
    }


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(STOP_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_up_comes_up_and_ctrl_c_takes_it_down(tmp_path: Path) -> None:
    """Everything is ready, and told; a second one is refused; Ctrl-C leaves no process.

    Whichever vendors agents.yaml names have their stand-ins.
    """
    agents = tmp_path / "agents.yaml"
    agents.write_text(OTHER_VENDORS)
    async with up(tmp_path, ASSISTANT_AGENTS_FILE=str(agents)) as first:
        await first.ready(FIRST_START_S)
        rows = re.findall(r"\((\w+)\) +stand-in ", first.said())
        assert rows == ["deepgram", "groq", "cartesia"]
        assert set(first.stack["pids"]) == set(PARTS)
        port = int(first.stack["service_url"].rpartition(":")[2])
        assert await http_ready(port, "/health")() is None
        secret = json.loads((first.state_dir / "livekit-keys.json").read_text())["api_secret"]
        assert secret not in (first.state_dir / "stack.json").read_text() + first.said()
        async with up(tmp_path) as second:
            assert await second.ended() == 1
        assert f"Another stack (process {first.process.pid}) already runs" in first.said()
        family = first.family()
        assert len(family) > len(PARTS)
        first.process.send_signal(signal.SIGINT)
        assert await first.ended() == 0
        assert alive(family) == []
        assert not (first.state_dir / "stack.json").exists()
        assert "Stopped." in first.said()


@pytest.mark.parametrize("name", PARTS)
async def test_a_part_that_dies_is_named(tmp_path: Path, name: str) -> None:
    """Each part, killed: it is named with the end of its log, and nothing stays behind."""
    async with up(tmp_path) as running:
        await running.ready(START_S)
        family = running.family()
        os.kill(running.stack["pids"][name], signal.SIGKILL)
        assert await running.ended() == 1
        assert f"{name} died (killed by SIGKILL)" in running.said()
        assert f"The end of {running.state_dir}/logs/{name}.log:\n    " in running.said()
        await until(lambda: alive(family) == [])


async def test_up_killed_outright_leaves_nothing(tmp_path: Path) -> None:
    """After SIGKILL of the command the guard ends all parts, and only then frees the folder."""
    async with up(tmp_path) as running:
        await running.ready(START_S)
        family = running.family()
        running.process.kill()
        await running.ended()
        with pytest.raises(AlreadyRunningError), state_folder.hold(running.state_dir):
            pass
        await until(lambda: alive(family) == [])
        with state_folder.hold(running.state_dir):
            assert state_folder.read_stack(running.state_dir) is None


async def test_up_refuses_a_busy_port(tmp_path: Path) -> None:
    """A taken port is named, with what to do, and nothing is started."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        async with up(tmp_path, ASSISTANT_HTTP_PORT=str(port)) as running:
            assert await running.ended() == 1
    assert f"Port {port} on 127.0.0.1 is taken by another process." in running.said()
    assert f"ASSISTANT_HTTP_PORT={port + 1}" in running.said()


async def test_up_uses_the_redis_it_is_given(tmp_path: Path) -> None:
    """With REDIS_URL set, that one is used, shown as the user's own, and left running."""
    port = free_port()
    part = valkey_part(name="theirs", port=port, data_dir=tmp_path / "data")
    async with Supervisor(tmp_path / "logs") as supervisor:
        await supervisor.start(part)
        async with up(tmp_path, REDIS_URL=valkey_url(port)) as running:
            await running.ready(START_S)
            assert set(running.stack["pids"]) == set(PARTS) - {"valkey"}
            assert running.stack["redis_url"] is None
            row = next(line for line in running.said().splitlines() if line.startswith("Redis"))
            assert row.split() == ["Redis", "yours", f"redis://127.0.0.1:{port}"]
        assert [theirs.part.name for theirs in supervisor.running] == ["theirs"]
