"""A changed agents.yaml: what tells it from the old one, and what keeps the old one."""

import json
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
import yaml

from assistant.catalog import Catalog, CatalogInForce, read_again
from assistant.worker.process.keeping import held
from tests.timing import scaled

SHIPPED = Path(__file__).parents[2] / "agents.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    copy = tmp_path / "agents.yaml"
    copy.write_bytes(SHIPPED.read_bytes())
    return copy


def changed(file: Path, old: str, new: str) -> Catalog:
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return Catalog.load(file)


def test_a_digest_is_of_what_the_file_says(file: Path) -> None:
    """Comments and quotes do not count; every value does, and so do files of other hosts."""
    digest = Catalog.load(SHIPPED).digest
    assert changed(file, "# The agents of", "# All agents of").digest == digest
    assert changed(file, "title: Assistant", "title: 'Assistant'").digest == digest
    assert changed(file, "title: Assistant", "title: Helper").digest != digest
    assert len(digest) == 12


def test_a_job_process_builds_the_same_catalog() -> None:
    """What a worker sends along is all of the catalog, profiles, voices and prices included."""
    catalog = Catalog.load(SHIPPED)
    again = Catalog.from_source(catalog.source)
    assert again == catalog
    assert again.digest == catalog.digest


def test_only_what_idle_processes_hold_replaces_them(file: Path) -> None:
    """Prompts of agents that sessions bring along do not; prices, modules, functions and the
    agent of jobs without a session do.
    """
    now = held(Catalog.load(SHIPPED))
    assert held(changed(file, "title: Storyteller", "title: Bard")) == now
    assert held(changed(file, "title: Assistant", "title: Helper")) != now
    assert held(changed(file, "default: assistant", "default: concierge")) != now
    tool = "title: Storyteller\n    tools: [{type: python, function: 'a.b:c'}]"
    assert held(changed(file, "title: Storyteller", tool)) != now
    vad = "vad:\n      provider: silero\n"
    assert held(changed(file, "vad:\n      provider: inference\n", vad)) != now
    prices = "version: 1\nprices: {currency: USD, models: {groq: {m: {characters: 1}}}}"
    assert held(changed(file, "version: 1", prices)) != now


def test_a_wrong_file_is_refused_with_every_problem(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each mistake is a line of the log with its place; there is no catalog to take."""
    document = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    document["agents"]["assistant"]["llm"]["provider"] = "grok"
    document["default"] = "nobody"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert read_again(str(file)) is None
    provider, default, refused = (vars(record) for record in caplog.records)
    assert "agents.assistant.llm.provider: expected one of" in provider["problem"]
    assert "default: no agent of that name" in default["problem"]
    assert (refused["msg"], refused["problems"]) == ("catalog.refused", 2)


def test_the_catalog_in_force_says_since_when(file: Path) -> None:
    """Another catalog is in force from the moment it is put there."""
    in_force = CatalogInForce(Catalog.load(SHIPPED))
    before, fresh = in_force.since, changed(file, "title: Assistant", "title: Helper")
    in_force.replace(fresh)
    assert in_force.now is fresh
    assert in_force.since >= before


PROGRAM = """
import asyncio, os, signal, sys
from assistant.hangup import Hangup

async def main():
    hangup = Hangup()
    if sys.argv[1] == "early":
        os.kill(os.getpid(), signal.SIGHUP)
    stopped = asyncio.Event()
    hangup.follow(stopped.set)
    os.write(3, b"ready\\n")
    asked, gone = asyncio.create_task(hangup.wait()), asyncio.create_task(stopped.wait())
    await asyncio.wait([asked, gone], return_when=asyncio.FIRST_COMPLETED)
    os.write(3, b"read again\\n" if asked.done() else b"stopped\\n")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("how", "outcome"),
    [("early", "read again"), ("signal", "read again"), ("terminal", "stopped")],
)
def test_a_hangup_is_a_wish_unless_the_terminal_has_gone(how: str, outcome: str) -> None:
    """`kill -HUP` reads the file again, also one sent before the loop ran; a closed window ends."""
    out, into = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.dup2(into, 3)
        os.environ["PYTHONPATH"] = str(SHIPPED.parent / "src")
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, how])  # noqa: S606
    os.close(into)
    signal.alarm(int(scaled(20)))  # A program that hangs ends the run, instead of the reverse.
    with os.fdopen(out, encoding="utf-8") as said:
        assert said.readline() == "ready\n"
        if how == "signal":
            os.kill(pid, signal.SIGHUP)
        if how == "terminal":
            os.close(terminal)
        assert said.readline().strip() == outcome
    os.waitpid(pid, 0)
    signal.alarm(0)
    if how != "terminal":
        os.close(terminal)
