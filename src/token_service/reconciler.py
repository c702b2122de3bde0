"""The reconciler: compares sessions with what is there, and does what `plan` says.

It is level-triggered. Whoever has news writes it into the record or asks for a check; how often,
in what order and by whom a session is then reconciled changes nothing in the end. Any number of
replicas may run one; a session whose replica died becomes due again by itself.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from assistant import log
from assistant.sessions import actions as act
from assistant.sessions import events as ev
from assistant.sessions import lifecycle, planning
from assistant.sessions.errors import (
    CapacityError,
    SessionError,
    SessionNotFoundError,
    StoreUnavailableError,
)
from assistant.sessions.metadata import Assignment, JobMetadata
from assistant.sessions.record import Session, State, is_session_id, room_name
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import SessionStore
from assistant.sessions.store.standby import StandbyStore
from assistant.sessions.store.workers import WorkerRegistry, fleet_jobs
from token_service.hearing import Hearing
from token_service.judge import JUDGE_INTERVAL_S, Judge
from token_service.livekit_gateway import LiveKitGateway, LiveKitUnavailableError, Seen
from token_service.sweep import SWEEP_INTERVAL_S, Sweep

POLL_INTERVAL_S = 0.05  # A caller whose agent was lost waits for it.
BUSY_POLL_INTERVAL_S = 0.01  # More was due than there were places.
# Sessions at once: enough for a burst of starts, few enough to leave connections to requests.
CONCURRENCY = 24
MAX_POKED = 10_000  # Beyond it, a poke is left to the next poll: Redis knows the session is due.
# A start takes 4 rounds, a lost agent's replacement 6; more in a row is news without end.
MAX_ROUNDS = 12
# Shorter waits are waited out in place; being claimed anew would cost a poll interval.
WAIT_HERE_S = 0.1
RECONCILE_TIMEOUT_S = 12.0
AGAIN_S = 0.5  # Another replica is on it, or the rounds were used up.
LIVEKIT_RETRY_S = 1.0
CLEAN_UP_RETRY_S = 10.0  # Nobody waits for an ended session's room to go.
RETRY_BASE_S = 0.05
RETRY_MAX_S = 2.0

_NOBODY: frozenset[str] = frozenset()
_EMPTY = Seen(room_exists=False, users=_NOBODY, agents=_NOBODY, arriving=_NOBODY)
_log = log.get(__name__)


@dataclass(frozen=True)
class _Fleet:
    workers: int
    jobs: int
    #: Sessions that could still be admitted.
    free_slots: int
    #: Jobs that the workers say they could take.
    free_jobs: int


class _Held:
    """One session while it is reconciled: the record as last read, and what was seen."""

    def __init__(self, session: Session, until: float) -> None:
        self.session = session
        self.until = until
        self.fleet: _Fleet | None = None
        #: None: not looked yet, or what was seen is no longer true.
        self.seen: Seen | None = None
        #: Whether this reconcile itself asked LiveKit for the room.
        self.made_room = False


class Reconciler:
    """`run` reconciles whatever is due; `poke` makes one session's turn come now."""

    def __init__(
        self,
        *,
        store: SessionStore,
        due: DueQueue,
        workers: WorkerRegistry,
        standby: StandbyStore,
        gateway: LiveKitGateway,
        limits: act.Limits,
        room_prefix: str,
        agent_name: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._due = due
        self._workers = workers
        self._standby = standby
        self._gateway = gateway
        self._limits = limits
        self._room_prefix = room_prefix
        self._agent_name = agent_name
        self._clock = clock
        self._poked: dict[str, None] = {}
        self._again: set[str] = set()
        self._running: set[str] = set()
        self._judge = Judge(
            store=store, workers=workers, poke=self.poke, clock=clock, monotonic=monotonic
        )
        self._hearing = Hearing()
        self._wake = asyncio.Event()
        self._places = asyncio.Semaphore(CONCURRENCY)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.sweep = Sweep(
            store=store, due=due, gateway=gateway, room_prefix=room_prefix, clock=clock
        )

    def poke(self, session_id: str) -> None:
        """Reconcile the session as soon as this process can; returns at once."""
        if session_id in self._running:
            self._again.add(session_id)
        elif len(self._poked) < MAX_POKED:
            self._poked[session_id] = None
            self._wake.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_repeat(self._poll, "reconcile.poll_failed"), name="reconciler poll")
            group.create_task(_repeat(self._sweep, "sweep.failed"), name="reconciler sweep")
            group.create_task(_repeat(self._look, "judge.failed"), name="judge")
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._poked:
                    await self._places.acquire()
                    session_id = next(iter(self._poked))
                    del self._poked[session_id]
                    self._running.add(session_id)
                    group.create_task(self._work(session_id), name=f"reconcile {session_id}")

    async def ensure_room(self, session: Session) -> bool:
        """Make the session's room; False: this process made it a moment ago, so it did not ask.

        Raises:
            LiveKitUnavailableError: LiveKit did not answer.
        """
        if self._gateway.made_just_now(session.room):
            return False
        empty_s, departure_s = lifecycle.room_timeouts(session, self._limits)
        await self._gateway.ensure_room(
            session.room,
            session_id=session.id,
            user_id=session.user_id,
            empty_timeout_s=empty_s,
            departure_timeout_s=departure_s,
        )
        return True

    async def reconcile(self, session_id: str) -> None:
        """Bring one session to where it should be, as far as that goes without waiting.

        LiveKit's not answering is no error here: the session is looked at again soon.

        Raises:
            StoreUnavailableError: Redis did not answer; the session stays due.
            RecordError, ConflictError: its record cannot be read or changed now.
            TimeoutError: it took too long; the session stays due.
        """
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        async with lock, asyncio.timeout(RECONCILE_TIMEOUT_S):
            until = await self._due.hold(session_id)
            try:
                held = _Held(await self._store.get(session_id), until)
                await self._reconcile(held)
            except SessionNotFoundError:
                await self._drop(session_id)

    async def _work(self, session_id: str) -> None:
        try:
            await self.reconcile(session_id)
        except (StoreUnavailableError, TimeoutError) as error:
            # It is due again when its claim runs out; who lives on need not wait for that.
            _log.warning("reconcile.failed", session=session_id, error=repr(error))
            asyncio.get_running_loop().call_later(AGAIN_S, self.poke, session_id)
        except SessionError as error:
            # It is due again when its claim runs out.
            _log.warning("reconcile.failed", session=session_id, error=repr(error))
        except Exception:  # noqa: BLE001 - one session's fault of ours must not stop all others
            _log.exception("reconcile.crashed", session=session_id)
        finally:
            self._running.discard(session_id)
            self._places.release()
            if session_id in self._again:
                self._again.discard(session_id)
                self.poke(session_id)

    async def _poll(self) -> float:
        free = CONCURRENCY - len(self._running) - len(self._poked)
        claimed = await self._due.claim(free) if free > 0 else []
        for session_id in claimed:
            self.poke(session_id)
        return POLL_INTERVAL_S if len(claimed) < free else BUSY_POLL_INTERVAL_S

    async def _sweep(self) -> float:
        await self.sweep()
        return SWEEP_INTERVAL_S

    async def _look(self) -> float:
        await self._judge.look()
        return JUDGE_INTERVAL_S

    async def _reconcile(self, held: _Held) -> None:
        try:
            for _ in range(MAX_ROUNDS):
                held.until = await self._due.renew(held.session.id, held.until)
                observed = await self._observe(held)
                actions = lifecycle.plan(held.session, observed, self._limits, self._clock())
                if await self._carry_out(held, actions):
                    return
            _log.warning("reconcile.restless", session=held.session.id, state=held.session.state)
            await self._check_in(held, AGAIN_S)
        except LiveKitUnavailableError as error:
            _log.warning(
                "reconcile.livekit_unavailable",
                session=held.session.id,
                call=error.call,
                detail=error.detail,
            )
            await self._check_in(
                held, CLEAN_UP_RETRY_S if held.session.terminal else LIVEKIT_RETRY_S
            )

    async def _observe(self, held: _Held) -> act.Observed:
        session, ahead = held.session, None
        if session.state in {State.QUEUED, State.DISPATCHING} and held.fleet is None:
            held.fleet = await self._look_at_fleet()
        if session.state is State.QUEUED:
            position = await self._store.queue_position(session.id)
            ahead = None if position is None else position - 1
        if held.seen is None and lifecycle.needs_observation(session):
            held.seen = await self._gateway.observe(session.room)
            self._hearing.looked(self._clock(), answered=held.seen.agents is not None)
            if held.seen.room_exists is False:
                self._gateway.doubt(session.room)
        seen, fleet = held.seen or Seen(), held.fleet
        return act.Observed(
            room_exists=seen.room_exists,
            users=seen.users,
            agents=seen.agents,
            arriving=seen.arriving,
            answering_since=self._hearing.since,
            workers=None if fleet is None else fleet.workers,
            free_slots=None if fleet is None else fleet.free_slots,
            free_jobs=None if fleet is None else fleet.free_jobs,
            ahead=ahead,
        )

    async def _look_at_fleet(self) -> _Fleet:
        # Workers of other names never get our dispatches.
        beats = [b for b in await self._workers.alive() if b.agent_name == self._agent_name]
        slots, _ = await self._store.count()
        jobs = fleet_jobs(beats)
        serving = sum(1 for beat in beats if beat.registered and not beat.draining)
        free = max(min(self._store.max_bots, jobs) - slots, 0)
        free_jobs = sum(beat.free for beat in beats)
        return _Fleet(workers=serving, jobs=jobs, free_slots=free, free_jobs=free_jobs)

    async def _carry_out(self, held: _Held, actions: list[act.Action]) -> bool:
        """Do what was planned, in order; True: that was all for now."""
        for action in actions:
            held.until = await self._due.renew(held.session.id, held.until)
            match action:
                case act.Record(event):
                    if await self._record(held, event):
                        return True
                case act.EnsureRoom():
                    held.made_room |= await self.ensure_room(held.session)
                case act.Dispatch(attempt):
                    await self._dispatch(held, attempt)
                case act.Evict(identities):
                    await self._evict(held, identities)
                case act.DeleteRoom():
                    await self._gateway.delete_room(held.session.room)
                    held.seen = _EMPTY
                case act.CheckAt(at):
                    return await self._wait_until(held, at)
                case act.Forget():
                    await self._due.forget(held.session.id)
                    return True
        return False

    async def _record(self, held: _Held, event: ev.Event) -> bool:
        jobs = None if held.fleet is None else held.fleet.jobs
        try:
            session = await self._store.record(
                held.session.id, event, fleet_jobs=jobs, next_check=held.until
            )
        except CapacityError:
            await self._check_in(held, planning.QUEUE_RECHECK_S)
            return True
        held.session = session
        if isinstance(event, ev.Admitted | ev.AgentLost) and session.attempt_at != event.at:
            # Another replica began this attempt; it will dispatch it, and twice is no better.
            await self._check_in(held, AGAIN_S)
            return True
        return False

    async def _dispatch(self, held: _Held, attempt: int) -> None:
        session = held.session
        job = JobMetadata(session=session.id, attempt=attempt)
        asked_at = self._clock()
        ahead = await self._standby.assign(Assignment(job=job, room=session.room))
        if not ahead:
            asked_at = await self._ask_livekit(held, job.encode())
        _log.info("session.dispatched", session=session.id, attempt=attempt, ahead=ahead)
        dispatched = ev.Dispatched(at=asked_at, attempt=attempt)
        held.session = await self._store.record(session.id, dispatched, next_check=held.until)
        # The agent cannot be there yet, so there is nothing to look at.
        held.seen = held.seen or Seen()

    async def _ask_livekit(self, held: _Held, metadata: str) -> float:
        """Dispatch to the session's room; returns when it was asked for."""
        room, asked_at = held.session.room, self._clock()
        try:
            await self._gateway.dispatch(room, self._agent_name, metadata)
        except LiveKitUnavailableError:
            if held.made_room:
                raise
            # The room that this process made a moment ago may have been closed since.
            self._gateway.doubt(room)
            held.made_room = await self.ensure_room(held.session)
            asked_at = self._clock()
            await self._gateway.dispatch(room, self._agent_name, metadata)
        return asked_at

    async def _evict(self, held: _Held, identities: frozenset[str]) -> None:
        room = held.session.room
        await self._gateway.clear_dispatches(room, self._agent_name)
        if identities:
            _log.info("session.evicting", session=held.session.id, n=len(identities))
            await self._gateway.remove_participants(room, identities)
            held.seen = None

    async def _wait_until(self, held: _Held, at: float) -> bool:
        """Wait out a short while and look anew (False), or leave it to a later check (True)."""
        wait_s = at - self._clock()
        if wait_s > WAIT_HERE_S:
            await self._due.check_at(
                held.session.id, at, version=held.session.version, held=held.until
            )
            return True
        await asyncio.sleep(max(wait_s, 0.0))
        held.session = await self._store.get(held.session.id)
        held.seen = held.fleet = None
        return False

    async def _check_in(self, held: _Held, delay_s: float) -> None:
        await self._due.check_at(
            held.session.id,
            self._clock() + delay_s,
            version=held.session.version,
            held=held.until,
        )

    async def _drop(self, session_id: str) -> None:
        """Clean up after a session whose record is gone (erased, or expired)."""
        if is_session_id(session_id):
            try:
                await self._gateway.delete_room(room_name(self._room_prefix, session_id))
            except LiveKitUnavailableError as error:
                # Due again when the claim runs out.
                _log.warning("reconcile.drop_failed", session=session_id, detail=error.detail)
                return
        await self._store.drop_leftovers(session_id)


async def _repeat(step: Callable[[], Awaitable[float]], failure: str) -> None:
    """Take a step again and again, each time after as many seconds as it returns."""
    failures = 0
    while True:
        try:
            delay_s = await step()
            failures = 0
        except (StoreUnavailableError, LiveKitUnavailableError) as error:
            failures += 1
            delay_s = min(RETRY_BASE_S * 2.0 ** min(failures, 8), RETRY_MAX_S)
            _log.warning(failure, failures=failures, error=str(error))
        await asyncio.sleep(delay_s)
