"""A LiveKit and a fleet of the tests' imagination, on a clock of their own."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from assistant.sessions import actions as act
from assistant.sessions import events as ev
from assistant.sessions import lifecycle
from assistant.sessions.record import Session, State, agent_identity

LIMITS = act.Limits(startup_timeout_s=30, queue_timeout_s=60, session_timeout_s=1800)
MAX_STEPS = 3000


def created(**changes: object) -> Session:
    values: dict[str, object] = {
        "id": "a",
        "user_id": "u",
        "room": "va-a",
        "state": State.CREATED,
        "created_at": 1000.0,
        "agent": "assistant",
        "spec": "{}",
        "max_duration_s": 600.0,
        "user_join_timeout_s": 60.0,
        "user_return_timeout_s": 20.0,
    }
    return Session(**(values | changes))  # type: ignore[arg-type]


@dataclass
class World:
    """What `plan` works on. The switches say how this LiveKit and this fleet misbehave."""

    now: float = 1000.0
    workers: int = 1
    free_slots: int = 5
    free_jobs: int = 5
    #: Dispatches come to nothing.
    loses_dispatches: bool = False
    #: Calls fail and looks see nothing.
    is_away: bool = False
    #: People stay listed, whatever is removed or deleted.
    keeps_ghosts: bool = False
    join_delay_s: float = 0.3
    room: bool = False
    users: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    #: Identities that will be in the room, by when.
    coming: dict[str, float] = field(default_factory=dict)
    dispatched: list[int] = field(default_factory=list)
    most_agents: int = 0

    def observe(self, session: Session) -> act.Observed:
        fleet = act.Observed(
            workers=self.workers, free_slots=self.free_slots, free_jobs=self.free_jobs
        )
        if self.is_away or not lifecycle.needs_observation(session):
            return fleet
        for identity, at in list(self.coming.items()):
            if at <= self.now and self.room:
                self.agents.add(identity)
                del self.coming[identity]
        self.most_agents = max(self.most_agents, len(self.agents))
        return replace(
            fleet,
            room_exists=self.room,
            users=frozenset(self.users),
            agents=frozenset(self.agents),
            arriving=frozenset(),
        )

    def step(self, session: Session) -> Session | None:
        """One round of a reconciler; None: it will never look again."""
        for action in lifecycle.plan(session, self.observe(session), LIMITS, self.now):
            match action:
                case act.Record(event):
                    session = lifecycle.apply(session, event)
                case act.CheckAt(at):
                    self.now = max(at, self.now + 0.001)
                case act.Forget():
                    return None
                case _:
                    if self.is_away:
                        self.now += 1.0
                        return session
                    session = self._do(session, action)
        return session

    def live(self, session: Session) -> Iterator[Session]:
        """The session after each step, to its very end."""
        current: Session | None = session
        for _ in range(MAX_STEPS):
            assert current is not None
            current = self.step(current)
            if current is None:
                return
            yield current
        raise AssertionError(f"no end in sight: {current}")

    def _do(self, session: Session, action: act.Action) -> Session:
        match action:
            case act.EnsureRoom():
                self.room = True
            case act.Dispatch(attempt):
                self.dispatched.append(attempt)
                if not self.loses_dispatches:
                    identity = agent_identity(session.id, attempt)
                    self.coming[identity] = self.now + self.join_delay_s
                dispatched = ev.Dispatched(at=self.now, attempt=attempt)
                return lifecycle.apply(session, dispatched)
            case act.Evict(identities):
                self.coming.clear()
                if not self.keeps_ghosts:
                    self.agents -= identities
            case act.DeleteRoom():
                self.coming.clear()
                if not self.keeps_ghosts:
                    self.room = False
                    self.agents.clear()
                    self.users.clear()
        return session
