"""Records both sides of a conversation: into a file of this host, then to where recordings lie.

The SDK's recorder writes an Ogg file with Opus, the caller left and the agent right, every 2.5 s
while the conversation runs. The file lies in the spool folder, under a lock that ends with the job
process; what a job could not store, or left behind when it was killed, its worker stores later.

FFmpeg keeps 256 kB of a file to itself, half a minute of talk that a killed process would take with
it, unless it is told to flush. A pipe, which it always flushes, is no way out: PyAV writes a file's
last page holding the interpreter's lock, and whoever reads the pipe in this process needs the lock
to make room, so that a full pipe stops the process for ever.
Source: livekit-agents 1.8.9, `voice/recorder_io`, `voice/agent_session.py`; PyAV 18.1,
`container/output.py` (close_output); FFmpeg, `libavformat/file.c` (min_packet_size) and `mux.c`
(flush_if_needed).
"""

import asyncio
import fcntl
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import av
from livekit.agents import AgentSession, JobContext, RecordingOptions
from livekit.agents.voice.recorder_io import recorder_io

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.recordings import Recordings, RecordingsError
from assistant.settings import WorkerSettings

# Of a file of an hour, 45 MB, over a slow line; whatever takes longer is left to the worker.
UPLOAD_TIMEOUT_S = 60.0
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


class _Flushing:
    """PyAV for the SDK's recorder: what it has written is with the system."""

    def __getattr__(self, name: str) -> Any:
        return getattr(av, name)

    def open(self, file: Path, *, mode: Literal["w"], format: str) -> Any:  # noqa: A002
        return av.open(file, mode=mode, format=format, options={"flush_packets": "1"})


class Recorder:
    """One attempt's recording."""

    def __init__(self, folder: Path, recordings: Recordings, session_id: str, attempt: int) -> None:
        self.recordings = recordings
        self.recording = Spooled(folder / f"{session_id}.{attempt}.ogg", session_id, attempt)
        self._lock: TextIO | None = None
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
        (ctx.session_directory / _SDK_NAME).symlink_to(self.recording.file.absolute())
        recorder_io.av = _Flushing()  # type: ignore[assignment, attr-defined]

    def started(self, conversation: AgentSession[Any]) -> None:
        """The conversation records from now on."""
        self._started_at = time.time()
        # Otherwise the SDK would also send it to LiveKit's cloud, where the server is that.
        conversation.options.recording_options["audio"] = False

    async def close(self) -> tuple[Mapping[str, Any] | None, ev.Note]:
        """Store the finished recording; what the report says of it, and what to tell.

        None: it could not be stored. The file stays until `discard`, once the report has it;
        after `release` it is the worker's to store, as one that a lost job left.
        """
        attempt = self.recording.attempt
        try:
            stored = dict(await store(self.recordings, self.recording))
        except (RecordingsError, OSError) as error:
            _log.warning("recording.kept", session=self.recording.session_id, error=str(error))
            return None, ev.RecordingFailed(at=time.time(), attempt=attempt, detail=str(error))
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
