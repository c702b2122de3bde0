"""The judge: finds the sessions whose worker no longer beats, or no longer runs them.

Level-triggered, and on every replica: each look compares what holds a slot with what the workers'
beats say. That a beat is fresh is Redis's word (its key has not expired), never a clock of ours.
"""

import time
from collections.abc import Callable, Mapping

from assistant import log
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError, StoreUnavailableError
from assistant.sessions.record import AT_WORK, Reason
from assistant.sessions.store.records import Carrier, SessionStore
from assistant.sessions.store.workers import BEAT_INTERVAL_S, Heard, WorkerRegistry

JUDGE_INTERVAL_S = 0.25  # A caller waits for the next agent meanwhile; a look is two round trips.
# Where silence has another explanation, whoever lives has been heard again after two beats.
PATIENCE_S = 2 * BEAT_INTERVAL_S
OVERDUE_S = 2 * BEAT_INTERVAL_S
# A beat may be a second older than the claim of a job; a worker's own report comes first anyway.
UNLISTED_GRACE_S = 3.0
# A worker that is gone counts for this long among those that should be heard.
REMEMBERED_S = 10.0


_log = log.get(__name__)


class Attendance:
    """Whether workers' silence means that they are gone. Pure; times are monotonic seconds.

    It does not when most of them fall silent together (then our Redis was away), nor when nobody
    listened just before (this judge's own Redis was away, or it has just begun).
    """

    def __init__(self) -> None:
        self._heard_at: dict[str, float] = {}
        self._silent_since: float | None = None
        self._deaf = True
        self._patient_until = 0.0

    def missed(self) -> None:
        """A look failed."""
        self._deaf = True

    def heard(self, ages_s: Mapping[str, float], now: float) -> None:
        """The ages of the beats that are fresh, by worker."""
        if self._deaf:
            self._deaf = False
            self._patient_until = now + PATIENCE_S
        self._heard_at.update(dict.fromkeys(ages_s, now))
        self._heard_at = {
            worker: at for worker, at in self._heard_at.items() if now < at + REMEMBERED_S
        }
        gone = self._heard_at.keys() - ages_s.keys()
        overdue = {worker for worker, age_s in ages_s.items() if age_s > OVERDUE_S}
        if gone and 2 * len(gone | overdue) > len(self._heard_at):
            if self._silent_since is None:
                self._silent_since = now
                self._patient_until = max(self._patient_until, now + PATIENCE_S)
        else:
            self._silent_since = None

    def can_judge(self, now: float) -> bool:
        return not self._deaf and now >= self._patient_until


class Judge:
    """`look` records every agent's loss that the beats show; whoever runs it repeats it."""

    def __init__(
        self,
        *,
        store: SessionStore,
        workers: WorkerRegistry,
        poke: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._workers = workers
        self._poke = poke
        self._clock = clock
        self._monotonic = monotonic
        self._attendance = Attendance()
        #: Attempts that their worker does not list, by since when.
        self._unlisted: dict[tuple[str, int], float] = {}

    async def look(self) -> None:
        """One look.

        Raises:
            StoreUnavailableError: Redis did not answer; nobody is judged for a while after.
        """
        try:
            heard = await self._workers.heard()
            carriers = await self._store.carriers()
        except StoreUnavailableError:
            self._attendance.missed()
            raise
        now = self._monotonic()
        self._attendance.heard({worker.id: worker.age_s for worker in heard}, now)
        if not self._attendance.can_judge(now):
            self._unlisted.clear()
            return
        for carrier, detail in self._lost(carriers, {worker.id: worker for worker in heard}, now):
            await self._record(carrier, detail)

    def _lost(
        self, carriers: list[Carrier], workers: Mapping[str, Heard], now: float
    ) -> list[tuple[Carrier, str]]:
        lost, unlisted = [], {}
        for carrier in carriers:
            if carrier.state not in AT_WORK or carrier.worker is None:
                continue
            worker = workers.get(carrier.worker)
            if worker is None:
                lost.append((carrier, "its worker no longer beats"))
            elif carrier.claimed and _does_not_list(worker, carrier):
                key = (carrier.session_id, carrier.attempt)
                unlisted[key] = self._unlisted.get(key, now)
                if now >= unlisted[key] + UNLISTED_GRACE_S:
                    lost.append((carrier, "its worker no longer runs it"))
        self._unlisted = unlisted
        return lost

    async def _record(self, carrier: Carrier, detail: str) -> None:
        _log.warning(
            "judge.lost",
            session=carrier.session_id,
            attempt=carrier.attempt,
            worker=carrier.worker,
            detail=detail,
        )
        lost = ev.AgentLost(
            at=self._clock(), attempt=carrier.attempt, detail=detail, reason=Reason.AGENT_LOST
        )
        try:
            await self._store.record(carrier.session_id, lost)
        except SessionError as error:
            # Erased, or changed by others just now; the next look sees what came of it.
            _log.info("judge.not_recorded", session=carrier.session_id, error=str(error))
            return
        self._poke(carrier.session_id)


def _does_not_list(worker: Heard, carrier: Carrier) -> bool:
    if worker.beat is None or worker.beat.sessions is None:
        return False
    return (carrier.session_id, carrier.attempt) not in worker.beat.sessions
