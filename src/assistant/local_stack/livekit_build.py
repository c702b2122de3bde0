"""Where livekit-server comes from: PATH, the cache, or a build of the pinned Go module."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from assistant.local_stack import guard
from assistant.local_stack.errors import ToolMissingError
from assistant.local_stack.toolchain import Go, Version, find_go

MODULE = "github.com/livekit/livekit-server"
COMMAND = f"{MODULE}/cmd/server"
CACHE_NAME = "livekit-voice-assistant"
VERSION_TIMEOUT_S = 20.0
BUILD_TIMEOUT_S = 30 * 60.0  # two minutes on two cores; a slow disk and network take longer
LOCK_EVERY_S = 0.5
PROGRESS_EVERY_S = 5.0
KEPT_LINES = 20

Progress = Callable[[str], None]


async def livekit_program(
    *, tools_dir: Path, environ: Mapping[str, str], progress: Progress
) -> Path:
    """A livekit-server of the version that `tools_dir`/go.mod pins, built if need be.

    `progress` hears about a build in plain words, every few seconds.

    Raises:
        ToolMissingError: there is no Go to build it with, or the build failed.
    """
    wanted = pinned_version((tools_dir / "go.mod").read_text(encoding="utf-8"))
    on_path = shutil.which("livekit-server", path=environ.get("PATH"))
    if on_path and is_compatible(await _version_text(on_path), wanted):
        return Path(on_path)
    target = cached_program(tools_dir, environ, wanted)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    async with _build_lock(target, progress):
        if not target.exists():  # somebody else may have built it while we waited
            go = await asyncio.to_thread(find_go, environ.get("PATH"))
            await _build(go, tools_dir, environ, target, progress)
    return target


def pinned_version(go_mod: str) -> Version:
    """The version of livekit-server that a go.mod requires.

    Raises:
        ValueError: it requires none.
    """
    found = re.search(
        rf"^\s*(?:require\s+)?{re.escape(MODULE)} v(\d+)\.(\d+)\.(\d+)", go_mod, re.MULTILINE
    )
    if not found:
        raise ValueError(f"tools/go.mod does not require {MODULE}")
    return tuple(int(part) for part in found.groups())


def is_compatible(version_text: str, wanted: Version) -> bool:
    """Whether `livekit-server --version` names the wanted minor version, and no older patch."""
    found = re.search(r"\bversion (\d+)\.(\d+)\.(\d+)\b", version_text)
    if not found:
        return False
    version = tuple(int(part) for part in found.groups())
    return version[:2] == wanted[:2] and version >= wanted


def cached_program(tools_dir: Path, environ: Mapping[str, str], wanted: Version) -> Path:
    """Where the build of exactly these pins belongs, for this system."""
    pins = (tools_dir / "go.mod").read_bytes() + (tools_dir / "go.sum").read_bytes()
    home = Path(environ.get("HOME") or Path.home())
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    version = ".".join(map(str, wanted))
    system = f"{platform.system()}-{platform.machine()}".lower()
    digest = hashlib.sha256(pins).hexdigest()[:12]
    return cache / CACHE_NAME / f"livekit-server-{version}-{system}-{digest}"


async def _version_text(program: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={},
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(VERSION_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace")


@contextlib.asynccontextmanager
async def _build_lock(target: Path, progress: Progress) -> AsyncIterator[None]:
    """Two stacks that start at once build once. The lock ends with its process."""
    with target.with_name(f"{target.name}.lock").open("w") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    progress("waiting for another build of livekit-server")
                waiting = True
                await asyncio.sleep(LOCK_EVERY_S)
        yield


async def _build(
    go: Go, tools_dir: Path, environ: Mapping[str, str], target: Path, progress: Progress
) -> None:
    progress(f"building livekit-server with {go.origin}; about two minutes, once")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    env = {**environ, **go.env, "CGO_ENABLED": "0"}  # so that no C compiler is needed
    env.setdefault("HOME", str(Path.home()))
    process = await asyncio.create_subprocess_exec(
        str(go.path),
        *("build", "-v", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w"),
        *("-o", str(temporary), COMMAND),
        cwd=tools_dir,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(BUILD_TIMEOUT_S):
            last_lines = await _follow(process, progress)
            await process.wait()
        if process.returncode != 0:
            raise ToolMissingError(
                "Building livekit-server failed:\n" + "\n".join(last_lines),
                "The Go module proxy must be reachable; or put a livekit-server on PATH.",
            )
        temporary.replace(target)
    except TimeoutError:
        raise ToolMissingError(
            f"Building livekit-server took longer than {BUILD_TIMEOUT_S / 60:.0f} minutes.",
            "Start again (what is built is kept), or put a livekit-server on PATH.",
        ) from None
    finally:
        if process.returncode is None:
            guard.signal_group(process.pid, signal.SIGKILL)
            await process.wait()
        temporary.unlink(missing_ok=True)
    progress("livekit-server is built")


async def _follow(process: asyncio.subprocess.Process, progress: Progress) -> list[str]:
    """Count what `go build -v` prints (a line a package); its last lines, for an error."""
    assert process.stdout is not None  # noqa: S101 - asked for a pipe above
    started = reported = time.monotonic()
    downloaded = compiled = 0
    last: list[str] = []
    async for raw in process.stdout:
        line = raw.decode(errors="replace").rstrip()
        if line.startswith("go: downloading"):
            downloaded += 1
        else:
            compiled += 1
            last = [*last[-KEPT_LINES + 1 :], line]
        now = time.monotonic()
        if now - reported >= PROGRESS_EVERY_S:
            reported = now
            progress(
                f"{now - started:3.0f} s: {downloaded} modules fetched, "
                f"{compiled} packages compiled"
            )
    return last
