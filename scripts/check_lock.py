# ruff: noqa: INP001 - a script, run by path
"""Fails if requirements.lock does not pin, with a hash, what pyproject.toml asks for.

It needs no network, so it cannot see a pin that nothing asks for any more; `make lock` drops those.
"""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKED_EXTRAS = ("local", "dev", "turn-detector", "deepgram", "cartesia")


def main() -> int:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(r for name in LOCKED_EXTRAS for r in extras[name])]
    # Entries are separated by lines that start with a name; hashes are indented below it.
    entries = re.split(r"\n(?=\S)", Path("requirements.lock").read_text(encoding="utf-8"))
    pins: dict[str, set[str]] = {}
    problems = []
    for entry in entries:
        name, _, rest = entry.partition("==")
        pins.setdefault(canonicalize_name(name), set()).add(re.split(r"[\s;\\]", rest)[0])
        if "--hash=sha256:" not in entry:
            problems.append(f"{name} has no hash")
    for text in asked:
        wanted = Requirement(text)
        pinned = pins.get(canonicalize_name(wanted.name), set())
        if not pinned:
            problems.append(f"{wanted.name} is not pinned")
        problems += [f"{wanted} is pinned as {v}" for v in pinned if v not in wanted.specifier]
    for problem in problems:
        sys.stderr.write(f"requirements.lock: {problem}\n")
    if problems:
        sys.stderr.write("requirements.lock does not match pyproject.toml: run make lock\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
