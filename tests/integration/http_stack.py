"""A real service on a real Valkey and a real livekit-server, in processes of their own."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from assistant.local_stack.livekit_build import livekit_program
from assistant.local_stack.livekit_server import LiveKitKeys, LiveKitPorts, livekit_part, new_keys
from assistant.local_stack.ports import HOST, assign, free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part
from assistant.local_stack.valkey import valkey_part
from assistant.sessions.store import keys as redis_keys
from assistant.sessions.store.workers import Beat
from tests.timing import scaled

PROJECT = Path(__file__).parents[2]
READY_EVERY_S = 0.05
STOP_TIMEOUT_S = 10.0
BACKEND_KEY = "backend-0123456789abcdef"
PAGE_KEY = "page-0123456789abcdefgh"
WITH_KEYS = {
    "ASSISTANT_SECRET_KEYS": f"backend:{BACKEND_KEY}",
    "ASSISTANT_PUBLISHABLE_KEYS": f"page:{PAGE_KEY}",
    "ASSISTANT_TALK_PAGE_KEY": "page",
}


class Running:
    """One process in a group of its own."""

    def __init__(self, part: Part, log_file: Path) -> None:
        self.log_file = log_file
        self._part = part
        with log_file.open("wb") as log:
            self.process = subprocess.Popen(
                part.argv,
                env={"PATH": os.environ["PATH"], **part.env},
                cwd=part.cwd,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_ready(self) -> None:
        deadline = time.monotonic() + scaled(30)
        why: str | None = "not asked"
        while self.process.poll() is None and time.monotonic() < deadline:
            why = asyncio.run(_ask(self._part))
            if why is None:
                return
            time.sleep(READY_EVERY_S)
        raise AssertionError(f"{self._part.name} is not ready ({why}):\n{self.log()[-4000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(scaled(STOP_TIMEOUT_S))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


async def _ask(part: Part) -> str | None:
    assert part.ready is not None
    return await part.ready()


@dataclass
class Stack:
    """The running parts, and what tests need of them."""

    url: str
    livekit_url: str
    livekit_keys: LiveKitKeys
    redis_url: str
    redis: Any
    service: Running
    valkey: Running
    livekit: Running
    environ: Mapping[str, str]
    folder: Path

    def client(
        self, key: str | None = None, *, url: str | None = None, **headers: str
    ) -> httpx.Client:
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return httpx.Client(base_url=url or self.url, headers=headers, timeout=scaled(20))

    @contextmanager
    def another_service(self, **environ: str) -> Iterator[str]:
        """One more replica with settings of its own; its address."""
        port = free_port()
        changed = {**self.environ, "ASSISTANT_HTTP_PORT": str(port), **environ}
        with ExitStack() as stack:
            _start(
                stack, service_part(port, changed, self.folder, name=f"service-{port}"), self.folder
            )
            yield f"http://{HOST}:{port}"

    def has_worker(self, *, max_jobs: int = 100, name: str = "test") -> None:
        """A worker's beat that stays fresh for the module: there is no process behind it."""
        beat = Beat(
            id=f"worker-{name}",
            host="test",
            pid=1,
            agent_name="assistant",
            max_jobs=max_jobs,
            jobs=0,
            warm=3,
            load=0.0,
            draining=False,
            registered=True,
            version="0",
            started_at=time.time(),
        )
        self.redis.set(redis_keys.worker(beat.id), beat.model_dump_json())
        self.redis.sadd(redis_keys.WORKERS, beat.id)

    def default_spec(self, key: str | None = None) -> str:
        """The default agent as the service writes it into records."""
        with self.client(key) as http:
            body = {"sessionId": "spec", "userId": "u"}
            http.post("/api/token", json=body).raise_for_status()
            spec = self.record("spec")["spec"]
            http.delete("/api/sessions/spec").raise_for_status()
        return spec

    def has_no_workers(self) -> None:
        for worker in self.redis.smembers(redis_keys.WORKERS):
            self.redis.delete(redis_keys.worker(worker))
        self.redis.delete(redis_keys.WORKERS)

    def record(self, session_id: str) -> dict[str, str]:
        found: dict[str, str] = self.redis.hgetall(redis_keys.session(session_id))
        return found

    def wait_status(self, session_id: str, *wanted: str) -> dict[str, str]:
        """The record, once it has one of these states."""
        deadline = time.monotonic() + scaled(15)
        while time.monotonic() < deadline:
            record = self.record(session_id)
            if record.get("status") in wanted:
                return record
            time.sleep(READY_EVERY_S)
        raise AssertionError(f"{session_id} is {self.record(session_id)}, not {wanted}")


def new_id(prefix: str = "s") -> str:
    return f"{prefix}-{secrets.token_hex(8)}"


@contextmanager
def running_stack(folder: Path, **environ: str) -> Iterator[Stack]:
    """All three, with `environ` for the service; what cannot start shows its log."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = assign(("valkey", "livekit", "udp", "http"), remembered={})
    livekit_keys = new_keys()
    program = asyncio.run(
        livekit_program(tools_dir=PROJECT / "tools", environ=os.environ, progress=print)
    )
    url = f"http://{HOST}:{ports['http']}"
    livekit_ports = LiveKitPorts(http=ports["livekit"], udp=ports["udp"])
    redis_url = f"redis://{HOST}:{ports['valkey']}/0"
    service_environ = {
        "LIVEKIT_URL": f"ws://{HOST}:{ports['livekit']}",
        "LIVEKIT_API_KEY": livekit_keys.api_key,
        "LIVEKIT_API_SECRET": livekit_keys.api_secret,
        "REDIS_URL": redis_url,
        "ASSISTANT_AGENTS_FILE": str(PROJECT / "agents.yaml"),
        "ASSISTANT_WEB_DIR": str(folder / "web"),
        "ASSISTANT_HTTP_PORT": str(ports["http"]),
        "ASSISTANT_LOG_LEVEL": "debug",
        "ASSISTANT_RATE_LIMIT": "100000",
        "PYTHONPATH": str(PROJECT / "src"),
        **environ,
    }
    with ExitStack() as stack:
        valkey = _start(
            stack, valkey_part(name="valkey", port=ports["valkey"], data_dir=folder / "v"), folder
        )
        livekit = _start(
            stack,
            livekit_part(
                program=program,
                config_file=folder / "livekit.yaml",
                ports=livekit_ports,
                keys=livekit_keys,
                redis_port=None,
                webhook_url=f"{url}/livekit/webhook",
            ),
            folder,
        )
        service = _start(stack, service_part(ports["http"], service_environ, folder), folder)
        redis = Redis.from_url(redis_url, decode_responses=True)
        stack.callback(redis.close)
        yield Stack(
            url=url,
            livekit_url=service_environ["LIVEKIT_URL"],
            livekit_keys=livekit_keys,
            redis_url=redis_url,
            redis=redis,
            service=service,
            valkey=valkey,
            livekit=livekit,
            environ=service_environ,
            folder=folder,
        )


def service_part(
    port: int, environ: Mapping[str, str], folder: Path, *, name: str = "service"
) -> Part:
    return Part(
        name=name,
        argv=(sys.executable, "-W", "error", "-m", "token_service"),
        env=dict(environ),
        ready=http_ready(port, "/livez"),
        cwd=folder,
    )


def _start(stack: ExitStack, part: Part, folder: Path) -> Running:
    running = Running(part, folder / f"{part.name}.log")
    stack.callback(running.stop)
    running.wait_ready()
    return running


def run_service(environ: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A service that is expected not to start: its exit status and its output."""
    return subprocess.run(
        [sys.executable, "-m", "token_service"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "src"), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )
