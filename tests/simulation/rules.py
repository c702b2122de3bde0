"""What must hold at every step, whatever went wrong."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from assistant.sessions import events as ev
from assistant.sessions.planning import ENDING_TIMEOUT_S
from assistant.sessions.record import Reason, Session, State
from tests.simulation.fleet import SimJob
from tests.simulation.livekit import SimLiveKit
from tests.simulation.memory_store import Memory
from token_service.livekit_gateway import Seen

# A job asks once a second whether it is still the one; the answer, and its leaving, take a moment.
MOST_OVERLAP_S = 2.0

# What a replica says of an agent that LiveKit no longer lists.
GONE = "the agent is no longer in the room"
RESTART_S = 7.0  # LiveKit is away, everybody comes back, and the lists are behind.

_ABSENCES = frozenset({Reason.USER_LEFT, Reason.USER_NEVER_JOINED, Reason.ROOM_DELETED})


class BrokenRuleError(AssertionError):
    """The system did what it must never do."""


@dataclass
class Looks:
    """What one replica last saw and did."""

    seen: dict[str, Seen] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)


class Rules:
    """`jobs` gives the living jobs; `excused` whether old agents cannot know that they are old."""

    def __init__(
        self,
        memory: Memory,
        *,
        max_bots: int,
        livekit: SimLiveKit,
        jobs: Callable[[], Iterable[SimJob]],
        excused: Callable[[], bool],
    ) -> None:
        self._memory = memory
        self._max_bots = max_bots
        self._livekit = livekit
        self._jobs = jobs
        self._excused = excused
        self._overlap_since: dict[str, float] = {}
        self._ended: set[str] = set()
        self._owners: dict[str, SimJob] = {}
        #: The first rule that was broken. Whoever broke it may survive the error.
        self.broken: BrokenRuleError | None = None
        self.longest_overlap_s = 0.0
        self.steps = 0

    def _break(self, how: str) -> None:
        now = asyncio.get_running_loop().time()
        error = BrokenRuleError(f"after {now:.2f} s: {how}")
        self.broken = self.broken or error
        raise error

    def wrote(
        self,
        looks: Looks | None,
        before: Session | None,
        after: Session,
        news: list[ev.Event],
    ) -> None:
        """A record changed; `looks` is the replica that did it, None: a job or a caller."""
        self.steps += 1
        if before is not None:
            if before.terminal:
                self._break(f"{before.id} left {before.state}: {news}")
            if after.attempt < before.attempt:
                self._break(f"{before.id} went back to attempt {after.attempt}")
        if after.terminal:
            self._ended.add(after.id)
        elif after.id in self._ended:
            self._break(f"{after.id} rose from the dead")
        self._check_slots()
        for event in news:
            about = getattr(event, "attempt", None)
            if before is not None and about is not None and about != before.attempt:
                self._break(f"{event} was taken for attempt {before.attempt}")
        if looks is not None:
            for event in news:
                self._check_known(looks, after, event)
        self.speakers(after.id)

    def claimed(self, job: SimJob) -> None:
        """A job process believes that the attempt is its own."""
        owner = self._owners.setdefault(job.identity, job)
        if owner is not job:
            self._break(f"two processes have claimed {job.identity}")

    def _check_slots(self) -> None:
        memory = self._memory
        holders = {record.id for record in memory.records.values() if record.holds_slot}
        if memory.slots.keys() != holders:
            self._break(f"slots {set(memory.slots)}, but {holders} hold one")
        if len(holders) > self._max_bots:
            self._break(f"{len(holders)} slots of {self._max_bots}")
        waiting = {r.id for r in memory.records.values() if r.state is State.QUEUED}
        if memory.queue.keys() != waiting:
            self._break(f"queue {set(memory.queue)}, but {waiting} wait")
        unwatched = {r.id for r in memory.records.values() if not r.terminal} - memory.due.keys()
        if unwatched:
            self._break(f"nobody will ever look at {unwatched}")

    def _check_known(self, looks: Looks, session: Session, event: ev.Event) -> None:
        """Unknown is not absent: who concludes from an absence, must have seen it."""
        seen = looks.seen.get(session.room, Seen())
        match event:
            case ev.AgentUnseen():
                known = seen.agents is not None and session.agent_identity not in seen.agents
            case ev.UserLeft():
                known = seen.users is not None and session.user_id not in seen.users
            case ev.EndRequested(reason=reason) if reason in _ABSENCES:
                known = seen.users is not None
                if reason is Reason.ROOM_DELETED:
                    known = seen.room_exists is False
            case ev.Closed():
                empty = seen.users == seen.agents == frozenset()
                timed_out = event.at >= (session.ending_at or 0) + ENDING_TIMEOUT_S
                known = empty or timed_out or session.room in looks.deleted
            case ev.AgentLost() if event.detail == GONE:
                known = not self._is_coming_back(session.id, event.attempt)
            case _:
                known = True
        if not known:
            self._break(f"{event} was concluded from {seen}")

    def _is_coming_back(self, session_id: str, attempt: int) -> bool:
        """Whether an agent that is not listed is only gone for the time of a restart."""
        now = self._livekit.now
        recent = [at for at in self._livekit.restarted_at if at > now - 2 * RESTART_S]
        return len(recent) < 2 and any(
            job.session_id == session_id
            and job.attempt == attempt
            and job.comes_back
            and (job.thawed_at is None or job.thawed_at < now - RESTART_S)
            for job in self._jobs()
        )

    def speakers(self, session_id: str) -> None:
        """Who is heard in a session's room changed, or who should be."""
        session = self._memory.records.get(session_id)
        if session is None:
            return
        speaking = [j for j in self._jobs() if j.session_id == session_id and j.speaks]
        current = [job for job in speaking if job.attempt == session.attempt]
        if len(current) > 1:
            self._break(f"{len(current)} agents of attempt {session.attempt} speak")
        now = asyncio.get_running_loop().time()
        since = self._overlap_since.get(session_id)
        if len(speaking) < 2:
            self._overlap_since.pop(session_id, None)
        elif since is None:
            self._overlap_since[session_id] = now
        if since is not None and not self._excused():
            lasted_s = now - since
            self.longest_overlap_s = max(self.longest_overlap_s, lasted_s)
            if lasted_s > MOST_OVERLAP_S:
                who = [job.identity for job in speaking]
                self._break(f"two agents were heard for {lasted_s:.1f} s; now {who}")
