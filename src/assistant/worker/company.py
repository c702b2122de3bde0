"""What becomes of a conversation in which one side, or both, have fallen silent."""

import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from livekit.agents import AgentSession

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.record import Reason
from assistant.worker.limits.away import AwayPrompts
from assistant.worker.limits.inactivity import Inactivity
from assistant.worker.record.teller import Tells
from assistant.worker.speaking.apology import Apology
from assistant.worker.speaking.dead_air import DeadAirGuard

_log = log.get(__name__)


class Company:
    """The `dead_air`, `away` and `inactivity_timeout_s` of one conversation.

    `guard` is to be run beside it, from when the caller hears the agent; and all of `watches`.
    """

    def __init__(
        self,
        spec: AgentSpec,
        teller: Tells,
        apology: Apology,
        starving_since: Callable[[], float | None],
    ) -> None:
        self._teller = teller
        self.guard = DeadAirGuard(spec.dead_air, teller, apology, starving_since)
        away_s, inactive_s = spec.limits.user_away_timeout_s, spec.limits.inactivity_timeout_s
        self._prompts: AwayPrompts | None = None
        self._inactivity: Inactivity | None = None
        if away_s is not None and (spec.away.prompts or spec.away.end):
            self._prompts = AwayPrompts(spec.away, teller, timeout_s=away_s)
        if inactive_s is not None:
            self._inactivity = Inactivity(timeout_s=inactive_s)

    @property
    def silences(self) -> tuple[Inactivity, ...]:
        """Whose patience ends by the caller's silence."""
        prompts = self._prompts.silence if self._prompts is not None else None
        return tuple(each for each in (prompts, self._inactivity) if each is not None)

    def follow(self, conversation: AgentSession[None]) -> None:
        self.guard.follow(conversation)
        if self._prompts is not None:
            self._prompts.follow(conversation)
        if self._inactivity is not None:
            self._inactivity.follow(conversation)

    def watches(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What is to run beside the conversation, each with its name."""
        if self._prompts is not None:
            yield "away prompts", self._prompts.watch()
        if self._inactivity is not None:
            yield "inactivity", self._end_when_inactive(self._inactivity)

    async def _end_when_inactive(self, inactivity: Inactivity) -> None:
        await inactivity.wait()
        _log.info("job.inactive", session=self._teller.session_id)
        self._teller.tell(ev.EndRequested(at=time.time(), reason=Reason.INACTIVITY))
