"""From audio inside speech to words: by pocketsphinx in other processes, or by a script."""

import asyncio
import importlib.util
import json
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assistant.local_stack.stand_ins.errors import DecoderLostError, EngineMissingError

#: What recognisers are fed: 16-bit mono PCM at this rate.
RECOGNIZER_RATE = 16_000
#: Loading takes about 0.5 s; a busy machine may need many times that.
START_TIMEOUT_S = 60.0
#: A chunk takes milliseconds; a decoder that is silent for so long hangs.
ANSWER_TIMEOUT_S = 30.0
#: One line of words; an utterance is bounded, so its words are.
MAX_LINE_BYTES = 1 << 20
#: Scripted words appear at the pace of unhurried speech.
SCRIPTED_WORD_S = 0.3


@dataclass(frozen=True)
class Word:
    """One recognised word; times in seconds from the utterance's start, confidence 0 to 1."""

    text: str
    start_s: float
    end_s: float
    confidence: float


class Recognizer(Protocol):
    """One stream's recogniser: `begin`, `feed` as audio arrives, `finish`; again and again."""

    async def begin(self) -> None: ...

    async def feed(self, pcm: bytes) -> tuple[Word, ...]:
        """Take audio and return the best guess so far.

        Raises:
            DecoderLostError: it cannot go on.
        """

    async def finish(self) -> tuple[Word, ...]:
        """The final words.

        Raises:
            DecoderLostError: it cannot go on.
        """

    async def aclose(self) -> None: ...


class RecognizerFactory(Protocol):
    """Gives each stream its recogniser."""

    @property
    def ready(self) -> bool: ...

    async def start(self) -> None: ...

    async def open(self) -> Recognizer: ...

    async def aclose(self) -> None: ...


class ScriptedRecognizer:
    """Hears the script's next line in every utterance, whatever was said."""

    def __init__(self, utterances: tuple[str, ...]) -> None:
        self._utterances = utterances
        self._turn = -1
        self._fed_s = 0.0

    async def begin(self) -> None:
        self._turn += 1
        self._fed_s = 0.0

    async def feed(self, pcm: bytes) -> tuple[Word, ...]:
        self._fed_s += len(pcm) / 2 / RECOGNIZER_RATE
        return self._words(SCRIPTED_WORD_S)[: int(self._fed_s / SCRIPTED_WORD_S)]

    async def finish(self) -> tuple[Word, ...]:
        count = len(self._utterances[self._turn % len(self._utterances)].split())
        return self._words(self._fed_s / max(1, count))

    async def aclose(self) -> None:
        return

    def _words(self, each_s: float) -> tuple[Word, ...]:
        line = self._utterances[self._turn % len(self._utterances)]
        return tuple(
            Word(text, index * each_s, (index + 1) * each_s, 1.0)
            for index, text in enumerate(line.split())
        )


class ScriptedFactory:
    """Every stream hears the script from its first line."""

    def __init__(self, utterances: tuple[str, ...]) -> None:
        self._utterances = utterances

    @property
    def ready(self) -> bool:
        return True

    async def start(self) -> None:
        return

    async def open(self) -> Recognizer:
        return ScriptedRecognizer(self._utterances)

    async def aclose(self) -> None:
        return


class PocketsphinxRecognizer:
    """One stream's decoding process, spoken to in lock step."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def begin(self) -> None:
        await self._ask(b"S")

    async def feed(self, pcm: bytes) -> tuple[Word, ...]:
        return await self._ask(b"A", pcm)

    async def finish(self) -> tuple[Word, ...]:
        return await self._ask(b"E")

    async def aclose(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # The decoding process went first.

    async def _ask(self, kind: bytes, payload: bytes = b"") -> tuple[Word, ...]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._writer.write(struct.pack(">cI", kind, len(payload)) + payload)
                await self._writer.drain()
                line = await self._reader.readline()
        except TimeoutError as error:
            raise DecoderLostError("no answer in time") from error
        except (ConnectionError, ValueError) as error:
            raise DecoderLostError(str(error)) from error
        if not line.endswith(b"\n"):
            raise DecoderLostError("connection closed")
        return tuple(Word(*item) for item in json.loads(line))


class PocketsphinxFactory:
    """Runs the process that holds the model; starts it anew if it has died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = asyncio.Lock()

    @property
    def ready(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Load the model.

        Raises:
            EngineMissingError: pocketsphinx is not installed.
            DecoderLostError: the process did not become ready.
        """
        if importlib.util.find_spec("pocketsphinx") is None:
            remedy = "install the extra `local`, or set ASSISTANT_STAND_IN_STT_MODE=scripted"
            raise EngineMissingError("pocketsphinx", remedy)
        async with self._lock:
            await self._launch()

    async def open(self) -> Recognizer:
        async with self._lock:
            if not self.ready:
                await self._launch()
        try:
            reader, writer = await asyncio.open_unix_connection(
                self._socket_path(), limit=MAX_LINE_BYTES
            )
        except OSError as error:
            raise DecoderLostError(str(error)) from error
        return PocketsphinxRecognizer(reader, writer)

    async def aclose(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), ANSWER_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _socket_path(self) -> str:
        if self._folder is None:
            raise DecoderLostError("not started")
        return str(Path(self._folder.name) / "decoder.sock")

    async def _launch(self) -> None:
        await self.aclose()
        self._folder = tempfile.TemporaryDirectory(
            prefix="stand-in-stt-", ignore_cleanup_errors=True
        )
        script = Path(__file__).with_name("decoder_process.py")
        # -P keeps this folder off the script's module path: its file names are vendors' names.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(script),
            self._socket_path(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output = self._process.stdout
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await output.readline() if output is not None else b""
        except TimeoutError as error:
            raise DecoderLostError("the model did not load in time") from error
        if line.strip() != b"ready":
            raise DecoderLostError("the decoding process ended while it loaded")
