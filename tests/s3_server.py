"""A real S3-compatible server for tests: versitygw, built once as a Go tool, serving a folder."""

import asyncio
import fcntl
import hashlib
import os
import platform
import secrets
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from assistant.local_stack.livekit_build import CACHE_NAME
from assistant.local_stack.ports import HOST, free_port
from assistant.local_stack.probes import http_ready
from assistant.local_stack.supervisor import Part, Supervisor
from assistant.local_stack.toolchain import find_go

TOOLS = Path(__file__).parents[1] / "tools" / "s3"
COMMAND = "github.com/versity/versitygw/cmd/versitygw"
BUILD_TIMEOUT_S = 30 * 60.0  # 40 s on two cores; a slow disk and network take longer
REGION = "us-east-1"
BUCKET = "recordings"


@dataclass(frozen=True)
class S3Server:
    """A running server and the folder of its one bucket."""

    endpoint: str
    folder: Path
    access_key: str
    secret_key: str = field(repr=False)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a service and a worker need to use it."""
        return {
            "ASSISTANT_RECORDINGS_URL": f"s3://{BUCKET}/calls",
            "ASSISTANT_RECORDINGS_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
        }


def s3_part(folder: Path, server: S3Server, *, port: int) -> Part:
    metadata = folder / "metadata"
    (server.folder).mkdir(parents=True, exist_ok=True)
    metadata.mkdir(exist_ok=True)
    return Part(
        name="s3",
        argv=(
            str(_program()),
            *("--port", f"{HOST}:{port}", "--region", REGION, "--health", "/health", "--quiet"),
            # Not every file system of a test machine has extended attributes.
            *("posix", "--sidecar", str(metadata), str(server.folder.parent)),
        ),
        env={
            "HOME": str(folder),
            "ROOT_ACCESS_KEY_ID": server.access_key,
            "ROOT_SECRET_ACCESS_KEY": server.secret_key,
        },
        ready=http_ready(port, "/health"),
    )


@asynccontextmanager
async def running_s3(folder: Path) -> AsyncIterator[S3Server]:
    """A server with an empty bucket, on a free port."""
    port = free_port()
    await asyncio.to_thread(_program)
    server = S3Server(
        endpoint=f"http://{HOST}:{port}",
        folder=folder / "buckets" / BUCKET,
        access_key="test-access",
        secret_key=secrets.token_hex(20),
    )
    async with Supervisor(folder / "s3-log") as supervisor:
        await supervisor.start_all([s3_part(folder, server, port=port)])
        yield server


def _program() -> Path:
    """The server's program, built from tools/s3 if need be, by one process at a time."""
    pins = (TOOLS / "go.mod").read_bytes() + (TOOLS / "go.sum").read_bytes()
    home = Path(os.environ.get("HOME") or Path.home())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / CACHE_NAME
    system = f"{platform.system()}-{platform.machine()}".lower()
    target = cache / f"versitygw-{system}-{hashlib.sha256(pins).hexdigest()[:12]}"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(target)
    return target


def _build(target: Path) -> None:
    go = find_go(os.environ.get("PATH"))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    subprocess.run(
        [
            *(str(go.path), "build", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w"),
            *("-o", str(temporary), COMMAND),
        ],
        cwd=TOOLS,
        env={"HOME": str(Path.home()), **os.environ, **go.env, "CGO_ENABLED": "0"},
        timeout=BUILD_TIMEOUT_S,
        check=True,
    )
    temporary.replace(target)
