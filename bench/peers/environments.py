"""Environments of the peers whose packages are not ours, made once under `.state/bench`."""

import asyncio
import hashlib
import shutil
import sys
from pathlib import Path

from bench.peers.errors import EnvironmentFailedError
from bench.peers.stage import PROJECT

FOLDER = PROJECT / ".state" / "bench" / "environments"
#: Some hundred packages from a registry, over a slow line.
TIMEOUT_S = 900.0
HERE = Path(__file__).parent
#: What a result is told apart by; the rest follows from the requirements.
TOLD = ("livekit", "livekit-agents", "openrtc", "pipecat-ai")


def pins(peer: str) -> dict[str, str]:
    """The versions of a peer's packages."""
    lines = (HERE / peer / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def versions(peer: str) -> dict[str, str]:
    """The versions of a peer's main packages."""
    return {name: pinned for name, pinned in pins(peer).items() if name in TOLD}


async def interpreter(peer: str) -> Path:
    """The Python of a peer's environment, which is made anew when its requirements have changed.

    Raises:
        EnvironmentFailedError: its packages could not be had.
    """
    wanted = HERE / peer / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    folder = FOLDER / peer
    python, mark = folder / "bin" / "python", folder / "made-from"
    if mark.exists() and mark.read_text(encoding="utf-8") == digest:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    await _run(peer, sys.executable, "-m", "venv", str(folder))
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
    await _run(peer, *pip, "install", "--no-deps", "--requirement", str(wanted))
    mark.write_text(digest, encoding="utf-8")
    return python


async def _run(peer: str, *argv: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise EnvironmentFailedError(peer, f"not done within {TIMEOUT_S:g} s") from error
    if process.returncode:
        lines = output.decode(errors="replace").strip().splitlines()
        raise EnvironmentFailedError(peer, lines[-1] if lines else f"exit {process.returncode}")
