"""`load`: many callers against the running system, as somebody who sizes it runs the command."""

import asyncio
import json
import signal
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.acceptance.commands import run_command, until
from tests.acceptance.system import PROJECT, System
from tests.timing import scaled

pytestmark = pytest.mark.asyncio(loop_scope="session")

MISSED = 1
STOPPED = 130
JOINED_WITHIN_S = 30.0
STOPPED_WITHIN_S = 30.0


async def live_calls(system: System) -> list[str]:
    """The sessions of callers that have an agent."""
    async with system.http() as http:
        answer = await http.get("/api/sessions", params={"search": "load-", "status": "active"})
    return [session["sessionId"] for session in answer.json()["sessions"]]


async def test_callers_are_measured_and_leave_nothing_behind(
    system: System, tmp_path: Path
) -> None:
    """Two callers are answered: figures, plot, and exit 1 for the one bar that was missed, with
    that bar's name. Ctrl-C in the middle of calls ends them all, and says what there was.
    """
    environ = {"PATH": system.environ["PATH"], "HOME": system.environ["HOME"]}
    report, plot = tmp_path / "load.json", tmp_path / "load.svg"
    options = ("load", "--url", system.service_url, "--callers", "2", "--think", "0.1")
    ran = await run_command(
        *(*options, "--turns", "1", "--bar-turn-p95", "30", "--bar-join-p95", "0.001"),
        *("--json", str(report), "--plot", str(plot)),
        environ=environ,
        cwd=PROJECT,
    )
    assert ran.code == MISSED, ran.text
    assert "missed: join p95" in ran.out, ran.text
    assert "missed: turn p95" not in ran.out
    assert "share this machine" in ran.out
    told = json.loads(report.read_text(encoding="utf-8"))
    summary = told["steps"][0]["summary"]
    assert (summary["joined"], summary["due"], summary["answered_turns"]) == (2, 2, 2)
    assert 0 < summary["agent"]["p50"] < summary["greeting"]["p95"]
    assert summary["reply"]["p50"] > 0
    assert summary["cpu"]["callers"] > 0
    assert ET.fromstring(plot.read_text(encoding="utf-8")).tag.endswith("svg")  # noqa: S314 - ours
    assert await live_calls(system) == []

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "assistant", *options, "--turns", "100"),
        env=environ,
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:

        async def both_talk() -> bool:
            return len(await live_calls(system)) == 2

        await until(both_talk, JOINED_WITHIN_S, lambda: "the callers got no agents")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(scaled(STOPPED_WITHIN_S)):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == STOPPED, out.decode()
    assert "2 cut short" in out.decode()

    async def none_live() -> bool:
        return await live_calls(system) == []

    await until(none_live, STOPPED_WITHIN_S, lambda: "sessions were left behind")
