"""What is said when a session's time or budget ends, and the end itself."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from livekit.agents.voice import SpeechHandle

from assistant import log
from assistant.catalog.agent import AgentSpec, Limits
from assistant.sessions import events as ev
from assistant.sessions.record import Reason, Session
from assistant.worker.limits.purse import Purse

LOOK_S = 0.2
# For the answer that is being spoken, and the farewell behind it.
FAREWELL_TIMEOUT_S = 20.0

# Of the time before the end: how long an answer may go on before it gives way to the warning.
PATIENCE = 0.5

Say = Callable[[str], SpeechHandle]

_log = log.get(__name__)


def last_words(
    session: Session,
    spec: AgentSpec,
    tell: Callable[[ev.Event], None],
    say: Say,
    *,
    spoken: Callable[[], SpeechHandle | None],
    purse: Purse | None,
    session_timeout_s: float,
) -> Iterator[Coroutine[Any, Any, None]]:
    """What is to run beside a conversation that has just begun.

    `say` has a sentence said after what is being said, which `spoken` gives.
    """
    if purse is not None:
        yield end_when_empty(session.id, purse, tell, say, spec.budget.sentence)
    now = time.time()
    at = warning_at(
        session,
        spec.limits,
        active_at=now if session.active_at is None else session.active_at,
        session_timeout_s=session_timeout_s,
    )
    # An agent that takes over after that moment leaves it at that.
    if at is not None and at > now:
        yield warn(at, spec.limits, say, spoken)


def warning_at(
    session: Session, limits: Limits, *, active_at: float, session_timeout_s: float
) -> float | None:
    """The moment (Unix s) at which the caller is told that the session will end by itself.

    None: it is too short, or nobody is told. `active_at`: when its first agent joined. The ends
    are those of `assistant.sessions.planning`.
    """
    ends = [active_at + session.max_duration_s]
    if session.queued_at is not None:
        ends.append(session.queued_at + session_timeout_s)
    return warning_before(min(ends), limits, since=active_at)


def warning_before(end: float, limits: Limits, *, since: float) -> float | None:
    """The same of a conversation that goes from `since` to `end` (Unix s)."""
    warning_s = limits.warning_s
    return None if warning_s is None or end - since < 2 * warning_s else end - warning_s


async def warn(
    at: float, limits: Limits, say: Say, spoken: Callable[[], SpeechHandle | None]
) -> None:
    """Behind an answer that is being spoken, unless that would take too long."""
    await asyncio.sleep(at - time.time())
    answer = spoken()
    if answer is not None:
        patience_s = PATIENCE * (limits.warning_s or 0.0)
        # What waits comes to its end, or is broken off, and does not raise.
        await asyncio.wait([asyncio.ensure_future(answer.wait_for_playout())], timeout=patience_s)
        if not answer.done():
            answer.interrupt(force=True)
    say(limits.warning_sentence)


async def end_when_empty(
    session_id: str,
    purse: Purse,
    tell: Callable[[ev.Event], None],
    say: Say,
    sentence: str | None,
) -> None:
    """Let the agent take its leave once the purse is empty, and have the session ended."""
    while True:
        what = purse.used_up()
        if what is not None:
            break
        await asyncio.sleep(LOOK_S)
    _log.info("budget.used_up", session=session_id, what=what)
    if sentence is not None:
        try:
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await say(sentence)
        except (TimeoutError, RuntimeError):
            # Nobody hears it: an endless answer, or the conversation closes already.
            _log.info("budget.no_farewell", session=session_id)
    detail = f"its budget is used up: {what}"
    tell(ev.EndRequested(at=time.time(), reason=Reason.BUDGET, detail=detail))
