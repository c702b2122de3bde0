"""The supervisor, with real tiny processes."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.local_stack import guard
from assistant.local_stack.errors import PartDiedError, PartNotReadyError, PartNotStartedError
from assistant.local_stack.part_log import PartLog
from assistant.local_stack.ports import free_port, is_free
from assistant.local_stack.probes import Probe, http_ready, valkey_ready
from assistant.local_stack.supervisor import Part, RunningPart, Supervisor
from tests.timing import scaled

LIMIT_S = scaled(20)

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))
print('up', flush=True)
while True: time.sleep(600)
"""
SECOND_SIGNAL_ENDS = """
import signal, sys, time
asked = []
def stop(*_):
    asked.append(1)
    print('asked', len(asked), flush=True)
    if len(asked) == 2: sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print('up', flush=True)
while True: time.sleep(0.05)
"""
WITH_GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import signal, time;'
    'signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)'],
    stdout=subprocess.PIPE)
child.stdout.readline()
print('up', flush=True)
time.sleep(600)
"""


def says_up(log_dir: Path, name: str) -> Probe:
    async def probe() -> str | None:
        lines = PartLog(log_dir / f"{name}.log").tail()
        return None if "up" in lines else "has not said that it is up"

    return probe


def a_part(log_dir: Path, name: str, code: str = SLEEPER, **more: Any) -> Part:
    more.setdefault("ready", says_up(log_dir, name))
    more.setdefault("ready_timeout_s", LIMIT_S)
    return Part(name=name, argv=(sys.executable, "-c", code), env=dict(os.environ), **more)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event tells of, such as the end of a stranger's process."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_stops_in_reverse_order_and_leaves_nothing(tmp_path: Path) -> None:
    """Parts are stopped the last first, one after the other, and their groups are gone."""
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[1] + '\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(0.05)\n"
    )
    async with Supervisor(tmp_path) as supervisor:
        parts = [a_part(tmp_path, name, code) for name in ("first", "second", "third")]
        parts = [replace(part, argv=(*part.argv, part.name)) for part in parts]
        await supervisor.start_all(parts)
        pids = [running.pid for running in supervisor.running]
        assert len(pids) == 3
    assert order.read_text().split() == ["third", "second", "first"]
    assert not any(guard.group_is_alive(pid) for pid in pids)


async def test_waits_for_what_a_part_needs(tmp_path: Path) -> None:
    """A part starts only once those that it needs are ready; others start side by side."""
    seen: list[str] = []
    aside_is_ready = tmp_path / "aside-is-ready"

    def on_ready(running: RunningPart) -> None:
        seen.append(running.part.name)
        if running.part.name == "aside":
            aside_is_ready.touch()

    slow = (
        "import os, time\n"
        f"while not os.path.exists({str(aside_is_ready)!r}): time.sleep(0.02)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    async with Supervisor(tmp_path, on_ready=on_ready) as supervisor:
        await supervisor.start_all(
            [
                a_part(tmp_path, "base", slow),
                a_part(tmp_path, "upper", needs=frozenset({"base"})),
                a_part(tmp_path, "aside"),
            ]
        )
        assert seen == ["aside", "base", "upper"]
        assert [running.part.name for running in supervisor.running] == ["base", "upper", "aside"]


async def test_names_a_part_that_dies(tmp_path: Path) -> None:
    """The first unasked end of a part is told, with its status and the end of its log."""
    async with Supervisor(tmp_path) as supervisor:
        running = await supervisor.start(a_part(tmp_path, "fragile"))
        await supervisor.start(a_part(tmp_path, "sound"))
        os.kill(running.pid, signal.SIGKILL)
        async with asyncio.timeout(LIMIT_S):
            death = await supervisor.first_death()
        assert (death.name, death.returncode, death.log_tail) == ("fragile", -9, ("up",))
        assert "fragile died (killed by SIGKILL)" in str(death)


async def test_reports_a_part_that_dies_while_starting(tmp_path: Path) -> None:
    """A death before readiness ends the start with the last lines that it wrote, and no more."""
    code = "import sys; [print(f'line {n}') for n in range(99)]; sys.exit('no such table')"
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(PartDiedError) as caught:
            await supervisor.start_all(
                [a_part(tmp_path, "sound"), a_part(tmp_path, "broken", code)]
            )
    assert caught.value.name == "broken"
    assert caught.value.returncode == 1
    assert "no such table" in caught.value.log_tail
    assert len(caught.value.log_tail) == 20


async def test_reports_a_part_that_is_never_ready(tmp_path: Path) -> None:
    """A part that lives but does not answer is told with the probe's last reason, and stopped."""
    port = free_port()
    part = a_part(tmp_path, "mute", ready=http_ready(port, "/"), ready_timeout_s=0.3)
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(PartNotReadyError, match=rf"mute was not ready .*{port}"):
            await supervisor.start(part)
        assert supervisor.running == ()


async def test_reports_a_program_that_is_not_there(tmp_path: Path) -> None:
    """A missing program is told as such."""
    part = Part(name="absent", argv=(str(tmp_path / "none"),), env={})
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(PartNotStartedError, match="absent could not be started"):
            await supervisor.start(part)


async def test_kills_what_does_not_stop(tmp_path: Path) -> None:
    """A part that ignores its signal is killed after its own bound."""
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(a_part(tmp_path, "stubborn", STUBBORN, stop_timeout_s=0.3))
        started = time.monotonic()
        assert await supervisor.stop("stubborn") == -signal.SIGKILL
        assert time.monotonic() - started < scaled(5)
        assert "no" in supervisor.log_tail("stubborn")


async def test_signals_twice_where_asked(tmp_path: Path) -> None:
    """The second signal comes after `stop_again_after_s`, and a part may end by it."""
    async with Supervisor(tmp_path) as supervisor:
        part = a_part(
            tmp_path,
            "polite",
            SECOND_SIGNAL_ENDS,
            stop_again_after_s=0.2,
            stop_timeout_s=LIMIT_S,
        )
        await supervisor.start(part)
        assert await supervisor.stop("polite") == 0
        assert supervisor.log_tail("polite") == ("up", "asked 1", "asked 2")


async def test_ends_grandchildren(tmp_path: Path) -> None:
    """What a part started and left behind is ended with it, even if it ignores SIGTERM."""
    async with Supervisor(tmp_path) as supervisor:
        running = await supervisor.start(a_part(tmp_path, "parent", WITH_GRANDCHILD))
        await supervisor.stop("parent")
        await until(lambda: not guard.group_is_alive(running.pid))


async def test_starts_a_name_again(tmp_path: Path) -> None:
    """A part that ended may be started again under its name, and its log goes on."""
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(a_part(tmp_path, "again"))
        supervisor.kill("again")
        async with asyncio.timeout(LIMIT_S):
            await supervisor.first_death()
        await supervisor.start(a_part(tmp_path, "again"))
        await until(lambda: supervisor.log_tail("again") == ("up", "up"))
        with pytest.raises(ValueError, match="already runs"):
            await supervisor.start(a_part(tmp_path, "again"))


async def test_cancelling_a_start_stops_everything(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a start leaves no process."""
    pids: list[int] = []

    async def start() -> None:
        async with Supervisor(tmp_path) as supervisor:
            never = a_part(tmp_path, "never", ready=http_ready(free_port(), "/"))
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(0.3, task.cancel)
            try:
                await supervisor.start_all([a_part(tmp_path, "up"), never])
            finally:
                pids.extend(running.pid for running in supervisor.running)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(start(), name="start")
    assert len(pids) == 2
    assert not any(guard.group_is_alive(pid) for pid in pids)


async def test_guard_cleans_up_after_a_killed_supervisor(tmp_path: Path) -> None:
    """With the supervisor killed outright, its parts and their children end all the same."""
    pid_file = tmp_path / "pids"
    code = f"""
import asyncio, pathlib, sys
from assistant.local_stack.supervisor import Part, Supervisor
async def main():
    async with Supervisor(pathlib.Path({str(tmp_path)!r})) as supervisor:
        for name, code in (("plain", {SLEEPER!r}), ("parent", {WITH_GRANDCHILD!r})):
            await supervisor.start(Part(name=name, argv=(sys.executable, "-c", code), env={{}}))
        pids = [str(running.pid) for running in supervisor.running]
        pathlib.Path({str(pid_file)!r}).write_text(" ".join(pids))
        print("started", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=env, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            assert await process.stdout.readline() == b"started\n"
    finally:
        process.kill()
        await process.wait()
    pids = [int(text) for text in pid_file.read_text().split()]
    assert len(pids) == 2
    await until(lambda: not any(guard.group_is_alive(pid) for pid in pids))


async def test_http_probe_tells_why(tmp_path: Path) -> None:
    """The probe names the status, and a port where nobody listens."""
    port = free_port()
    code = f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/good" else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
    assert f"port {port}" in str(await http_ready(port, "/good")())
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(a_part(tmp_path, "http", code, ready=http_ready(port, "/good")))
        assert await http_ready(port, "/bad")() == "GET /bad answered 503"
        assert "PING answered" in str(await valkey_ready(port)())


def test_guard_reads_what_is_left() -> None:
    """The guard ends the groups that were announced and not taken back, newest first."""
    assert guard.groups_left(["+1\n", "+2\n", "-1\n", "+3\n", "-9\n"]) == [3, 2]


def test_log_is_bounded(tmp_path: Path) -> None:
    """A log that grows too long is set aside, and its writer goes on in the same file."""
    log = PartLog(tmp_path / "part.log")
    descriptor = log.open()
    try:
        os.write(descriptor, b"old line\n" * 100)
        assert not log.cut(limit_bytes=900)
        assert log.cut(limit_bytes=899)
        os.write(descriptor, b"new line\n\n")
    finally:
        os.close(descriptor)
    assert log.path.read_bytes() == b"new line\n\n"
    assert log.older.stat().st_size == 900
    assert log.tail() == ("new line",)
    log.begin()
    assert log.tail() == ()


def test_free_port_avoids_those_in_use() -> None:
    """A port that somebody listens on is not free, for TCP or for UDP."""
    port = free_port()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", port))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            assert not is_free(port)
