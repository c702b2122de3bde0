"""Logging: one event name and fields a line, and no secret."""

import json
import subprocess
import sys

SCRIPT = """
import logging
from assistant import log
log.configure(level="info", style="json")
log.get("assistant.test").info("thing.happened", session="s1", api_key="canary", name="n")
logging.getLogger("elsewhere").warning("plain %s", "text")
log.get("assistant.test").debug("too.quiet")
"""


def test_lines_are_json_with_the_event_name_and_its_fields() -> None:
    """Our calls and those of libraries come out alike, at the asked level, without secrets."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert first["event"] == "thing.happened"
    assert (first["session"], first["api_key"]) == ("s1", "[redacted]")
    assert first["name_"] == "n"  # a name that the standard library keeps for itself
    assert (second["event"], second["level"]) == ("plain text", "warning")
