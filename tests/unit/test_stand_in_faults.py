"""Ordered faults and the journal of requests."""

import pytest
from pydantic import ValidationError

from assistant.local_stack.stand_ins.errors import FaultClosedError, FaultFailedError
from assistant.local_stack.stand_ins.faults import FaultBoard, FaultOrder
from assistant.local_stack.stand_ins.journal import MAX_ENTRIES, Journal


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "explode"},
        {"kind": "fail", "colour": "red"},
        {"kind": "slow"},
        {"kind": "fail", "delay_s": 1},
        {"kind": "fail", "status": 200},
        {"kind": "fail", "count": 0},
        {"kind": "fail", "service": "groq", "operation": "turn"},
    ],
)
def test_wrong_orders_are_refused(wrong: dict[str, object]) -> None:
    """Missing, unknown, contradictory and out-of-range fields are refused."""
    with pytest.raises(ValidationError):
        FaultOrder.model_validate(wrong)


async def test_count_and_match() -> None:
    """An order serves the next n matching requests, and no others."""
    board = FaultBoard()
    board.add(FaultOrder(kind="fail", service="groq", status=429, count=2, match="weather"))
    await board.take("inworld", "stream", "weather").step()
    await board.take("groq", "chat", "time").step()
    for _ in range(2):
        with pytest.raises(FaultFailedError) as caught:
            await board.take("groq", "chat", "the weather").step()
        assert caught.value.status == 429
    await board.take("groq", "chat", "the weather").step()
    assert board.list() == []


async def test_for_a_while() -> None:
    """An order with a duration serves every request until its time is over."""
    now = 100.0
    board = FaultBoard(clock=lambda: now)
    board.add(FaultOrder(kind="close", for_s=5))
    for _ in range(3):
        with pytest.raises(FaultClosedError):
            await board.take("groq", "chat").step()
    now = 105.0
    await board.take("groq", "chat").step()


async def test_after_chunks() -> None:
    """The pieces before `after_chunks` get through."""
    board = FaultBoard()
    board.add(FaultOrder(kind="fail", after_chunks=2))
    player = board.take("groq", "chat")
    await player.step()
    await player.step()
    with pytest.raises(FaultFailedError):
        await player.step()


def test_journal_is_bounded_and_selects() -> None:
    """Old entries go first; service, operation and number select."""
    journal = Journal()
    for number in range(MAX_ENTRIES + 5):
        journal.add("groq", "chat" if number % 2 else "models", {"number": number})
    entries = journal.select()
    assert len(entries) == MAX_ENTRIES
    assert entries[0].content == {"number": 5}
    assert {entry.operation for entry in journal.select(operation="chat")} == {"chat"}
    assert journal.select(service="inworld") == []
    assert [entry.number for entry in journal.select(after=entries[-2].number)] == [
        entries[-1].number
    ]
