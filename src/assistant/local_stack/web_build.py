"""Builds the web page with npm, only when what it is made of has changed.

`python -m assistant.local_stack.web_build` is what `make` runs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from assistant.local_stack.errors import LocalStackError, ToolMissingError
from assistant.local_stack.toolchain import Node, find_node

OUTPUT = "dist"
MODULES = "node_modules"
INSTALLED_STAMP = f"{MODULES}/.installed-from"
BUILT_STAMP = f"{MODULES}/.built-from"
NOT_INPUTS = frozenset({OUTPUT, MODULES, "test-results", "playwright-report"})
STEP_TIMEOUT_S = 15 * 60.0  # a minute on two cores; a slow network takes longer


def build(web_dir: Path, environ: Mapping[str, str]) -> bool:
    """Bring `web_dir`/dist up to date; whether there was anything to do.

    Raises:
        ToolMissingError: there is no Node, or npm failed.
    """
    _check_whole(web_dir)
    inputs = digest(web_dir, input_files(web_dir))
    if _read(web_dir / BUILT_STAMP) == inputs and (web_dir / OUTPUT / "index.html").exists():
        return False
    node = install(web_dir, environ)
    _npm(node, web_dir, environ, "run", "build")
    (web_dir / BUILT_STAMP).write_text(inputs, encoding="utf-8")
    return True


def install(web_dir: Path, environ: Mapping[str, str]) -> Node:
    """Bring the packages of `web_dir` up to date; the Node that uses them.

    Raises:
        ToolMissingError: there is no Node, or npm failed.
    """
    _check_whole(web_dir)
    locked = digest(web_dir, ["package.json", "package-lock.json"])
    node = find_node(environ.get("PATH"))
    if _read(web_dir / INSTALLED_STAMP) != locked:
        _npm(node, web_dir, environ, "ci", "--no-audit", "--no-fund")
        (web_dir / INSTALLED_STAMP).write_text(locked, encoding="utf-8")
    return node


def _check_whole(web_dir: Path) -> None:
    if not (web_dir / "package-lock.json").exists():
        raise ToolMissingError(
            f"{web_dir} holds no package-lock.json.", "Run it in a whole checkout."
        )


def input_files(web_dir: Path) -> list[str]:
    """What the page is made of: every file but the packages and the outputs, in order."""
    found: list[str] = []
    for folder, names, files in os.walk(web_dir):
        here = Path(folder)
        if here == web_dir:
            names[:] = [name for name in names if name not in NOT_INPUTS]
        found.extend((here / name).relative_to(web_dir).as_posix() for name in files)
    return sorted(found)


def digest(folder: Path, names: Iterable[str]) -> str:
    """One hash over the names and contents of files."""
    total = hashlib.sha256()
    for name in names:
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        total.update(f"{content} {name}\n".encode())
    return total.hexdigest()


def _npm(node: Node, web_dir: Path, environ: Mapping[str, str], *args: str) -> None:
    sys.stderr.write(f"web: npm {' '.join(args)}, with {node.origin}\n")
    env = {**environ, "PATH": f"{node.bin_dir}{os.pathsep}{environ.get('PATH', '')}"}
    try:
        subprocess.run([*node.npm, *args], cwd=web_dir, env=env, check=True, timeout=STEP_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ToolMissingError(f"npm {args[0]} failed: {error}", "Its output is above.") from None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--web-dir", type=Path, default=Path("web"))
    parser.add_argument("--run", metavar="SCRIPT", help="run another npm script after the build")
    options = parser.parse_args()
    web_dir: Path = options.web_dir.resolve()
    try:
        build(web_dir, os.environ)
        if options.run:
            _npm(find_node(os.environ.get("PATH")), web_dir, os.environ, "run", options.run)
    except LocalStackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
