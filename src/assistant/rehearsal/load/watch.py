"""The fleet meanwhile, as the service tells it: pools and limits. Without a secret key, nothing."""

import asyncio
import time

from assistant.rehearsal.api import Fleet, ServiceClient
from assistant.rehearsal.errors import RehearsalError, ServiceRefusedError
from assistant.rehearsal.load.refill import Refill, RefillMeter

LOOK_EVERY_S = 0.5  # workers beat once a second
# After a run the pools fill up again; a process takes a few seconds on a busy machine.
SETTLE_TIMEOUT_S = 20.0


class FleetWatch:
    """`first` and `last` are looks at the fleet; None: it cannot be looked at."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service
        self._meter = RefillMeter()
        self.first: Fleet | None = None
        self.last: Fleet | None = None

    @property
    def workers(self) -> int | None:
        return len(self.first.serving) if self.first is not None else None

    @property
    def most_sessions(self) -> tuple[int, str] | None:
        """How many sessions may have an agent at once, and the setting that says so."""
        if self.first is None:
            return None
        jobs = sum(worker.max_jobs for worker in self.first.serving)
        bots = self.first.slots.limit
        return (bots, "MAX_BOTS") if bots < jobs else (jobs, "ASSISTANT_MAX_JOBS")

    async def look(self) -> bool:
        """Look once; False: whoever asks may not, so there is no sense in asking again."""
        try:
            fleet = await self._service.fleet()
        except ServiceRefusedError as error:
            return error.status not in {401, 403, 404}
        except RehearsalError:
            return True  # the callers tell of it
        self.first = self.first or fleet
        self.last = fleet
        self._meter.saw(time.monotonic(), {worker.id: worker.warm for worker in fleet.serving})
        return True

    async def run(self) -> None:
        """Look until cancelled."""
        while await self.look():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(LOOK_EVERY_S)

    async def settle(self) -> None:
        """Look until the pools are full again, or for `SETTLE_TIMEOUT_S`."""
        until = time.monotonic() + SETTLE_TIMEOUT_S
        while self.first is not None and time.monotonic() < until:
            await self.look()
            if self._meter.is_full:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def refill(self, taken: int) -> Refill | None:
        return self._meter.refill(taken)
