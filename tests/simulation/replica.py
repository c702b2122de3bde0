"""One replica of the service: real reconciler and gateway, over the simulated world."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from assistant.sessions.actions import Limits
from assistant.sessions.metadata import Assignment
from assistant.sessions.store.records import Bounds
from assistant.sessions.store.workers import Heard
from tests.simulation.clock import wall
from tests.simulation.livekit import SimLiveKit
from tests.simulation.memory_store import (
    Memory,
    MemoryDue,
    MemoryStandby,
    MemoryStore,
    MemoryWorkers,
)
from tests.simulation.rules import Looks, Rules
from token_service.livekit_gateway import ROOM_SURE_S, LiveKitGateway, Seen
from token_service.reconciler import Reconciler

PREFIX = "va-"


class SimGateway(LiveKitGateway):
    """The real gateway, whose API client is the simulated server."""

    def __init__(self, livekit: SimLiveKit, looks: Looks) -> None:
        super().__init__("", "", "")
        self._livekit = livekit
        self._looks = looks

    @property
    def _api(self) -> Any:
        return self._livekit

    def made_just_now(self, room: str) -> bool:
        made_at = self._made.get(room)
        return made_at is not None and self._livekit.now < made_at + ROOM_SURE_S

    def _remember(self, room: str) -> None:
        self._made[room] = self._livekit.now

    async def observe(self, room: str) -> Seen:
        seen = await super().observe(room)
        self._looks.seen[room] = seen
        return seen

    async def delete_room(self, room: str) -> None:
        await super().delete_room(room)
        self._looks.deleted.add(room)


class Replica:
    """Runs until `stop`, which is as sudden as a kill: nothing that was begun is finished."""

    def __init__(
        self,
        *,
        memory: Memory,
        livekit: SimLiveKit,
        rules: Rules,
        bounds: Bounds,
        limits: Limits,
        heard: Callable[[], list[Heard]],
        assigned: Callable[[Assignment], bool],
        link: Callable[[], Awaitable[None]],
        lull: Callable[[], Awaitable[None]],
        gateway_type: type[SimGateway],
    ) -> None:
        looks = Looks()
        self.reconciler = Reconciler(
            store=MemoryStore(
                memory,
                bounds,
                clock=wall,
                link=link,
                watch=functools.partial(rules.wrote, looks),
            ),
            due=MemoryDue(memory, clock=wall, link=link, patient=True),
            workers=MemoryWorkers(heard, link=link, lull=lull),
            standby=MemoryStandby(assigned, link=link),
            gateway=gateway_type(livekit, looks),
            limits=limits,
            room_prefix=PREFIX,
            agent_name="assistant",
            clock=wall,
            monotonic=lambda: livekit.now,
        )
        self._running = asyncio.create_task(self.reconciler.run(), name="replica")

    @property
    def crashed(self) -> BaseException | None:
        """What ended it by itself; None: it runs, or was stopped."""
        if not self._running.done() or self._running.cancelled():
            return None
        return self._running.exception() or AssertionError("the reconciler returned")

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
