"""Slots and the queue: where a start is placed, and how long it will probably wait."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from assistant.sessions import events as ev
from assistant.sessions.actions import Limits
from assistant.sessions.errors import CapacityError
from assistant.sessions.planning import queue_recheck_s
from assistant.sessions.record import Session, State
from assistant.sessions.store.figures import SessionFigures
from assistant.sessions.store.records import SessionStore
from assistant.sessions.store.workers import fleet_jobs
from token_service.errors import FullError
from token_service.estimate import estimated_wait_s
from token_service.outcomes import Waiting
from token_service.overview import Fleet
from token_service.settings import ServiceSettings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SlotsSeen:
    """What a start found: slots in use or waited for, and the jobs that all workers could run."""

    taken: int
    jobs: int

    def one_is_free(self, max_bots: int) -> bool:
        return self.taken < min(max_bots, self.jobs)


class Places:
    """Methods raise StoreUnavailableError."""

    def __init__(
        self,
        store: SessionStore,
        fleet: Fleet,
        figures: SessionFigures,
        settings: ServiceSettings,
        limits: Limits,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._figures = figures
        self._settings = settings
        self._limits = limits

    async def take(
        self, write: Callable[..., Awaitable[_T]], wish: ev.Started, seen: SlotsSeen
    ) -> _T:
        """Write the start with a slot, or else with a place in the queue, or else not at all.

        Raises:
            FullError: there was neither.
        """
        try:
            # Where none was free a moment ago it is not tried: if one is by now, who comes first in
            # the queue gets it at once.
            if seen.one_is_free(self._settings.max_bots) or self._settings.when_full == "reject":
                try:
                    admitted = ev.Admitted(at=wish.at)
                    return await write(wish, admitted, fleet_jobs=seen.jobs)
                except CapacityError:
                    if self._settings.when_full == "reject":
                        raise
            ahead = max(seen.taken - min(self._settings.max_bots, seen.jobs), 1)
            wait_s = min(queue_recheck_s(ahead), self._limits.queue_timeout_s)
            return await write(wish, behind_check=wish.at + wait_s)
        except CapacityError as error:
            raise FullError(
                queue_full=error.detail == "queue_full",
                # One place comes free as often as one session in the queue moves up.
                retry_after_s=await self._estimate(1),
            ) from None

    async def waiting(self, session: Session) -> Waiting | None:
        """Where the session waits; None: it does not."""
        if session.state is not State.QUEUED:
            return None
        position = await self._store.queue_position(session.id)
        return None if position is None else Waiting(position, await self._estimate(position))

    async def _estimate(self, position: int) -> float | None:
        jobs = fleet_jobs(await self._fleet.beats())
        slots = min(self._settings.max_bots, jobs)
        return estimated_wait_s(position, slots, await self._figures.holds_s())
