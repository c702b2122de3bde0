"""One trace: a deployment goes wrong, is healed, must settle, and must leave nothing behind."""

import asyncio
from dataclasses import dataclass, field

from assistant.sessions.record import State, room_name
from assistant.sessions.store.queue import CLAIM_S
from tests.simulation.clock import wall
from tests.simulation.faults import STRIKES
from tests.simulation.fleet import JobManners
from tests.simulation.livekit import Manners
from tests.simulation.replica import PREFIX
from tests.simulation.rules import BrokenRuleError
from tests.simulation.scenario import SLOWEST_START_S, Fault
from tests.simulation.world import RETRY_S, World

# A killed agent is listed for 21 s, a session may wait that long, and is then looked for again.
SETTLED_WITHIN_S = 45.0
ENDED_WITHIN_S = 12.0
# Without faults, how long an attempt that is doomed may be waited for, and the next may take:
# nobody took its job; somebody did; a process claimed it.
NO_JOB_S = 12.0
JOB_S = 24.0
CLAIMED_S = 20.0


@dataclass
class Outcome:
    """What a trace came to; `steps` counts the changes of records."""

    steps: int = 0
    settled_s: float = 0.0
    longest_overlap_s: float = 0.0
    states: dict[str, str] = field(default_factory=dict)


async def play(world: World) -> Outcome:
    """Play the world's scenario to its end.

    Raises:
        BrokenRuleError: the system did what it must never do, or did not recover.
    """
    scenario = world.scenario
    for _ in range(scenario.workers):
        world.add_worker()
    for _ in range(scenario.replicas):
        world.add_replica()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(world.loop_failed)
    for number, at in enumerate(scenario.starts):
        session_id = f"s{number}"
        loop.call_later(at, _caller_comes, world, session_id)
        loop.call_later(at + world.chance.uniform(0, 4), _user_comes, world, session_id)
    for fault in scenario.faults:
        loop.call_later(fault.at, _strike, world, fault)
    await asyncio.sleep(scenario.healed_at)
    try:
        _heal(world)
        world.check_parts()
        settled_s = await _settle(world)
        await _end_all(world)
    finally:
        await _close(world)
    return Outcome(
        steps=world.rules.steps,
        settled_s=settled_s,
        longest_overlap_s=world.rules.longest_overlap_s,
        states={r.id: str(r.reason or r.state) for r in world.memory.records.values()},
    )


def _caller_comes(world: World, session_id: str) -> None:
    world.spawn(world.start(session_id))


def _user_comes(world: World, session_id: str) -> None:
    user = world.users.get(session_id)
    if user is None:
        return
    # A token's room is made with it.
    if world.livekit.rooms.get(room_name(PREFIX, session_id)) is None:
        asyncio.get_running_loop().call_later(RETRY_S, _user_comes_if_room, world, session_id)
    user.come()


def _user_comes_if_room(world: World, session_id: str) -> None:
    world.users[session_id].cut()


def _strike(world: World, fault: Fault) -> None:
    world.strikes.append(world.spawn(STRIKES[fault.kind](world, fault)))


def _heal(world: World) -> None:
    """No more faults, and enough of everything."""
    for strike in world.strikes:
        strike.cancel()
    world.livekit.manners = Manners()
    world.livekit.is_hanging = False
    world.redis_away, world.redis_slow = 0, 0.0
    for worker in list(world.workers):
        worker.manners = JobManners()
        if not worker.is_dead:
            worker.set(is_frozen=False, is_cut_off=False)
    world.job_manners = JobManners()
    for job in sorted(world.jobs, key=lambda job: job.identity):
        if job.is_frozen and not job.is_dead:
            job.thaw()
    world.add_worker()
    world.workers[-1].max_jobs = 100
    if not world.replicas:
        world.add_replica()
    for user in world.users.values():
        user.come()


def _unsettled(world: World) -> str | None:
    """Why it is not all well yet; None: every session is over, or has its agent."""
    if world.background:
        return "callers still ask"
    for record in world.memory.records.values():
        if record.terminal:
            continue
        if record.state is not State.ACTIVE:
            return f"{record.id} is {record.state}"
        heard = [j for j in world.jobs if j.session_id == record.id and j.speaks]
        if [job.attempt for job in heard] != [record.attempt]:
            names = [job.identity for job in heard]
            return f"{record.id} is at attempt {record.attempt}, and {names} are heard"
    return None


def _sought(world: World) -> dict[str, float]:
    """The sessions that must get their agent, by when; the rest may run out of time."""
    sought, now = {}, wall()
    # A replica that dies keeps what it was about to do for as long as its claim lasts.
    kept_s = CLAIM_S if now < world.replica_died_at + CLAIM_S else 0.0
    for record in world.memory.records.values():
        if record.state is not State.DISPATCHING:
            continue
        key = (record.id, record.attempt)
        # Its worker may tell of it only now.
        has_job = any((j.session_id, j.attempt) == key for j in world.jobs)
        within_s = JOB_S if has_job or record.accepted_at is not None else NO_JOB_S
        if record.claimed_at is not None:
            within_s = CLAIMED_S
        within_s += kept_s
        deadline = (record.seeking_at or now) + world.scenario.limits.startup_timeout_s
        if deadline > now + within_s:
            sought[record.id] = world.livekit.now + within_s
    return sought


def _check_sought(world: World, sought: dict[str, float]) -> None:
    for session_id, by in sought.items():
        record = world.memory.records[session_id]
        is_late = record.state is State.DISPATCHING and world.livekit.now > by
        if is_late or record.state is State.FAILED:
            raise BrokenRuleError(f"no agent came for {record}")


async def _settle(world: World) -> float:
    began, sought = world.livekit.now, _sought(world)
    limits = world.scenario.limits
    within_s = SETTLED_WITHIN_S + max(limits.queue_timeout_s, limits.startup_timeout_s)
    while (why := _unsettled(world)) is not None:
        world.check_parts()
        _check_sought(world, sought)
        if world.livekit.now > began + within_s:
            raise BrokenRuleError(f"{within_s} s after the last fault {why}")
        await asyncio.sleep(1.0)
    return world.livekit.now - began


async def _end_all(world: World) -> None:
    for session_id in list(world.memory.records):
        await world.end(session_id)
    began = world.livekit.now
    while (why := _leftovers(world)) is not None:
        world.check_parts()
        if world.livekit.now > began + ENDED_WITHIN_S:
            raise BrokenRuleError(f"{ENDED_WITHIN_S} s after the end {why}")
        await asyncio.sleep(0.25)
    # Jobs that begin only now find out that they come too late.
    await asyncio.sleep(SLOWEST_START_S + ENDED_WITHIN_S)
    world.check_parts()
    if any(worker.jobs for worker in world.workers) or _leftovers(world):
        raise BrokenRuleError(f"in the end {_leftovers(world) or 'jobs still run'}")


def _leftovers(world: World) -> str | None:
    memory = world.memory
    for what in (memory.slots, memory.queue, memory.due):
        if what:
            return f"there is still {what}"
    if not all(record.terminal for record in memory.records.values()):
        return "not every session is over"
    if world.livekit.rooms:
        return f"there are still rooms {list(world.livekit.rooms)}"
    begun = [job.identity for w in world.workers for job in w.jobs if job.has_begun]
    return f"jobs {begun} still run" if begun else None


async def _close(world: World) -> None:
    for replica in world.replicas:
        await replica.stop()
    for worker in world.workers:
        worker.kill()
    for task in world.background:
        task.cancel()
