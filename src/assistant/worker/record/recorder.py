"""Records both sides of a conversation: into a file of this host, then to where recordings lie.

The SDK's recorder writes an Ogg file with Opus, the caller left and the agent right, every 2.5 s
while the conversation runs. The file lies in the spool folder, under a lock that ends with the job
process; what a job could not store, or left behind when it was killed, its worker stores later.

The recorder is given a pipe, out of which a thread fills the file: FFmpeg keeps 256 kB of a file to
itself, half a minute of talk that a killed process would take with it, and nothing of a pipe.
Source: livekit-agents 1.8.9, `voice/recorder_io`, `voice/agent_session.py`; FFmpeg,
`libavformat/file.c` (min_packet_size) and `aviobuf.c` (AVIO_DATA_MARKER_FLUSH_POINT).
"""

import asyncio
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from livekit.agents import AgentSession, JobContext, RecordingOptions

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.recordings import Recordings, RecordingsError
from assistant.settings import WorkerSettings

# Of a file of an hour, 45 MB, over a slow line; whatever takes longer is left to the worker.
UPLOAD_TIMEOUT_S = 60.0
COPY_TIMEOUT_S = 2.0
COPY_BYTES = 64 * 1024
_SDK_NAME = "audio.ogg"
ON = RecordingOptions(audio=True, traces=False, logs=False, transcript=False)

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A recording on this host, and whose it is."""

    file: Path
    session_id: str
    attempt: int

    @property
    def lock_file(self) -> Path:
        return self.file.with_suffix(".lock")

    def lock(self) -> TextIO | None:
        """Have it for oneself until the file that is returned is closed; None: it is taken."""
        held = self.lock_file.open("w")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            return None
        return held

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self.lock_file.unlink(missing_ok=True)


def spool_folder(settings: WorkerSettings) -> Path:
    return Path(settings.recordings_spool or Path(tempfile.gettempdir()) / "assistant-recordings")


def recorder_for(
    settings: WorkerSettings, spec: AgentSpec, session_id: str, attempt: int
) -> "Recorder | None":
    """What records the attempt; None: it is not to be recorded, or there is no place for it."""
    if spec.record != "audio" or settings.recordings_url is None:
        return None
    try:
        recordings = Recordings(settings.recordings_url, endpoint=settings.recordings_endpoint)
    except RecordingsError as error:
        # The conversation is worth more than its recording, whose failing is told.
        _log.error("recording.impossible", session=session_id, error=str(error))
        return None
    return Recorder(spool_folder(settings), recordings, session_id, attempt)


def _copy(pipe: Path, file: Path) -> None:
    """Until the writer closes its end; what fails is left to whoever stores the file."""
    try:
        with pipe.open("rb", buffering=0) as source, file.open("wb", buffering=0) as target:
            while piece := source.read(COPY_BYTES):
                target.write(piece)
    except OSError as error:
        # Such as a full disk. The recorder gives up when its pipe breaks; the talk goes on.
        _log.warning("recording.broken", error=type(error).__name__)


def spooled(folder: Path) -> Iterator[Spooled]:
    """Everything in the spool folder."""
    for file in sorted(folder.glob("*.ogg")):
        # A session's id has no dot.
        session_id, _, attempt = file.stem.rpartition(".")
        if session_id and attempt.isdecimal():
            yield Spooled(file, session_id, int(attempt))


async def store(recordings: Recordings, recording: Spooled) -> Mapping[str, Any]:
    """Put a recording where recordings lie; what the report says of it.

    Raises:
        RecordingsError: it could not be put there; the file is still here.
    """
    size = recording.file.stat().st_size
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT_S):
            key = await recordings.put(recording.session_id, recording.attempt, recording.file)
    except TimeoutError as error:
        raise RecordingsError(f"it took longer than {UPLOAD_TIMEOUT_S:g} s") from error
    return {"address": recordings.address(key), "bytes": size, "stored_at": time.time()}


class Recorder:
    """One attempt's recording."""

    def __init__(self, folder: Path, recordings: Recordings, session_id: str, attempt: int) -> None:
        self.recordings = recordings
        self.recording = Spooled(folder / f"{session_id}.{attempt}.ogg", session_id, attempt)
        self._lock: TextIO | None = None
        self._copying: threading.Thread | None = None
        self._started_at: float | None = None

    def prepare(self, ctx: JobContext) -> None:
        """Lead the SDK's file into the spool folder; before the conversation starts.

        Raises:
            OSError: the folder cannot be written.
        """
        folder = self.recording.file.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self.recording.lock()
        if self._lock is None:
            raise FileExistsError(self.recording.lock_file)
        self.recording.file.touch(mode=0o600)
        ctx.session_directory.mkdir(parents=True, exist_ok=True)
        pipe = ctx.session_directory / _SDK_NAME
        os.mkfifo(pipe, mode=0o600)
        # A daemon: it waits for a writer, who may never come.
        self._copying = threading.Thread(
            target=_copy, args=(pipe, self.recording.file), name="copy recording", daemon=True
        )
        self._copying.start()

    def started(self, conversation: AgentSession[Any]) -> None:
        """The conversation records from now on."""
        self._started_at = time.time()
        # Otherwise the SDK would also send it to LiveKit's cloud, where the server is that.
        conversation.options.recording_options["audio"] = False

    async def close(self) -> tuple[Mapping[str, Any] | None, ev.Note]:
        """Store the finished recording; what the report says of it, and what to tell.

        None: it could not be stored, and stays for the worker to try again.
        """
        attempt = self.recording.attempt
        if self._copying is not None:
            # The SDK has closed its end by now.
            await asyncio.to_thread(self._copying.join, COPY_TIMEOUT_S)
        try:
            stored = dict(await store(self.recordings, self.recording))
        except (RecordingsError, OSError) as error:
            _log.warning("recording.kept", session=self.recording.session_id, error=str(error))
            self.release()
            return None, ev.RecordingFailed(at=time.time(), attempt=attempt, detail=str(error))
        self.discard()
        stored["started_at"] = self._started_at
        told = ev.RecordingStored(at=time.time(), attempt=attempt, bytes=stored["bytes"])
        return stored, told

    def discard(self) -> None:
        self.recording.discard()
        self.release()

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
