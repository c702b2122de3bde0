"""Many callers at once: real calls, and whatever stops them, no session is left behind."""

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.rehearsal.api import ServiceClient
from assistant.rehearsal.errors import (
    CallerBrokenError,
    CallerDisconnectedError,
    RehearsalError,
    RoomRefusedError,
    ServiceRefusedError,
    ServiceUnreachableError,
    SessionFailedError,
    WaitTimedOutError,
)
from assistant.rehearsal.load.figures import CallFigures, TurnFigures
from assistant.rehearsal.load.plan import MAX_TURNS, LoadPlan
from assistant.rehearsal.scenario import Call
from assistant.rehearsal.speech import Speech

# Sessions that are looked after together when a run was stopped.
SWEEP_AT_ONCE = 16
SWEEP_TIMEOUT_S = 30.0
# A call that was told to stop ends its session, and leaves its room.
STOP_TIMEOUT_S = 30.0


def reason_of(error: RehearsalError) -> str:
    """The kind of failure, in few enough words that equal ones can be counted."""
    match error:
        case ServiceRefusedError():
            return f"refused: {error.code or error.status}"
        case SessionFailedError():
            return f"session {error.status}: {error.reason or 'no reason'}"
        case ServiceUnreachableError():
            return "the service does not answer"
        case RoomRefusedError():
            return "LiveKit did not let the caller in"
        case CallerDisconnectedError():
            return f"put out of the room: {error.reason}"
        case WaitTimedOutError():
            return f"gave up {error.waiting_for}"
        case CallerBrokenError():
            return "the caller itself broke"
        case _:
            return type(error).__name__


@dataclass
class CallNotes:
    """A call while it goes on; monotonic times."""

    caller: int
    call: Call
    began_at: float
    ended_at: float | None = None
    agent_s: float | None = None
    agent_was_there: bool = False
    greeting_s: float | None = None
    greeted: bool = False
    turns: list[TurnFigures] = field(default_factory=list)
    together_turns: int = 0
    asked: int = 0
    failure: str | None = None
    cut: bool = False

    def figures(self, *, origin: float, now: float, planned: int) -> CallFigures:
        """What is known now; a failed call owes the turns that it did not come to."""
        due = len(self.turns) if self.cut else self.asked
        if self.failure:
            due = max(planned, self.asked)
        elif self.ended_at is None:
            due = len(self.turns)
        return CallFigures(
            caller=self.caller,
            session_id=self.call.session_id,
            began_s=self.began_at - origin,
            ended_s=(self.ended_at or now) - origin,
            agent_s=self.agent_s,
            agent_was_there=self.agent_was_there,
            greeting_s=self.greeting_s,
            turns=tuple(self.turns),
            due=due,
            failure=self.failure,
            cut=self.cut,
        )


class Crowd:
    """Carries out one plan; `run` may be called once."""

    def __init__(
        self,
        service: ServiceClient,
        speeches: Sequence[Speech],
        plan: LoadPlan,
        *,
        config: dict[str, Any] | None = None,
    ) -> None:
        self._service = service
        self._speeches = speeches
        self._plan = plan
        self._config = config
        self._run_id = uuid.uuid4().hex[:8]
        self._notes: list[CallNotes] = []
        #: The newest call of each caller, None while it has not begun its first one.
        self._current: list[CallNotes | None] = [None] * plan.callers
        self.began_at = time.monotonic()
        #: Sessions that could not be ended; known after `run`.
        self.left_behind: list[str] = []

    def calls(self) -> list[CallFigures]:
        """Every call that has begun, as it stands."""
        now = time.monotonic()
        return [
            notes.figures(origin=self.began_at, now=now, planned=self._plan.turns)
            for notes in self._notes
        ]

    async def run(self, stop: asyncio.Event) -> list[CallFigures]:
        """Until all have called, the plan's time is over, or `stop` is set."""
        self.began_at = time.monotonic()
        callers = [
            asyncio.create_task(self._caller(number, offset_s), name=f"caller {number}")
            for number, offset_s in enumerate(self._plan.offsets_s())
        ]
        everybody = asyncio.gather(*callers, return_exceptions=True)
        stopped = asyncio.create_task(stop.wait(), name="stopped")
        try:
            await asyncio.wait(
                (everybody, stopped),
                timeout=self._plan.limit_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stopped.cancel()
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers, timeout=STOP_TIMEOUT_S)
            await self._sweep()
        for caller in callers:
            if caller.done() and not caller.cancelled() and (error := caller.exception()):
                raise error
        return self.calls()

    async def _caller(self, number: int, offset_s: float) -> None:
        await asyncio.sleep(max(self.began_at + offset_s - time.monotonic(), 0.0))
        thinks_s = self._plan.thinks_s(number)
        for _ in range(self._plan.calls):
            await self._one_call(number, thinks_s)

    async def _one_call(self, number: int, thinks_s: Iterator[float]) -> None:
        call = Call(
            self._service,
            session_id=f"load-{self._run_id}-{len(self._notes)}",
            # Limits of the service are for each user.
            user_id=f"load-{self._run_id}-{number}",
            config=self._config,
            keeps_audio=False,
        )
        notes = CallNotes(number, call, time.monotonic())
        self._notes.append(notes)
        self._current[number] = notes
        try:
            async with call:
                await self._talk(notes, thinks_s)
                await call.end()
        except RehearsalError as error:
            notes.failure = reason_of(error)
        except asyncio.CancelledError:
            notes.cut = True
            raise
        finally:
            notes.ended_at = time.monotonic()

    async def _talk(self, notes: CallNotes, thinks_s: Iterator[float]) -> None:
        call = notes.call
        notes.agent_s = await call.agent_joins()
        notes.agent_was_there = bool(call.agent and call.agent.was_there)
        greeting = await call.greeting()
        notes.greeting_s = greeting.latency_s if greeting else None
        notes.greeted = True
        while not self._has_talked_enough(notes):
            await asyncio.sleep(next(thinks_s))
            speech = self._speeches[(notes.caller + notes.asked) % len(self._speeches)]
            together = self._all_are_in()
            notes.asked += 1
            turn = await call.turn(speech)
            together = together and self._all_are_in()
            notes.together_turns += together
            notes.turns.append(
                TurnFigures(
                    at=turn.spoken.ended - self.began_at,
                    reply_s=turn.reply.latency_s,
                    lag_s=turn.spoken.max_lag_s,
                    together=together,
                )
            )

    def _all_are_in(self) -> bool:
        """Whether every caller has been greeted, and none has gone."""
        return all(n is not None and n.greeted and n.ended_at is None for n in self._current)

    def _has_talked_enough(self, notes: CallNotes) -> bool:
        if not self._plan.together:
            return notes.asked >= self._plan.turns
        # Who is through goes on talking, so that those who are not have them all beside them;
        # once somebody has failed, there is nothing to wait for.
        some_failed = any(n is not None and n.ended_at is not None for n in self._current)
        least = min((n.together_turns if n else 0 for n in self._current), default=0)
        if some_failed:
            return notes.asked >= self._plan.turns
        return least >= self._plan.turns or notes.asked >= MAX_TURNS

    async def _sweep(self) -> None:
        """End whatever may still live: calls that were cut short, or failed half-way."""
        places = asyncio.Semaphore(SWEEP_AT_ONCE)

        async def look(notes: CallNotes) -> None:
            async with places:
                try:
                    over = await notes.call.ensure_over()
                except RehearsalError:
                    over = False
            if not over:
                self.left_behind.append(notes.call.session_id)

        doubtful = [n for n in self._notes if n.cut or n.failure or n.ended_at is None]
        tasks = [asyncio.create_task(look(notes), name="sweep") for notes in doubtful]
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=SWEEP_TIMEOUT_S)
            for task in pending:
                task.cancel()
            if pending:
                self.left_behind.append(f"{len(pending)} more")
