"""What an agent tells LiveKit leaves when it is said.

LiveKit's client leaves Nagle's algorithm on: of several messages in a row, all but the first wait
until the server's kernel has acknowledged that one, which Linux puts off by 40 ms. The first one
of an agent that has joined tells a network address; the second one publishes its voice, by which
callers learn of it.

Source: livekit 1.1.21, and the debug log of livekit-server 1.13.5. The client has no setting for
it and is not written in Python; its connections are reached by their file numbers.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

from livekit import rtc

OWN_FILES = Path("/proc/self/fd")  # Only Linux has it.


def follow(room: rtc.Room) -> None:
    """From now on, whenever the room is connected."""

    def on_state(state: rtc.ConnectionState.ValueType) -> None:
        if state == rtc.ConnectionState.CONN_CONNECTED:
            send_at_once()

    room.on("connection_state_changed", on_state)


def send_at_once() -> None:
    """Have this process's TCP connections send what they are given, and what they hold back.

    Which of them is LiveKit's need not be known: no other one of a job wants to wait either.
    """
    try:
        numbers = [int(entry.name) for entry in OWN_FILES.iterdir()]
    except OSError:
        return
    for number in numbers:
        # The others are no connections, or a thread of the client's has closed them meanwhile.
        with suppress(OSError):
            _send_at_once(os.dup(number))


def _send_at_once(copy: int) -> None:
    """Takes over a file number. Raises: OSError: it is no connection."""
    try:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=copy)
    except OSError:
        # `socket.fromfd` would leave it open.
        os.close(copy)
        raise
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
