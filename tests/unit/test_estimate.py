"""The estimate of a wait: plain arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_service.estimate import MIN_HOLDS, estimated_wait_s

HOLDS = st.lists(st.floats(0, 10_000), min_size=MIN_HOLDS, max_size=50)


@pytest.mark.parametrize(
    ("position", "slots", "holds_s", "expected"),
    [
        (1, 50, [100.0] * 5, 2.0),
        (10, 50, [100.0] * 5, 20.0),
        (3, 1, [10.0, 20.0, 30.0], 60.0),
        (1, 50, [0.0] * 3, 0.0),
    ],
)
def test_arithmetic(position: int, slots: int, holds_s: list[float], expected: float) -> None:
    """The n-th waits n times the mean hold, divided by the slots."""
    assert estimated_wait_s(position, slots, holds_s) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("position", "slots", "holds_s"),
    [(1, 50, []), (1, 50, [9.0] * (MIN_HOLDS - 1)), (1, 0, [9.0] * 9)],
)
def test_unknown(position: int, slots: int, holds_s: list[float]) -> None:
    """Without slots, or with too few sessions that ended, nothing is claimed."""
    assert estimated_wait_s(position, slots, holds_s) is None


@given(st.integers(1, 1000), st.integers(1, 1000), HOLDS)
def test_whoever_is_further_behind_never_waits_less(
    position: int, slots: int, holds_s: list[float]
) -> None:
    """The estimate grows with the position, and shrinks with more slots."""
    here = estimated_wait_s(position, slots, holds_s)
    behind = estimated_wait_s(position + 1, slots, holds_s)
    roomier = estimated_wait_s(position, slots + 1, holds_s)
    assert here is not None
    assert behind is not None
    assert roomier is not None
    assert behind >= here >= roomier >= 0
