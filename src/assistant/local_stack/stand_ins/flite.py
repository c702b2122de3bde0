"""Speech from the flite program, one process a sentence."""

import asyncio
import io
import shutil
import tempfile
import unicodedata
import wave
from pathlib import Path

import numpy as np

from assistant.local_stack.stand_ins.errors import SynthesisError
from assistant.local_stack.stand_ins.speech import SILENCE, Segment, Speech, align
from assistant.local_stack.stand_ins.voices import Voice

#: A sentence takes some 50 ms; one at the text limit on a busy machine some seconds.
TIMEOUT_S = 30.0
#: Processes at once: more only wait for each other's cores.
MAX_PROCESSES = 4


def installed() -> bool:
    return shutil.which("flite") is not None


def ascii_text(text: str) -> str:
    """What flite can read: accents dropped, other letters and signs left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def parse_segments(output: str) -> list[Segment]:
    """Read `-psdur` output: a line of `sound:end` pairs for each utterance, each from zero."""
    segments: list[Segment] = []
    offset = 0.0
    for line in output.splitlines():
        for pair in line.split():
            name, _, end = pair.rpartition(":")
            segments.append(Segment(name, offset + float(end)))
        offset = segments[-1].end_s if segments else 0.0
    return segments


class FliteEngine:
    """`speak` runs one process and leaves nothing behind."""

    name = "flite"

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_PROCESSES)

    async def speak(self, text: str, voice: Voice, speaking_rate: float) -> Speech:
        """Raises: SynthesisError, where flite fails or takes too long."""
        readable = ascii_text(text)
        if not any(character.isalnum() for character in readable):
            return SILENCE
        async with self._slots:
            with tempfile.TemporaryDirectory(prefix="stand-in-tts-") as folder:
                path = Path(folder) / "speech.wav"
                output = await self._run(readable, voice, speaking_rate, path)
                recorded = await asyncio.to_thread(self._read, path)
        with wave.open(io.BytesIO(recorded)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return Speech(samples, rate, align(text, parse_segments(output)))

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise SynthesisError(self.name, "no audio was written") from error

    async def _run(self, text: str, voice: Voice, speaking_rate: float, path: Path) -> str:
        process = await asyncio.create_subprocess_exec(
            "flite",
            *("-voice", voice.flite, "-psdur"),
            *("--setf", f"duration_stretch={1 / speaking_rate:.3f}"),
            *("--setf", f"f0_shift={voice.pitch:.3f}"),
            *("-f", "/dev/stdin", "-o", str(path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                output, _ = await process.communicate(text.encode() + b"\n")
        except TimeoutError as error:
            raise SynthesisError(self.name, f"nothing within {TIMEOUT_S} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise SynthesisError(self.name, f"exit status {process.returncode}")
        return output.decode("ascii", "replace")
