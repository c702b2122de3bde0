"""What a worker and a house write to each other, beside what the SDK writes to any job process.

Imported on both sides, it makes these messages known to the SDK's channel between them.
Source: livekit-agents 1.8.9, `ipc/channel.py`, `ipc/proto.py`, whose numbers end at 11.
"""

import io
from dataclasses import dataclass, field
from typing import ClassVar

from livekit.agents.ipc import channel, proto
from livekit.agents.ipc.channel import Message


@dataclass
class Left:
    """From the house: the seat is free, its job is over."""

    MSG_ID: ClassVar[int] = 101


@dataclass
class Evict:
    """To the house: end the seat's job without waiting for it."""

    MSG_ID: ClassVar[int] = 102


@dataclass
class Letter:
    """A message to or from one seat: the SDK's own for its job, or one of the above."""

    MSG_ID: ClassVar[int] = 100

    seat: int = 0
    message: Message = field(default_factory=Left)

    def write(self, b: io.BytesIO) -> None:
        channel.write_int(b, self.seat)
        channel.write_bytes(b, channel._write_message(self.message))  # noqa: SLF001

    def read(self, b: io.BytesIO) -> None:
        self.seat = channel.read_int(b)
        self.message = channel._read_message(channel.read_bytes(b), proto.IPC_MESSAGES)  # noqa: SLF001


@dataclass
class Pulse:
    """From the house, again and again: its loop runs, and was at most so late since the last."""

    MSG_ID: ClassVar[int] = 103

    late_s: float = 0.0

    def write(self, b: io.BytesIO) -> None:
        channel.write_float(b, self.late_s)

    def read(self, b: io.BytesIO) -> None:
        self.late_s = channel.read_float(b)


proto.IPC_MESSAGES.update({kind.MSG_ID: kind for kind in (Left, Evict, Letter, Pulse)})
