"""Several jobs in a process: what is written to it, who gets one, and what holds its loop."""

import asyncio
import sys
import threading
import time
from dataclasses import dataclass

import pytest
from livekit.agents.ipc import channel, proto
from livekit.agents.ipc.channel import Message

from assistant.worker.process.houses import needless, unneeded, with_room
from assistant.worker.process.letters import Evict, Left, Letter, Pulse
from assistant.worker.process.loop_watch import HELD_S, Hold, LoopWatch, place_of
from tests.timing import scaled


def over_the_channel(message: Message) -> Message:
    written = channel._write_message(message)
    return channel._read_message(written, proto.IPC_MESSAGES)


@pytest.mark.parametrize(
    "inner",
    [
        Left(),
        Evict(),
        proto.ShuttingDown(),
        proto.InferenceResponse(request_id="r", data=b"\x00\xff", error=""),
    ],
    ids=lambda inner: type(inner).__name__,
)
def test_a_letter_arrives_at_its_seat_as_it_was_sent(inner: Message) -> None:
    """A message of the SDK's or of ours, through the SDK's channel, with its seat's number."""
    assert over_the_channel(Letter(70_000, inner)) == Letter(70_000, inner)


def test_a_pulse_tells_how_late_the_loop_was() -> None:
    """In seconds, through the SDK's channel."""
    pulse = over_the_channel(Pulse(1.5))
    assert pulse == Pulse(1.5)


def test_no_message_of_ours_takes_the_number_of_one_of_the_sdk() -> None:
    """A number that the SDK gives to a message of its own would be read as ours."""
    ours: dict[int, type[Message]] = {kind.MSG_ID: kind for kind in (Left, Evict, Letter, Pulse)}
    theirs = {kind.MSG_ID for kind in vars(proto).values() if hasattr(kind, "MSG_ID")}
    assert len(ours) == 4
    assert not ours.keys() & theirs
    assert ours.items() <= proto.IPC_MESSAGES.items()


@dataclass(frozen=True)
class House:
    """A house as it stands, of four seats."""

    taken: int
    jobs: int = 0
    is_worn: bool = False
    is_held: bool = False

    @property
    def free(self) -> int:
        return 4 - self.taken


EMPTY, HALF, FULL = House(0), House(2), House(4)
HELD, WORN, WORN_EMPTY = House(1, is_held=True), House(1, is_worn=True), House(0, is_worn=True)


@pytest.mark.parametrize(
    ("houses", "most", "chosen"),
    [
        ([], 4, None),
        ([FULL], 4, None),
        ([EMPTY, HALF, FULL], 4, HALF),
        ([HELD, EMPTY], 4, EMPTY),
        ([HELD], 4, None),
        ([HELD], 1, HELD),
        ([WORN, WORN_EMPTY], 1, None),
        ([FULL], 1, None),
    ],
)
def test_a_job_goes_where_there_is_room(
    houses: list[House], most: int, chosen: House | None
) -> None:
    """The fullest house with room; where the loop is held, only if there may be no more houses;
    None where there must be another one.
    """
    assert with_room(houses, most=most) is chosen


@pytest.mark.parametrize(
    ("houses", "leaves"),
    [
        ([], None),
        ([EMPTY], None),
        ([EMPTY, FULL], None),
        ([EMPTY, HALF], EMPTY),
        ([HALF, FULL], None),
        ([WORN_EMPTY], WORN_EMPTY),
        ([WORN, EMPTY], None),
    ],
)
def test_an_empty_house_leaves_unless_its_room_is_the_only_one(
    houses: list[House], leaves: House | None
) -> None:
    """What is empty and worn leaves in any case; one that has a job never does."""
    assert unneeded(houses) is leaves


IDLE, BUSY = House(2), House(2, jobs=1)


@pytest.mark.parametrize(
    ("houses", "moved"),
    [
        ([IDLE], None),
        ([IDLE, BUSY], IDLE),
        ([BUSY, BUSY], None),
        ([IDLE, House(3, jobs=1)], None),
        ([IDLE, House(1, jobs=1, is_held=True)], None),
        ([IDLE, House(1, jobs=1, is_worn=True)], None),
        ([EMPTY, BUSY], None),
    ],
)
def test_free_seats_move_where_there_are_jobs(houses: list[House], moved: House | None) -> None:
    """Out of a house without jobs, if the others have room for them now."""
    assert needless(houses) is moved


def hold_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_held_loop_is_told_with_the_function_that_held_it() -> None:
    """A beat that comes late tells how late; the function is named as agents.yaml names tools."""
    beats: list[float] = []
    held = asyncio.Queue[Hold]()
    with LoopWatch(on_beat=beats.append, on_hold=held.put_nowait):
        async with asyncio.timeout(scaled(5)):
            hold_loop(2 * HELD_S)
            hold = await held.get()
    assert hold.late_s >= HELD_S
    assert hold.place == f"{__name__}:hold_loop"
    assert beats == [hold.late_s]


def wait_in_a_library(over: threading.Event) -> None:
    over.wait()


def test_a_place_is_the_innermost_function_that_is_no_librarys() -> None:
    """A tool that waits inside a library is named, not the library."""
    over = threading.Event()
    thread = threading.Thread(target=wait_in_a_library, args=(over,))
    thread.start()
    try:
        give_up_at = time.monotonic() + scaled(5)
        frame = None
        while frame is None or frame.f_code.co_name != "wait":
            assert time.monotonic() < give_up_at
            frame = sys._current_frames().get(thread.ident or 0)
        assert place_of(frame) == f"{__name__}:wait_in_a_library"
    finally:
        over.set()
        thread.join()


async def test_a_loop_that_waits_is_held_by_nobody() -> None:
    """Where the machine does not let the loop run, no function is to blame."""
    loop_thread = threading.get_ident()

    def look() -> str | None:
        give_up_at = time.monotonic() + scaled(5)
        while True:
            frame = sys._current_frames()[loop_thread]
            if frame.f_code.co_name == "select":
                return place_of(frame)
            assert time.monotonic() < give_up_at

    assert await asyncio.to_thread(look) is None
