"""One process has the end-of-turn model for all conversations of a worker."""

import asyncio
import multiprocessing
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from livekit import local_inference, rtc

from assistant.rehearsal.speech import speak
from assistant.rehearsal.waveform import SAMPLE_RATE_HZ
from assistant.worker.hearing.turn_ends import Line, SharedTurnDetector
from assistant.worker.process.turn_model import SOUND_BYTES, TurnModel, address_for
from tests.timing import scaled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each job has the model")

RATE_HZ = 16_000
KEEP_S = 30.0
# A new program that loads the model: the tests have no nursery.
START_S = scaled(20)
WORKING = f"""
import asyncio, sys
from assistant.worker.hearing.turn_ends import Line
from assistant.worker.process.turn_model import SOUND_BYTES, TurnModel
async def main():
    address = "\\0assistant/" + sys.argv[1]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(TurnModel(address, keep_s={KEEP_S}).run())
        await asyncio.sleep(0)
        await Line(address, answer_timeout_s={START_S}).ask(bytes(SOUND_BYTES))
        print("answered", flush=True)
        await asyncio.Event().wait()
if __name__ == "__main__":
    asyncio.run(main())
"""


@asynccontextmanager
async def worker(*, keep_s: float = KEEP_S) -> AsyncIterator[str]:
    """A worker's side of it; yields the address."""
    address = address_for(f"test-{uuid.uuid4().hex}")
    assert address is not None
    running = asyncio.create_task(TurnModel(address, keep_s=keep_s).run())
    await asyncio.sleep(0)
    try:
        yield address
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert models() == []


def models(parent: int | None = None) -> list[psutil.Process]:
    """The processes that answer, of this process or of `parent`."""
    if parent is None:
        # Beside other tests' servers, which are this process's, too.
        own = [each.pid for each in multiprocessing.active_children() if each.name == "turn model"]
        return [psutil.Process(pid) for pid in own]
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            if is_alive and "_native" in maps(process.pid):
                found.append(process)
    return found


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


async def speech() -> np.ndarray:
    """A sentence at the model's rate."""
    said = await speak("Could you tell me when the night train leaves?")
    samples = np.asarray(said.samples, dtype=np.int16).tobytes()
    resampler = rtc.AudioResampler(SAMPLE_RATE_HZ, RATE_HZ)
    frame = rtc.AudioFrame(samples, SAMPLE_RATE_HZ, 1, len(samples) // 2)
    pieces = [bytes(each.data) for each in (*resampler.push(frame), *resampler.flush())]
    return np.frombuffer(b"".join(pieces), dtype=np.int16)


async def test_conversations_hear_the_same_as_with_a_model_of_their_own() -> None:
    """Whatever was said, in whatever pieces, several at a time, each gets its own answer."""
    sound = await speech()
    own = local_inference.EOT()
    ends = [RATE_HZ // 2, RATE_HZ, 2 * RATE_HZ, len(sound)]

    async def ask(detector: SharedTurnDetector, end: int) -> float:
        stream = detector.stream()
        try:
            for begin in range(0, end, 512):
                piece = sound[begin : min(begin + 512, end)]
                stream.push_audio(rtc.AudioFrame(piece.tobytes(), RATE_HZ, 1, len(piece)))
            while not stream._audio_ch.empty():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
            return (await stream.predict()).end_of_turn_probability
        finally:
            await stream.aclose()

    async with worker() as address:
        detector = SharedTurnDetector(address, answer_timeout_s=START_S)
        answers = await asyncio.gather(*(ask(detector, end) for end in ends))
        assert len(models()) == 1
    alone = [
        own.predict(sound[max(end - local_inference.EOT_MAX_SAMPLES, 0) : end]) for end in ends
    ]
    assert answers == pytest.approx(alone, abs=1e-4)
    assert len({round(each, 3) for each in alone}) == len(ends)


async def test_a_model_that_died_is_replaced_for_the_question_that_met_it() -> None:
    """Also while it holds the connections of conversations that are going on."""
    async with worker() as address:
        line = Line(address, answer_timeout_s=START_S)
        before = await line.ask(bytes(SOUND_BYTES))
        (first,) = models()
        first.send_signal(signal.SIGKILL)
        first.wait(scaled(10))
        assert await line.ask(bytes(SOUND_BYTES)) == before
        (second,) = models()
        assert second.pid != first.pid
        line.close()


async def test_a_model_that_hangs_costs_a_turn_the_longest_delay() -> None:
    """The turn is taken for unfinished, and the next one is asked about as before."""
    async with worker() as address:
        patient = Line(address, answer_timeout_s=START_S)
        await patient.ask(bytes(SOUND_BYTES))
        (model,) = models()
        model.suspend()
        stream = SharedTurnDetector(address, answer_timeout_s=0.2).stream()
        try:
            assert (await stream.predict()).end_of_turn_probability == 0
            model.resume()
            await patient.ask(bytes(SOUND_BYTES))
            patient.close()
        finally:
            await stream.aclose()


async def test_nobody_at_the_address_is_no_error_of_the_conversation() -> None:
    """A worker that is gone: its jobs go on until they notice."""
    stream = SharedTurnDetector("\0assistant/nobody/turn-model").stream()
    try:
        assert (await stream.predict()).end_of_turn_probability == 0
    finally:
        await stream.aclose()


async def test_the_model_is_there_only_while_it_is_needed() -> None:
    """Not before the first conversation, nor long after the last, and again for the next."""
    async with worker(keep_s=0.2) as address:
        assert models() == []
        line = Line(address, answer_timeout_s=START_S)
        first = await line.ask(bytes(SOUND_BYTES))
        (model,) = models()
        await asyncio.sleep(0.6)  # Longer than it is kept: the conversation is still there.
        assert model.is_running()
        line.close()
        await asyncio.to_thread(model.wait, scaled(10))
        assert await line.ask(bytes(SOUND_BYTES)) == first
        line.close()


def test_the_model_ends_with_its_worker(tmp_path: Path) -> None:
    """Also when that is killed, and cannot say so."""
    program = tmp_path / "working.py"
    program.write_text(WORKING, encoding="utf-8")
    working = subprocess.Popen(
        [sys.executable, str(program), uuid.uuid4().hex], stdout=subprocess.PIPE, text=True
    )
    assert working.stdout is not None
    assert working.stdout.readline() == "answered\n"
    (model,) = models(working.pid)
    working.kill()
    working.communicate(timeout=scaled(10))
    model.wait(scaled(10))
