"""The stand-ins' process and its control routes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import numpy as np
import psutil
import pytest

from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.settings import read
from tests.timing import scaled

SOURCES = Path(__file__).parents[2] / "src"


@asynccontextmanager
async def started(**environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The stand-ins' process in its own group, which is gone when the test is over."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "assistant.local_stack.stand_ins", "--port", "0"),
        env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_starts_and_ends_cleanly(number: signal.Signals) -> None:
    """One line says where it listens, `/health` answers 200, and a signal, also with a stream
    open, ends it and all its children with status 0.
    """
    async with started() as process, asyncio.timeout(scaled(30)):
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:")
        url = line.split()[-1]
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/health") as answer:
                assert answer.status == 200
                assert (await answer.json())["stt"] == "pocketsphinx"
            ws = await http.ws_connect(f"{url}/v3/ws", headers={"Authorization": "key"})
            assert (await ws.receive_json())["type"] == "Begin"
            noise = np.random.default_rng(1).normal(0, 3000, 16_000).astype(np.int16)
            await ws.send_bytes(noise.tobytes())
            assert (await ws.receive_json())["type"] == "SpeechStarted"
            # The parent of the recognisers, and the one that it forked for the stream.
            children = psutil.Process(process.pid).children(recursive=True)
            assert len(children) == 2
            process.send_signal(number)
            _, errors = await process.communicate()
            assert process.returncode == 0
            assert errors == b""
            await ws.close()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, scaled(10))
        assert alive == []


async def test_killed_server_leaves_no_children() -> None:
    """A server that is killed outright takes its recognising processes with it."""
    async with started() as process, asyncio.timeout(scaled(30)):
        assert process.stdout is not None
        await process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        folder = Path(children[0].cmdline()[-1]).parent
        assert folder.exists()
        process.kill()
        await process.communicate()
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, scaled(10))
        assert alive == []
        assert not folder.exists()


async def test_wrong_settings_are_said(tmp_path: Path) -> None:
    """A wrong value or script ends the start with status 1 and says which."""
    for environment, named in (
        ({"ASSISTANT_STAND_IN_STT_MODE": "psychic"}, b"ASSISTANT_STAND_IN_STT_MODE"),
        ({"ASSISTANT_STAND_IN_SCRIPT": str(tmp_path / "absent.yaml")}, b"absent.yaml"),
    ):
        async with started(**environment) as process:
            _, errors = await asyncio.wait_for(process.communicate(), scaled(20))
            assert process.returncode == 1
            assert named in errors


def test_settings_come_from_the_environment() -> None:
    """Each latency and mode has its variable."""
    values = {
        "STT_DELAY_S": "0.5",
        "LLM_TTFT_S": "0.05",
        "LLM_TOKENS_PER_S": "100",
        "TTS_TTFB_S": "0.25",
        "STT_MODE": "scripted",
        "SCRIPT": "script.yaml",
    }
    environ = {f"ASSISTANT_STAND_IN_{name}": value for name, value in values.items()}
    settings = read(StandInSettings, environ)
    assert settings.stt_delay_s == 0.5
    assert settings.llm_ttft_s == 0.05
    assert settings.llm_tokens_per_s == 100
    assert settings.tts_ttfb_s == 0.25
    assert settings.stt_mode == "scripted"
    assert settings.script == Path("script.yaml")


async def test_control_routes() -> None:
    """Faults are validated, listed and cleared; requests are listed from a number on and cleared;
    a foreign page's form post is refused.
    """
    settings = StandInSettings(stt_mode="scripted")
    async with serving(settings) as url, aiohttp.ClientSession() as http:
        faults = f"{url}/control/faults"
        async with http.post(faults, json={"kind": "fail", "colour": "red"}) as answer:
            assert answer.status == 422
            assert (await answer.json())["errors"][0]["loc"] == ["colour"]
        async with http.post(faults, data="{}") as answer:
            assert answer.status == 415
        async with http.post(faults, json={"kind": "fail", "count": 3}) as answer:
            assert answer.status == 201
        async with http.get(faults) as answer:
            (listed,) = (await answer.json())["faults"]
            assert listed["left"] == 3
        async with http.delete(faults) as answer:
            assert answer.status == 204
        async with http.get(faults) as answer:
            assert (await answer.json())["faults"] == []
        requests = f"{url}/control/requests"
        headers = {"Authorization": "Bearer key"}
        for _ in range(2):
            async with http.get(f"{url}/openai/v1/models", headers=headers) as answer:
                assert answer.status == 200
        async with http.get(requests, params={"after": "1"}) as answer:
            (entry,) = (await answer.json())["requests"]
            assert entry["operation"] == "models"
        async with http.get(requests, params={"after": "x"}) as answer:
            assert answer.status == 422
        async with http.delete(requests) as answer:
            assert answer.status == 204
        async with http.get(requests) as answer:
            assert (await answer.json())["requests"] == []
