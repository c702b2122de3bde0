"""Does the token service answer, and does it see the workers that Redis has?"""

import asyncio
import time
from collections.abc import AsyncIterator

from assistant.findings import Finding, fail, ok, warn
from assistant.operator.errors import OperatorError
from assistant.operator.service import Json, Service
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.workers import BEAT_INTERVAL_S, Beat, WorkerRegistry

# What a beat says of a worker that has just come up is a second old, and so is the service's view.
PATIENCE_S = 3 * BEAT_INTERVAL_S
LOOK_EVERY_S = 0.25


async def check_service(service: Service) -> AsyncIterator[Finding]:
    """Its parts, as it sees them."""
    try:
        health, down = await _health(service)
    except OperatorError as error:
        yield fail("service", str(error), "start it with `python -m token_service`")
        return
    if down:
        told = ", ".join(f"{name} {health['parts'][name]}" for name in down)
        yield fail("service", f"{service.url}: {told}", "compare its settings with those above")
    else:
        yield ok("service", f"answers at {service.url}, and sees all its parts")


async def _health(service: Service) -> tuple[Json, list[str]]:
    """The service's parts, and those that are not well even after a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        health = await service.health()
        down = [name for name, state in health["parts"].items() if state != "ok"]
        if not down or time.monotonic() >= deadline:
            return health, down
        await asyncio.sleep(LOOK_EVERY_S)


async def _beats(registry: WorkerRegistry, agent_name: str) -> list[Beat]:
    """The workers that beat, once one of them takes jobs, or after a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        beats = [heard.beat for heard in await registry.heard() if heard.beat is not None]
        taking = any(takes_jobs(beat) for beat in beats if beat.agent_name == agent_name)
        if taking or time.monotonic() >= deadline:
            return beats
        await asyncio.sleep(LOOK_EVERY_S)


def takes_jobs(beat: Beat) -> bool:
    return beat.registered and not beat.draining


async def check_workers(
    registry: WorkerRegistry, service: Service, agent_name: str
) -> AsyncIterator[Finding]:
    """The beats in the Redis of these settings, against what the service sees."""
    try:
        heard = await _beats(registry, agent_name)
        seen = {worker["id"] for worker in (await service.stats())["workers"]}
    except (StoreUnavailableError, OperatorError) as error:
        yield fail("workers", str(error), "see the checks above")
        return
    ours = [beat for beat in heard if beat.agent_name == agent_name]
    others = sorted({beat.agent_name for beat in heard} - {agent_name})
    if not ours:
        named = f"; there are workers named {', '.join(others)}" if others else ""
        yield fail(
            "workers",
            f"none named {agent_name} beats in this Redis{named}",
            "start one with the same REDIS_URL and ASSISTANT_AGENT_NAME",
        )
        return
    if not seen & {beat.id for beat in ours}:
        yield fail(
            "workers",
            "the service sees none of the workers that beat here",
            "give service and workers the same REDIS_URL and ASSISTANT_AGENT_NAME",
        )
        return
    taking = [beat for beat in ours if takes_jobs(beat)]
    if not taking:
        yield fail("workers", "none is registered with LiveKit", "see their logs and /readyz")
        return
    warm, free = sum(beat.warm for beat in taking), sum(beat.free for beat in taking)
    detail = f"{len(taking)} ready for jobs, {free} places free, {warm} processes warm"
    if free == 0:
        yield warn("workers", detail, "run more workers, or raise ASSISTANT_MAX_JOBS")
    else:
        yield ok("workers", detail)
