"""The servers of bench/peers that the HTTP service is compared with, as processes on one core."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.http_load import SERVER_CORE, pin
from tests.integration.http_stack import Running

from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part

PEERS = Path(__file__).parent / "peers"


@contextmanager
def peer(
    name: str, python: Path, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a running `bench/peers/{name}/serve.py`."""
    port = free_port()
    part = Part(
        name=name,
        argv=(str(python), str(PEERS / name / "serve.py"), str(port), *arguments),
        env=dict(environ or {}),
        ready=http_ready(port, "/livez"),
        cwd=folder,
    )
    with on_server_core(part, folder):
        yield f"http://{HOST}:{port}"


@contextmanager
def on_server_core(part: Part, folder: Path) -> Iterator[None]:
    """A part that is ready and has the servers' core; its log is in `folder`."""
    running = Running(part, folder / f"{part.name}.log")
    try:
        running.wait_ready()
        pin(running.process.pid, SERVER_CORE)
        yield
    finally:
        running.stop()
