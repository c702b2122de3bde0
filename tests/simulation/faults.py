"""What goes wrong, by its name in a scenario."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from assistant.sessions.errors import SessionError, StoreUnavailableError
from tests.simulation.clock import wall
from tests.simulation.fleet import SimJob, SimWorker
from tests.simulation.scenario import Fault
from tests.simulation.world import World

WATCHDOG_S = 10.0


async def _livekit_restarts(world: World, fault: Fault) -> None:
    if not world.livekit.is_down:
        world.livekit.restart(min(fault.lasts_s / 2, 3.0))


async def _livekit_hangs(world: World, fault: Fault) -> None:
    world.livekit.is_hanging = True
    await asyncio.sleep(fault.lasts_s)
    world.livekit.is_hanging = False


async def _livekit_refuses(world: World, fault: Fault) -> None:
    before, world.livekit.manners.refuses = world.livekit.manners.refuses, 1.0
    manners = world.livekit.manners
    await asyncio.sleep(fault.lasts_s)
    manners.refuses = before


async def _redis_is_away(world: World, fault: Fault) -> None:
    world.redis_away += 1
    await asyncio.sleep(fault.lasts_s)
    world.redis_away = max(world.redis_away - 1, 0)


async def _replica_dies(world: World, fault: Fault) -> None:
    if world.replicas:
        await world.replicas.pop(fault.which % len(world.replicas)).stop()
        world.replica_died_at = wall()
    await asyncio.sleep(fault.lasts_s)
    world.add_replica()


def _one_worker(world: World, fault: Fault) -> SimWorker | None:
    living = [worker for worker in world.workers if not worker.is_dead]
    return living[fault.which % len(living)] if living else None


async def _worker_is_killed(world: World, fault: Fault) -> None:
    worker = _one_worker(world, fault)
    if worker is not None:
        worker.kill()


async def _worker_freezes(world: World, fault: Fault) -> None:
    worker = _one_worker(world, fault)
    if worker is None:
        return
    worker.set(is_frozen=True)
    await asyncio.sleep(min(fault.lasts_s * 1.5, WATCHDOG_S))
    if fault.lasts_s * 1.5 >= WATCHDOG_S:
        worker.kill()
    elif not worker.is_dead:
        worker.set(is_frozen=False)


async def _worker_is_cut_off(world: World, fault: Fault) -> None:
    worker = _one_worker(world, fault)
    if worker is not None:
        worker.set(is_cut_off=True)
        await asyncio.sleep(fault.lasts_s)
        if not worker.is_dead:
            worker.set(is_cut_off=False)


async def _worker_drains(world: World, fault: Fault) -> None:
    worker = _one_worker(world, fault)
    if worker is not None:
        worker.set(is_draining=True)


async def _worker_comes(world: World, _fault: Fault) -> None:
    world.add_worker()


def _one_job(world: World, fault: Fault) -> SimJob | None:
    living = sorted(
        (job for worker in world.workers for job in worker.jobs), key=lambda job: job.pid
    )
    return living[fault.which % len(living)] if living else None


async def _job_is_killed(world: World, fault: Fault) -> None:
    job = _one_job(world, fault)
    if job is not None:
        job.kill()


async def _job_freezes(world: World, fault: Fault) -> None:
    job = _one_job(world, fault)
    if job is not None:
        job.freeze()
        await asyncio.sleep(fault.lasts_s * 4)
        if not job.is_dead:
            job.thaw()


def _one_session(world: World, fault: Fault) -> str | None:
    ids = sorted(world.users)
    return ids[fault.which % len(ids)] if ids else None


async def _user_leaves(world: World, fault: Fault) -> None:
    session_id = _one_session(world, fault)
    if session_id is not None:
        world.users[session_id].leave()


async def _user_dies(world: World, fault: Fault) -> None:
    session_id = _one_session(world, fault)
    if session_id is not None:
        world.users[session_id].die()


async def _user_comes_back(world: World, fault: Fault) -> None:
    session_id = _one_session(world, fault)
    if session_id is not None:
        world.users[session_id].come()


async def _room_is_deleted(world: World, fault: Fault) -> None:
    names = sorted(world.livekit.rooms)
    if names:
        world.livekit.close(names[fault.which % len(names)])


async def _session_ends(world: World, fault: Fault) -> None:
    session_id = _one_session(world, fault)
    if session_id is not None:
        await world.end(session_id)


async def _session_starts_again(world: World, fault: Fault) -> None:
    session_id = _one_session(world, fault)
    if session_id is not None and session_id in world.memory.records:
        try:
            await world.ask_for_agent(session_id)
        except (SessionError, StoreUnavailableError):
            return
        world.poke(session_id)


async def _webhooks_come_late(world: World, fault: Fault) -> None:
    """About what was long ago."""
    for _ in range(int(fault.lasts_s)):
        for name in sorted(world.livekit.rooms):
            world.webhook(name)
        await asyncio.sleep(1.0)


STRIKES: dict[str, Callable[[World, Fault], Coroutine[Any, Any, None]]] = {
    "livekit restarts": _livekit_restarts,
    "livekit hangs": _livekit_hangs,
    "livekit refuses": _livekit_refuses,
    "redis is away": _redis_is_away,
    "replica dies": _replica_dies,
    "worker is killed": _worker_is_killed,
    "worker freezes": _worker_freezes,
    "worker is cut off": _worker_is_cut_off,
    "worker drains": _worker_drains,
    "worker comes": _worker_comes,
    "job is killed": _job_is_killed,
    "job freezes": _job_freezes,
    "user leaves": _user_leaves,
    "user dies": _user_dies,
    "user comes": _user_comes_back,
    "room is deleted": _room_is_deleted,
    "session ends": _session_ends,
    "session starts again": _session_starts_again,
    "webhooks come late": _webhooks_come_late,
}
