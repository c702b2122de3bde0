"""Tells of reports that became ready with a session's end, or that nobody will add to any more."""

import asyncio

from assistant import log
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.archive import Archive

LOOK_EVERY_S = 0.5
RETRY_S = 2.0

_log = log.get(__name__)


async def announce_reports(archive: Archive) -> None:
    """Announce until cancelled; any number of replicas may, and each report is told of once."""
    while True:
        try:
            for session_id in await archive.settle():
                _log.info("report.settled", session=session_id)
        except StoreUnavailableError as error:
            _log.warning("report.settle_failed", error=str(error))
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(LOOK_EVERY_S)
