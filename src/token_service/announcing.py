"""What comes due in the archive: reports to be announced, events to be forgotten."""

import asyncio

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.archive import Archive

LOOK_EVERY_S = 0.5
RETRY_S = 2.0
FORGET_EVERY_S = 60.0

_log = log.get(__name__)


async def announce_reports(archive: Archive) -> None:
    """Tell of reports that became ready with a session's end, or that nobody adds to any more.

    Until cancelled; any number of replicas may, and each report is told of once.
    """
    while True:
        try:
            for session_id in await archive.settle():
                _log.info("report.settled", session=session_id)
        except StoreUnavailableError as error:
            _log.warning("report.settle_failed", error=str(error))
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(LOOK_EVERY_S)


async def forget_events(archive: Archive, retention_s: float) -> None:
    """Drop all sessions' events that are older than records are kept, until cancelled."""
    while True:
        try:
            await archive.forget_events(retention_s)
        except StoreUnavailableError as error:
            _log.warning("events.forget_failed", error=str(error))
        await asyncio.sleep(FORGET_EVERY_S)
