"""Stores the recordings that jobs left on this host: they were killed, or the place was away."""

import asyncio
import time
from pathlib import Path

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.recordings import Recordings, RecordingsError
from assistant.sessions.store.archive import Archive
from assistant.sessions.store.records import SessionStore
from assistant.worker.record.recorder import Spooled, spooled, store

LOOK_EVERY_S = 5.0
# While the place is away, trying every file every few seconds helps nobody.
RETRY_S = 60.0

_log = log.get(__name__)


async def empty_spool(
    folder: Path, recordings: Recordings, sessions: SessionStore, archive: Archive
) -> None:
    """Store what lies there, until cancelled; several workers of one host may."""
    while True:
        try:
            for recording in spooled(folder):
                await _store(recording, recordings, sessions, archive)
        except (RecordingsError, StoreUnavailableError, OSError) as error:
            _log.warning("spool.kept", error=str(error))
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(LOOK_EVERY_S)


async def _store(
    recording: Spooled, recordings: Recordings, sessions: SessionStore, archive: Archive
) -> None:
    held = recording.lock()
    if held is None:
        return  # its job, or another worker, has it
    with held:
        if not recording.file.exists():
            recording.discard()  # its job was done meanwhile
            return
        session_id, attempt = recording.session_id, recording.attempt
        known = await sessions.standing(session_id) is not None
        if known and not recording.file.stat().st_size:
            _log.warning("recording.empty", session=session_id, attempt=attempt)
        elif known:
            stored = await store(recordings, recording)
            part = {f"recording:{attempt}": {**stored, "started_at": None}}
            known = await archive.finish(session_id, attempt, part, last=False)
            size = stored["bytes"]
            told = ev.RecordingStored(at=time.time(), attempt=attempt, bytes=size)
            await sessions.note(session_id, told)
            _log.info("recording.stored_late", session=session_id, attempt=attempt, bytes=size)
        if not known:
            # Erased, or older than records are kept: nobody could find it, or have it erased.
            await recordings.erase(session_id)
            _log.info("recording.discarded", session=session_id, attempt=attempt)
        recording.discard()
