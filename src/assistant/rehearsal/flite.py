"""Speech by the `flite` program, whose voices speech recognisers understand well."""

import asyncio
import shutil
import tempfile
import wave
from pathlib import Path

import numpy as np

from assistant.rehearsal.errors import SpeechUnavailableError
from assistant.rehearsal.waveform import Samples

DEFAULT_VOICE = "slt"
# flite makes speech some fifty times faster than it plays; this is for a machine that thrashes.
FLITE_TIMEOUT_S = 60.0
INSTALL = "install flite (Debian: apt-get install flite), or use a recording"


def is_installed() -> bool:
    return shutil.which("flite") is not None


async def _run(*arguments: str) -> str:
    """Runs flite and returns what it printed."""
    program = shutil.which("flite")
    if program is None:
        raise SpeechUnavailableError(reason="flite is not installed", remedy=INSTALL)
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(FLITE_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise SpeechUnavailableError(
            reason=f"flite took more than {FLITE_TIMEOUT_S:.0f} s", remedy="say less"
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SpeechUnavailableError(
            reason=f"flite failed with status {process.returncode}: "
            f"{output.decode(errors='replace').strip()[-200:]}",
            remedy=INSTALL,
        )
    return output.decode(errors="replace")


async def voices() -> tuple[str, ...]:
    """The names of flite's built-in voices."""
    _, _, names = (await _run("-lv")).partition(":")
    return tuple(names.split())


async def synthesise(text: str, *, voice: str) -> tuple[int, Samples]:
    """Sample rate and mono samples of `text`.

    Raises:
        SpeechUnavailableError: no flite, no such voice, or it failed.
    """
    # flite takes an unknown voice for the path or URL of a voice file, hence the check.
    known = await voices()
    if voice not in known:
        raise SpeechUnavailableError(
            reason=f"flite has no voice {voice!r}", remedy=f"choose one of {', '.join(known)}"
        )
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        path = Path(folder) / "speech.wav"
        await _run("-voice", voice, "-t", text, "-o", str(path))
        with wave.open(str(path), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return file.getframerate(), samples.astype(np.int16)
