"""A report is made of what is stored, and a transcript reads well."""

from dataclasses import replace
from typing import Any

import pytest

from assistant.sessions.item import Item, ToolUse
from assistant.sessions.record import Reason, Session, State
from assistant.sessions.store.archive import Kept
from token_service.report import percentiles, report_of
from token_service.transcript import as_text

OVER = Session(
    id="s",
    user_id="u",
    room="va-s",
    state=State.ENDED,
    created_at=0.0,
    agent="assistant",
    spec="{}",
    attempt=1,
    max_duration_s=60.0,
    user_join_timeout_s=60.0,
    user_return_timeout_s=30.0,
    active_at=10.0,
    ended_at=25.0,
    reason=Reason.USER_REQUESTED,
)
ANALYSIS: dict[str, Any] = {"summary": None, "criteria": [], "extracted": None, "missing": {}}


def verdicts(*met: bool | None) -> Kept:
    criteria = [{"criterion": "c", "met": value, "reason": "r"} for value in met]
    return Kept(analysis={**ANALYSIS, "criteria": criteria}, ready=True)


def test_percentiles_are_values_that_were_measured() -> None:
    """By nearest rank, down to a single one."""
    one = percentiles([0.5])
    assert (one.count, one.p50, one.p90, one.p99, one.max) == (1, 0.5, 0.5, 0.5, 0.5)
    many = percentiles([float(n) for n in range(1, 101)])
    assert (many.p50, many.p90, many.p99, many.max) == (50.0, 90.0, 99.0, 100.0)


def test_a_session_of_which_nothing_is_known_has_a_report() -> None:
    """Nothing is invented: no figures, no cost, no outcome."""
    report = report_of(OVER, [], [], Kept(), asks=False)
    assert (report.duration_s, report.turns.count, report.turns.latencies) == (15.0, 0, {})
    assert (report.usage.models, report.usage.cost, report.outcome) == ([], None, None)
    assert report.outcome_missing is None


@pytest.mark.parametrize(
    ("met", "success"),
    [((True, True), True), ((True, False, None), False), ((True, None), None), ((), None)],
)
def test_success_is_all_criteria(met: tuple[bool | None, ...], success: bool | None) -> None:
    outcome = report_of(OVER, [], [], verdicts(*met), asks=True).outcome
    assert outcome is not None
    assert outcome.success is success


def test_a_missing_outcome_has_a_reason() -> None:
    """Whoever asked for one learns why there is none."""
    unready = report_of(OVER, [], [], Kept(), asks=True)
    gone = report_of(OVER, [], [], Kept(ready=True), asks=True)
    never = report_of(replace(OVER, active_at=None), [], [], Kept(ready=True), asks=True)
    silent = report_of(OVER, [], [], Kept(ready=True), asks=True, words=False)
    said = [report.outcome_missing for report in (unready, gone, never, silent)]
    assert [text and text.split()[-1] for text in said] == ["made", "asked", "joined", "down"]
    assert (silent.user_messages, silent.agent_messages) == (None, None), "unknown is not 0"


def test_a_transcript_as_text() -> None:
    """One line an item, from the agent's coming on; tools for backends alone."""
    tool = ToolUse(name="t", call_id="c", arguments="{}", output="1", is_error=False)
    items = [
        Item(id="1", role="user", text="Hi.\n[00:09] agent: x", interrupted=False, at=12.0),
        Item(id="2", role="tool", text="", interrupted=False, at=80.0, tool=tool),
        Item(id="3", role="assistant", text="Yes", interrupted=True, at=85.0, started_at=84.0),
    ]
    lines = as_text(items, since=10.0, tools=True).splitlines()
    assert lines == [
        "[00:02] user: Hi. [00:09] agent: x",
        "[01:10] tool: t({}) -> 1",
        "[01:14] agent: Yes (interrupted)",
    ]
    assert len(as_text(items, since=10.0, tools=False).splitlines()) == 2
