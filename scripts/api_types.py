# ruff: noqa: INP001 - a script, run by path
"""Writes the API's types for the pages, out of what /openapi.json says; `--check` compares alone.

The schemas are all that the pages use, so the file holds them and no paths: a new route changes
it only by its answers.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from assistant.local_stack.errors import LocalStackError
from assistant.local_stack.web_build import install
from token_service.openapi import openapi

WEB = Path(__file__).parents[1] / "web"
TYPES = WEB / "src" / "generated" / "api.d.ts"
GENERATOR = WEB / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
OPTIONS = (
    "--root-types",
    "--root-types-no-schema-prefix",
    "--immutable",
    "--alphabetize",
    # A field that has a default may be left out by whoever writes it.
    "--default-non-nullable=false",
)
TIMEOUT_S = 60.0


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    try:
        text = generated()
    except (LocalStackError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if TYPES.is_file() and TYPES.read_text(encoding="utf-8") == text:
        return 0
    if check:
        sys.stderr.write(f"{TYPES} is not what /openapi.json says: run make types\n")
        return 1
    TYPES.parent.mkdir(exist_ok=True)
    TYPES.write_text(text, encoding="utf-8")
    return 0


def generated() -> str:
    """The types as they should be.

    Raises:
        ToolMissingError: there is no Node, or npm failed.
        SubprocessError: the generator failed.
    """
    node = install(WEB, os.environ).bin_dir / "node"
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "openapi.json", Path(folder) / "api.d.ts"
        document = {**json.loads(openapi()), "paths": {}}
        source.write_text(json.dumps(_plain(document)), encoding="utf-8")
        subprocess.run(
            [node, GENERATOR, source, "--output", output, *OPTIONS],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
        return output.read_text(encoding="utf-8")


def _plain(schema: Any) -> Any:
    """Without what says in a comment what the type says: titles, and defaults that are null."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _plain(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
        and not (name == "default" and value is None)
    }


if __name__ == "__main__":
    sys.exit(main())
