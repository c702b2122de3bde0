"""What a job does so that its agent is heard soon: its client is used before, and never waits."""

import os
import socket
import subprocess
import sys
import tempfile

import pytest
from livekit import rtc

from assistant.worker import prompt_signals

REHEARSED = """
import asyncio, logging, os
from assistant.worker.process import first_join
from livekit.rtc._ffi_client import FfiClient
logging.basicConfig()
before = len(os.listdir("/proc/self/task"))
first_join.rehearse()
assert len(os.listdir("/proc/self/task")) > before, "the client was not used"
assert not FfiClient.instance.queue._subscribers, "it still listens, on a loop that is closed"
asyncio.run(asyncio.sleep(1.5))  # The client tells what it logs once a second.
logging.getLogger("livekit").error("failed to parse the url: of a room")
"""

SET_UP = """
import os, sys
from livekit.agents import JobProcess
from livekit.rtc._ffi_client import FfiClient
from assistant.catalog.catalog import Catalog
from assistant.worker.process.setup import Setup, kit_of
process = JobProcess(executor_type="process", user_arguments=None, http_proxy=None)
setup = Setup("worker", Catalog.load("agents.yaml").source)
setup.awaited = sys.argv[1] == "awaited"
setup(process)
assert kit_of(process).worker == "worker"
assert (FfiClient._instance is None) == setup.awaited
os._exit(0)  # The client logs a moment later, on a thread that must still find an interpreter.
"""
ENVIRON = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "s" * 32,
    "REDIS_URL": "redis://127.0.0.1:1",
}


def _is_prompt(connection: socket.socket) -> bool:
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere connections stay as they are")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_whatever_else_is_open_a_connection_sends_at_once(family: socket.AddressFamily) -> None:
    """Connections are told so, stay open and keep their mode; files and others are left alone."""
    with (
        socket.create_server(("", 0), family=family) as server,
        socket.socket(family, socket.SOCK_STREAM) as connection,
        socket.socket(family, socket.SOCK_DGRAM) as packets,
        tempfile.TemporaryFile(),
    ):
        connection.connect(server.getsockname()[:2])
        connection.setblocking(False)
        assert not _is_prompt(connection)
        before = os.listdir("/proc/self/fd")  # noqa: PTH208
        prompt_signals.send_at_once()
        assert os.listdir("/proc/self/fd") == before, "a copy of something was left open"  # noqa: PTH208
        assert _is_prompt(connection)
        assert not connection.getblocking()
        assert connection.send(b"still open") == len(b"still open")
        assert packets.fileno() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere connections stay as they are")
async def test_a_room_that_is_connected_once_more_sends_at_once() -> None:
    """Each connection is a new one; what is told of others does nothing."""
    room = rtc.Room()
    prompt_signals.follow(room)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(2):
            with socket.create_connection(server.getsockname()) as connection:
                room.emit("connection_state_changed", rtc.ConnectionState.CONN_RECONNECTING)
                assert not _is_prompt(connection)
                room.emit("connection_state_changed", rtc.ConnectionState.CONN_CONNECTED)
                assert _is_prompt(connection)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the client's threads are not seen")
def test_the_client_is_used_before_a_job_and_nothing_is_said_of_that() -> None:
    """It runs, listens to nothing, and of its complaints only that of no address is not logged."""
    done = subprocess.run(
        [sys.executable, "-c", REHEARSED], capture_output=True, text=True, check=False
    )
    said = "ERROR:livekit:failed to parse the url: of a room\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", said)


@pytest.mark.parametrize("made", ["awaited", "ahead"])
def test_a_job_that_waits_for_its_process_does_not_wait_for_a_rehearsal(made: str) -> None:
    """It takes longer than it saves; a process that is made ahead has the time."""
    done = subprocess.run(
        [sys.executable, "-c", SET_UP, made],
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
