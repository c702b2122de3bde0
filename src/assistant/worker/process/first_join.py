"""LiveKit's client, used once before a job comes.

For the first room of a process it makes threads, the media engine with its codecs, and keys, which
takes it 20 ms of the caller's waiting. A room at no address has it make all of them: it prepares
an offer before it looks where to send it. Source: livekit 1.1.21, measured.
"""

import asyncio
import logging
from contextlib import suppress

from livekit import rtc

NOWHERE = ""
# It takes 0.03 s. A process in which it hangs is as good as one that did not try.
TIMEOUT_S = 2.0
#: What the client logs of it, up to a second later.
EXPECTED = "relative URL without a base"


def rehearse() -> None:
    """Not for a thread with a running loop."""
    logging.getLogger("livekit").addFilter(_is_news)
    asyncio.run(_join_nowhere())


async def _join_nowhere() -> None:
    with suppress(rtc.ConnectError, TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            await rtc.Room().connect(NOWHERE, "")


def _is_news(record: logging.LogRecord) -> bool:
    return EXPECTED not in record.getMessage()
