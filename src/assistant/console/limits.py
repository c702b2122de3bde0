"""What ends a conversation in the terminal by its length or its cost, as it ends a session."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from livekit.agents import AgentSession

from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.record import Reason
from assistant.worker.limits.last_words import end_when_empty, warn, warning_before
from assistant.worker.limits.purse import Purse
from assistant.worker.record.teller import Tells
from assistant.worker.speaking.sentences import Sentences


def limits(
    spec: AgentSpec,
    conversation: AgentSession[None],
    terminal: Tells,
    sentences: Sentences,
    purse: Purse | None,
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """What is to run beside a conversation that begins now, each with its name."""
    say = partial(sentences.say, conversation)
    if purse is not None:
        sentence = spec.budget.sentence
        yield "budget", end_when_empty(terminal.session_id, purse, terminal.tell, say, sentence)
    duration_s = spec.limits.max_duration_s
    if duration_s is None:
        return
    now = time.time()
    at = warning_before(now + duration_s, spec.limits, since=now)
    if at is not None:
        yield "warning", warn(at, spec.limits, say, lambda: conversation.current_speech)
    yield "end", _end_after(duration_s, terminal.tell)


async def _end_after(duration_s: float, tell: Callable[[ev.Event], None]) -> None:
    await asyncio.sleep(duration_s)
    tell(ev.EndRequested(at=time.time(), reason=Reason.MAX_DURATION))
