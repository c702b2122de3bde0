"""Jobs that stand by: dispatched ahead of any session, and given one when it starts.

What became of a job is one string, written once: its assignment, or nothing for "go home". The
list beside it only wakes the job, so that a lost answer of Redis loses no session.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from assistant.sessions.metadata import Assignment
from assistant.sessions.store import keys
from assistant.sessions.store.client import script, translated

#: A job that has not said for so long that it waits gets no session.
WORD_S = 3.0
RENEW_S = 1.0
#: One that should have said so again by now gets a session only if there is no other.
FRESH_S = 1.5
#: A worker whose Redis is away for so long still learns which sessions its jobs have got.
SETTLED_S = 3600
#: Once the worker knows too, a job whose connection broke, or that froze, may still have to read
#: it; the SDK kills one that is frozen for 60 s.
KNOWN_S = 120
WAKE_S = 10
KEEP_S = 86_400
#: One replica asks LiveKit at a time, and workers' beats have told of what came of it by then.
ASK_S = 1.5


class StandbyStore:
    """Methods raise StoreUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._offer = redis.register_script(script("standby_offer.lua"))
        self._settle = redis.register_script(script("standby_settle.lua"))

    async def offer(self, standby_id: str, *, worker: str) -> bool:
        """Say for WORD_S that this job stands by; False: its time has come, `outcome` says how.

        `worker`: whose job it is; while that does not beat, the job gets no session.
        """
        with translated():
            waits = await self._offer(
                keys=[
                    keys.STANDBY,
                    keys.STANDBY_SINCE,
                    keys.standby(standby_id),
                    keys.worker(worker),
                ],
                args=[standby_id, WORD_S, KEEP_S],
            )
        return bool(waits)

    async def woken(self, blocking: Redis, standby_id: str) -> None:
        """Return when the job's time has come, or after RENEW_S; `blocking` waits for it."""
        with translated():
            await blocking.blpop([keys.standby_wake(standby_id)], timeout=RENEW_S)

    async def assign(self, assignment: Assignment) -> bool:
        """Give the job that has stood by longest this attempt; False: there is none.

        Twice is as once.
        """
        given = keys.standby_given(assignment.job.session, assignment.job.attempt)
        return await self._settled("", assignment.model_dump_json(), given)

    async def dismiss(self, standby_id: str) -> bool:
        """Send the job home; False: it has a session already, or was sent home before."""
        return await self._settled(standby_id, "")

    async def outcome(self, standby_id: str) -> Assignment | None:
        """What the job is to do; None: nothing, it was sent home or forgotten."""
        with translated():
            text = await self._redis.get(keys.standby(standby_id))
        return Assignment.model_validate_json(text) if text else None

    async def learn(self, standby_ids: Sequence[str]) -> list[Assignment | None]:
        """The same of a worker's jobs; None: it still waits, or was sent home. What the worker
        knows is kept for KNOWN_S only.
        """
        if not standby_ids:
            return []
        with translated():
            texts = await self._redis.mget([keys.standby(each) for each in standby_ids])
            known = [keys.standby(i) for i, text in zip(standby_ids, texts, strict=True) if text]
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in known:
                    pipe.expire(key, KNOWN_S)
                await pipe.execute()
        return [Assignment.model_validate_json(text) if text else None for text in texts]

    async def may_ask(self) -> bool:
        """Whether this replica, and no other within ASK_S, may ask LiveKit for such jobs."""
        with translated():
            asked = await self._redis.set(keys.STANDBY_ASKED, "1", nx=True, px=int(ASK_S * 1000))
        return bool(asked)

    async def _settled(self, standby_id: str, outcome: str, *given: str) -> bool:
        with translated():
            settled = await self._settle(
                keys=[keys.STANDBY, keys.STANDBY_SINCE, *given],
                args=[
                    standby_id,
                    outcome,
                    keys.standby(""),
                    keys.standby_wake("").removeprefix(keys.standby("")),
                    SETTLED_S,
                    WAKE_S,
                    WORD_S - FRESH_S,
                ],
            )
        return bool(settled)
