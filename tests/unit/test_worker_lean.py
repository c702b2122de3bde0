"""What every process of a worker goes without."""

import os
import platform
import subprocess
import sys

import pytest

from tests.timing import scaled

ALLOCATING = """
import ctypes, os, threading
from assistant.worker.process import lean
lean.share_arenas(os.environ)
together = threading.Barrier(8)
def allocate():
    together.wait()
    kept = [bytearray(1000) for _ in range(1000)]
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others have no arenas")
@pytest.mark.parametrize(
    ("set_before", "arenas"),
    [
        pytest.param({}, 2, id="two unless something is set"),
        pytest.param({"MALLOC_ARENA_MAX": "5"}, 5, id="as it is set"),
    ],
)
def test_threads_share_the_c_librarys_pools(set_before: dict[str, str], arenas: int) -> None:
    """Eight threads that allocate at once have two arenas together, or as many as are set."""
    others = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    ended = subprocess.run(
        [sys.executable, "-c", ALLOCATING],
        capture_output=True,
        text=True,
        check=True,
        timeout=scaled(30.0),
        env=others | set_before,
    )
    assert sum(line.startswith("Arena ") for line in ended.stderr.splitlines()) == arenas
