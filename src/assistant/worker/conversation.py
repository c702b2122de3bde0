"""The SDK's session, whose end is bounded."""

import asyncio

from livekit.agents import AgentSession

from assistant import log

# It takes half a second. What comes after it, the job's last word for the report, takes 8 s where a
# language model is asked and 5 s where Redis is away; the service waits 20 s for it in all.
CLOSE_TIMEOUT_S = 5.0

_log = log.get(__name__)


class Conversation(AgentSession[None]):
    """What hangs in its end, such as a vendor's client, does not cost the session's report.

    The SDK itself gives up after a minute. It closes a recording that is still open.
    Source: livekit-agents 1.8.9, `ipc/job_proc_lazy_main.py`, `job.py` (_on_session_end).
    """

    async def aclose(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await super().aclose()
        except TimeoutError:
            _log.error("conversation.not_closed", after_s=CLOSE_TIMEOUT_S)
