"""Job processes are forked off what the worker has loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import scaled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is shared")

FORKED = """
import multiprocessing, os, signal, sys
from multiprocessing import forkserver
from assistant.worker.process import nursery
import loaded
def child():
    mine, other = context.Pipe()
    process = context.Process(target=loaded.born, args=(other,))
    process.start()
    seen = mine.recv()
    process.join()
    return seen
if __name__ == "__main__":
    os.environ["SINCE"] = "before"
    assert nursery.prepare(["loaded"])
    os.environ["SINCE"] = "after"
    context = multiprocessing.get_context("forkserver")
    pid, parent, by, since = child()
    assert (by, since) == (os.getpid(), "before"), (by, since)
    assert len({pid, parent, os.getpid()}) == 3
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(parent, number)
        assert child()[1] == parent, "it ended by a signal that is for the worker"
    os.kill(parent, signal.SIGKILL)
    os.waitid(os.P_PID, parent, os.WEXITED | os.WNOWAIT)
    pid, again, by, since = child()
    assert (by, since) == (again, "after"), (by, since)
    print("started anew", again)
"""
THREADED = """
import multiprocessing, os, threading
from assistant.worker.process import nursery
import loaded
if __name__ == "__main__":
    stop = threading.Event()
    threading.Thread(target=stop.wait).start()
    assert not nursery.prepare(["loaded"])
    context = multiprocessing.get_context("forkserver")
    mine, other = context.Pipe()
    process = context.Process(target=loaded.born, args=(other,))
    process.start()
    pid, parent, by, _ = mine.recv()
    process.join()
    stop.set()
    assert by != os.getpid()
    print("started anew", parent)
"""
TOLD_TO_END = """
from assistant.worker.process import nursery
nursery.prepare(["ignoring"])
print("went on")
"""
IGNORING = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(os.getpid(), signal.SIGTERM)
"""
LOADED = """
import os
BY = os.getpid()
def born(answer):
    answer.send((os.getpid(), os.getppid(), BY, os.environ["SINCE"]))
"""


def test_what_the_worker_loads_is_there_in_each_process(tmp_path: Path) -> None:
    """Processes are forked off the worker's own memory; a signal for the worker ends no source of
    processes; one that was killed is started anew.
    """
    done = run(tmp_path, FORKED, loaded=LOADED)
    assert done.stdout.startswith("started anew"), done.stderr


def test_nothing_is_forked_beside_a_thread(tmp_path: Path) -> None:
    """A thread's locks would stay held in each child: the server is a new program then."""
    done = run(tmp_path, THREADED, loaded=LOADED, since="before")
    assert done.stdout.startswith("started anew"), done.stderr


def test_a_worker_that_is_told_to_end_while_it_loads_ends(tmp_path: Path) -> None:
    """Also where what it loads ignores the signal, as it does for the processes that are forked."""
    done = run(tmp_path, TOLD_TO_END, ignoring=IGNORING)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


def run(
    folder: Path, program: str, *, since: str = "", **modules: str
) -> subprocess.CompletedProcess[str]:
    for name, text in {"program": program, **modules}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(folder / "program.py")],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
        cwd=folder,
        env={**os.environ, "SINCE": since},
    )
