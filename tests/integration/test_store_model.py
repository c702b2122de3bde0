"""The real store in a real Valkey does what the simulation's store does, step by step.

So what the simulation proves of the one holds for the other: slots, the queue's order, versions,
due times, and every refusal.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from assistant.local_stack.valkey import valkey_url
from assistant.sessions import events as ev
from assistant.sessions.errors import SessionError
from assistant.sessions.record import Reason, Session
from assistant.sessions.store import keys
from assistant.sessions.store.client import connect
from assistant.sessions.store.queue import DueQueue
from assistant.sessions.store.records import Bounds, SessionStore
from tests.integration.session_servers import new_session, running_valkey
from tests.simulation.memory_store import Memory, MemoryDue, MemoryStore

IDS = ("a", "b", "c", "d", "e")
BOUNDS = Bounds(max_bots=2, queue_limit=2, keep_s=3600.0)
EXAMPLES = 100
STEPS = 40
START = 1_000_000.0
# The store adds it to the timeline by itself; no event is recorded under this name.
ADDED = "session.active"

ids = st.sampled_from(IDS)
fleets = st.sampled_from((None, 0, 1, 2, 3))


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("store-model")
    with asyncio.Runner() as runner:
        context = running_valkey(folder)
        url = runner.run(context.__aenter__())
        yield url
        runner.run(context.__aexit__(None, None, None))


class _Both(RuleBasedStateMachine):
    """Every step is taken in both stores, and both must answer alike."""

    url = valkey_url(0)

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.held: dict[str, float] = {}
        self.runner = asyncio.Runner()
        self.redis = connect(self.url)
        self.run(self.redis.flushall)
        self.memory = Memory()
        self.real = SessionStore(self.redis, BOUNDS, clock=self.clock)
        self.model = MemoryStore(self.memory, BOUNDS, clock=self.clock)
        self.real_due = DueQueue(self.redis, clock=self.clock)
        self.model_due = MemoryDue(self.memory, clock=self.clock)

    def clock(self) -> float:
        return self.now

    def run(self, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        async def outcome() -> Any:
            try:
                return await call(*args, **options)
            except SessionError as error:
                return type(error), error.session_id

        return self.runner.run(outcome())

    def same(self, name: str, *args: Any, **options: Any) -> Any:
        real = self.run(getattr(self.real, name), *args, **options)
        model = self.run(getattr(self.model, name), *args, **options)
        assert real == model, name
        return real

    def same_due(self, name: str, *args: Any, **options: Any) -> Any:
        real = self.run(getattr(self.real_due, name), *args, **options)
        model = self.run(getattr(self.model_due, name), *args, **options)
        assert real == model, name
        return real

    def record(self, session_id: str, *happened: ev.Event, **options: Any) -> None:
        self.same("record", session_id, *happened, **options)

    def attempt(self, session_id: str) -> int:
        known = self.memory.records.get(session_id)
        return known.attempt if known else 0

    def version(self, session_id: str) -> int:
        known = self.memory.records.get(session_id)
        return known.version if known else 0

    def teardown(self) -> None:
        self.run(self.redis.aclose)
        self.runner.close()

    @rule(wait_s=st.sampled_from((0.1, 1.0, 16.0)))
    def time_passes(self, wait_s: float) -> None:
        self.now += wait_s

    @rule(session_id=ids, user=st.sampled_from(("u", "v")))
    def create(self, session_id: str, user: str) -> None:
        new = new_session(session_id, user_id=user, created_at=self.now)
        self.same("create", new)

    @rule(session_id=ids, fleet=fleets)
    def create_admitted(self, session_id: str, fleet: int | None) -> None:
        new = new_session(session_id, user_id="u", created_at=self.now)
        wish = ev.Started(at=self.now, task_id="t")
        self.same("create", new, wish, ev.Admitted(at=self.now), fleet_jobs=fleet)

    @rule(session_id=ids)
    def start(self, session_id: str) -> None:
        self.record(session_id, ev.Started(at=self.now, task_id="t"))

    @rule(session_id=ids, fleet=fleets)
    def admit(self, session_id: str, fleet: int | None) -> None:
        self.record(session_id, ev.Admitted(at=self.now), fleet_jobs=fleet)

    @rule(session_id=ids, late=st.booleans(), pid=st.sampled_from((1, 2)))
    def claim(self, session_id: str, late: bool, pid: int) -> None:
        attempt = max(self.attempt(session_id) - late, 1)
        claimed = ev.Claimed(at=self.now, attempt=attempt, worker="w", pid=pid)
        self.same("claim", session_id, claimed)

    @rule(session_id=ids, check_in_s=st.sampled_from((None, 0.5, 20.0)))
    def join(self, session_id: str, check_in_s: float | None) -> None:
        joined = ev.AgentJoined(at=self.now, attempt=self.attempt(session_id))
        next_check = None if check_in_s is None else self.now + check_in_s
        self.record(session_id, joined, next_check=next_check)

    @rule(session_id=ids)
    def lose(self, session_id: str) -> None:
        lost = ev.AgentLost(at=self.now, attempt=self.attempt(session_id), detail="gone")
        self.record(session_id, lost)

    @rule(session_id=ids, at_once=st.booleans())
    def end(self, session_id: str, at_once: bool) -> None:
        ending = ev.EndRequested(at=self.now, reason=Reason.USER_REQUESTED)
        closed = [ev.Closed(at=self.now)] if at_once else []
        self.record(session_id, ending, *closed)

    @rule(session_id=ids)
    def close(self, session_id: str) -> None:
        self.record(session_id, ev.Closed(at=self.now))

    @rule(session_id=ids)
    def fail(self, session_id: str) -> None:
        failed = ev.Failed(at=self.now, reason=Reason.QUEUE_TIMEOUT, detail="d")
        self.record(session_id, failed)

    @rule(session_id=ids, only_leftovers=st.booleans())
    def erase(self, session_id: str, only_leftovers: bool) -> None:
        self.same("drop_leftovers" if only_leftovers else "delete", session_id)

    @rule(limit=st.integers(1, 5))
    def claim_due(self, limit: int) -> None:
        self.same_due("claim", limit)

    @rule(session_id=ids)
    def hold(self, session_id: str) -> None:
        self.held[session_id] = self.same_due("hold", session_id)

    @rule(session_id=ids, stale=st.booleans(), wait_s=st.sampled_from((0.3, 10.0)))
    def put_off(self, session_id: str, stale: bool, wait_s: float) -> None:
        version = self.version(session_id) - stale
        held = self.held.get(session_id)
        self.same_due("check_at", session_id, self.now + wait_s, version=version, held=held)

    @rule(session_id=ids, forget=st.booleans())
    def check_now_or_never(self, session_id: str, forget: bool) -> None:
        self.same_due("forget" if forget else "check_now", session_id)

    @rule()
    def look_at_every_record(self) -> None:
        for session_id in IDS:
            found = self.same("get", session_id)
            if isinstance(found, Session):
                names = [e["name"] for e in self.run(self.real.timeline, session_id)]
                expected = [e.name for e in self.memory.timelines[session_id]]
                assert [name for name in names if name != ADDED] == expected

    @invariant()
    def shared_keys_are_the_same(self) -> None:
        async def read() -> tuple[list[Any], list[Any], list[Any]]:
            async with self.redis.pipeline(transaction=False) as pipe:
                pipe.zrange(keys.SLOTS, 0, -1, withscores=True)
                pipe.zrange(keys.QUEUE, 0, -1)
                pipe.zrange(keys.DUE, 0, -1, withscores=True)
                slots, queue, due = await pipe.execute()
            return slots, queue, due

        slots, queue, due = self.run(read)
        assert dict(slots) == self.memory.slots
        assert queue == self.memory.waiting()
        assert dict(due) == self.memory.due
        assert len(slots) <= BOUNDS.max_bots
        assert len(queue) <= BOUNDS.queue_limit

    @rule()
    def ask_every_question(self) -> None:
        self.same("count")
        self.same("unwatched")
        self.same("are_live", list(IDS))
        self.same("carriers")
        for session_id in IDS:
            self.same("queue_position", session_id)
            self.same("standing", session_id)


def test_both_stores_go_the_same_way(valkey: str) -> None:
    """Whatever is done, in whatever order: equal records, slots, queue, due times, refusals."""

    class Both(_Both):
        url = valkey

    run_state_machine_as_test(
        Both,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
