"""Logging: one event name and fields a line, and no secret."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging
from assistant import log
log.configure(level="info", style="json")
log.get("assistant.test").info("thing.happened", session="s1", api_key="canary", name="n")
logging.getLogger("elsewhere").warning("plain %s", "text")
log.get("assistant.test").debug("too.quiet")
"""
PERSONAL = """
import logging
from assistant import log
log.configure(level="info", style=STYLE)
words = {"lk.pii.user_input": "canary", "sent": {"to": ["jane@canary.example"], "n": 3}}
logging.getLogger("livekit.agents").warning("said four one one one one one one one", extra=words)
try:
    secret = "canary"
    raise ValueError("jane@canary.example, +49 151 2345 6789")
except ValueError:
    log.get("assistant.test").exception("thing.failed", session="5551234567", said="212 555 1234")
"""
LATE = """
from assistant import log
log.configure(level="info", style="json")
log.get("assistant.test").error("part.failed", exc_info=ValueError("late"))
"""
SILENT = """
import logging
from assistant import log
log.configure(level="info", style="json")
log.withhold_words()
sdk = logging.getLogger("livekit.agents")
sdk.warning(f"canary {1}", extra={"text": "canary"})
try:
    raise ValueError("canary")
except ValueError:
    sdk.exception("canary %s", "canary")
    log.get("assistant.test").exception("thing.failed", session="s1")
"""


def logged(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stderr


def test_lines_are_json_with_the_event_name_and_its_fields() -> None:
    """Our calls and those of libraries come out alike, at the asked level, without secrets."""
    first, second = (json.loads(line) for line in logged(SCRIPT).splitlines())
    assert first["event"] == "thing.happened"
    assert (first["session"], first["api_key"]) == ("s1", "[redacted]")
    assert first["name_"] == "n"  # a name that the standard library keeps for itself
    assert (second["event"], second["level"]) == ("plain text", "warning")


@pytest.mark.parametrize("style", ["json", "text"])
def test_nothing_personal_gets_into_a_log(style: str) -> None:
    """Neither by a field, however deep, nor by an event's name, nor by an exception's text."""
    text = logged(PERSONAL.replace("STYLE", repr(style)))
    assert "canary" not in text.replace('secret = "canary"', "")
    for personal in ("four one", "2345 6789", "212 555"):
        assert personal not in text
    assert "5551234567" in text, "without its session's id a line helps nobody"
    for name in ("[email]", "[phone]", "[redacted]", "thing.failed", "ValueError"):
        assert name in text


def test_an_exception_of_a_task_that_is_over_is_shown() -> None:
    """Nobody handles it any more; the line has its place all the same."""
    (line,) = (json.loads(line) for line in logged(LATE).splitlines())
    assert (line["event"], line["level"]) == ("part.failed", "error")
    assert "ValueError: late" in line["exception"]


def test_a_second_job_that_must_withhold_words_changes_nothing() -> None:
    """Jobs that share a process do not add up in its log's way."""
    twice = SILENT + "log.withhold_words()\nprint(logging.getLogger().handlers[0].filters)\n"
    done = subprocess.run(
        [sys.executable, "-c", twice], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("_PlaceOnly") == 1


def test_a_process_that_must_withhold_words() -> None:
    """Of a library's record only its place and level are left; of an exception its type."""
    lines = [json.loads(line) for line in logged(SILENT).splitlines()]
    assert [line["event"] for line in lines] == ["library.said", "library.said", "thing.failed"]
    assert "canary" not in json.dumps(lines)
    assert [line.get("error_type") for line in lines] == [None, "ValueError", "ValueError"]
    assert lines[0]["level"] == "warning"
    assert lines[0]["place"].endswith(":7")
    assert lines[2]["session"] == "s1"
