"""Thousands of deployments in which much goes wrong, each drawn from its seed, in virtual time.

The real lifecycle, reconciler, judge, gateway, fence and reporter run over a simulated LiveKit,
fleet and store. `SIM_TRACES=50000 SIM_SEED=1` runs more, from another seed; what fails names the
seed, and `SIM_TRACES=1 SIM_SEED=<seed>` plays that one again, exactly.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from assistant.sessions import events as ev
from assistant.sessions.record import Session
from tests.simulation import clock
from tests.simulation.memory_store import MemoryStore
from tests.simulation.play import Outcome
from tests.simulation.play import play as play_world
from tests.simulation.replica import SimGateway
from tests.simulation.rules import BrokenRuleError
from tests.simulation.scenario import Scenario, draw
from tests.simulation.world import World
from token_service.livekit_gateway import Seen

TRACES = int(os.environ.get("SIM_TRACES", "1500"))
FIRST_SEED = int(os.environ.get("SIM_SEED", "0"))
BATCHES = 8
SHOWN = 5
# How many traces it may take until a sabotage is noticed.
SABOTAGED_TRACES = 400
MANY = 1000


class _Errors(logging.Handler):
    """What the system logged as its own fault; it goes on after most of them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        if not isinstance(cause, BrokenRuleError):
            self.seen.append(f"{record.getMessage()}: {cause!r}")


@pytest.fixture(autouse=True)
def _errors() -> Iterator[None]:
    """No error is logged; and less than that is not, since it would take most of the time."""
    errors = _Errors()
    loggers = [logging.getLogger(name) for name in ("assistant", "token_service")]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
        logger.addHandler(errors)
        logger.propagate = False
    yield
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(errors)
        logger.propagate = True
    assert errors.seen == []


async def _play(kind: type[World], scenario: Scenario) -> Outcome:
    return await play_world(kind(scenario))


def play(seed: int, kind: type[World] = World) -> Outcome:
    return clock.run(_play(kind, draw(seed)))


def play_many(kind: type[World], traces: int) -> None:
    for seed in range(traces):
        play(seed, kind)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(min(BATCHES, TRACES)))
def test_the_rules_hold_whatever_goes_wrong(batch: int) -> None:
    """One agent, exact slots, no way back; and after the last fault all is well, or over."""
    failed = []
    for seed in range(FIRST_SEED + batch, FIRST_SEED + TRACES, BATCHES):
        try:
            play(seed)
        except AssertionError as error:
            failed.append(f"SIM_SEED={seed}: {error} {error.__cause__ or ''}")
    assert not failed, "\n".join([f"{len(failed)} traces failed", *failed[:SHOWN]])


def test_a_seed_is_always_the_same_trace() -> None:
    """What failed can be looked at again."""
    assert play(FIRST_SEED) == play(FIRST_SEED)


class _TrustingStore(MemoryStore):
    """Whoever claims an attempt gets it."""

    async def claim(self, session_id: str, claimed: ev.Claimed, *before: ev.Event) -> Session:
        return await self.record(session_id, *before, claimed)


class _UnfencedWorld(World):
    store_type = _TrustingStore


class _GuessingGateway(SimGateway):
    """Takes what LiveKit does not say for "nobody"."""

    async def observe(self, room: str) -> Seen:
        seen, nobody = await super().observe(room), frozenset[str]()
        return Seen(
            room_exists=bool(seen.room_exists),
            users=seen.users or nobody,
            agents=seen.agents or nobody,
            arriving=seen.arriving or nobody,
        )


class _GuessingWorld(World):
    gateway_type = _GuessingGateway


class _GenerousStore(MemoryStore):
    """Admits whoever asks."""

    def _take(
        self,
        session: Session,
        news: list[ev.Event],
        _fleet_jobs: int | None,
        next_check: float | None,
        now: float,
    ) -> str | int:
        self._bounds = replace(self._bounds, max_bots=MANY)
        return super()._take(session, news, None, next_check, now)


class _GenerousWorld(World):
    store_type = _GenerousStore


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (_UnfencedWorld, "two processes have claimed"),
        (_GuessingWorld, "was concluded from"),
        (_GenerousWorld, r"\d slots of \d"),
    ],
)
def test_the_rules_have_teeth(kind: type[World], rule: str) -> None:
    """A system without one of its precautions is caught within some hundred traces."""
    with pytest.raises(BrokenRuleError, match=rule):
        play_many(kind, SABOTAGED_TRACES)
