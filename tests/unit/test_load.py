"""`python -m assistant load` without a deployment: plan, figures, verdict, search, advice, plot."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import islice

import pytest

from assistant.refilling import AFTER_BURST_S
from assistant.rehearsal.errors import ServiceRefusedError, WaitTimedOutError
from assistant.rehearsal.load.advice import advise_max_jobs, advise_pool_size, poisson_quantile
from assistant.rehearsal.load.capacity import MIN_TURNS_A_STEP, Search, turns_for
from assistant.rehearsal.load.chart import MAX_POINTS, Panel, Series, draw, thin, ticks
from assistant.rehearsal.load.crowd import reason_of
from assistant.rehearsal.load.figures import (
    CallFigures,
    CpuUse,
    Summary,
    TurnFigures,
    concurrency,
    percentile,
    summarise,
)
from assistant.rehearsal.load.plan import MAX_CALLERS, LoadPlan
from assistant.rehearsal.load.refill import Refill, RefillMeter
from assistant.rehearsal.load.report import Step, plot_run, plot_search, to_json
from assistant.rehearsal.load.screen import is_this_machine
from assistant.rehearsal.load.verdict import Bars, doubts, misses

CPU = CpuUse(callers=0.5, machine=1.9, cores=2)


def turn(reply_s: float, *, at: float = 5.0, together: bool = True) -> TurnFigures:
    return TurnFigures(at=at, reply_s=reply_s, lag_s=0.01, together=together)


def call(number: int, *replies_s: float, **changes: object) -> CallFigures:
    """A call that went well, one turn for each reply, unless `changes` say otherwise."""
    figures = CallFigures(
        caller=number,
        session_id=f"s{number}",
        began_s=float(number),
        ended_s=20.0 + number,
        agent_s=0.4 + number / 10,
        agent_was_there=False,
        greeting_s=0.7,
        turns=tuple(turn(reply_s) for reply_s in replies_s),
        due=len(replies_s),
        failure=None,
        cut=False,
    )
    return replace(figures, **changes)  # type: ignore[arg-type]


def summary(*calls: CallFigures, together_only: bool = False) -> Summary:
    return summarise(calls, took_s=30, cpu=CPU, together_only=together_only)


# --- plan


def test_callers_begin_along_the_ramp() -> None:
    """The first at once, the last when the ramp is over, evenly between."""
    plan = LoadPlan(callers=5, ramp_s=8)
    assert plan.offsets_s() == (0, 2, 4, 6, 8)
    assert plan.starts_per_s == 0.5
    assert LoadPlan(callers=1, ramp_s=8).offsets_s() == (0,)
    assert LoadPlan(callers=3).offsets_s() == (0, 0, 0)
    assert LoadPlan(callers=3).starts_per_s is None


def test_callers_do_not_think_in_step() -> None:
    """Times of thought differ, stay around what was asked for, and repeat with the seed."""
    plan = LoadPlan(callers=2, think_s=2.0, seed=7)
    mine, theirs = (list(islice(plan.thinks_s(caller), 50)) for caller in (0, 1))
    assert mine != theirs
    assert mine == list(islice(plan.thinks_s(0), 50))
    assert all(1.0 <= think_s <= 3.0 for think_s in mine + theirs)


def test_a_plan_out_of_range_names_each_option() -> None:
    """Nothing is unbounded, and every mistake is told at once."""
    wrong = LoadPlan(callers=MAX_CALLERS + 1, turns=-1, limit_s=0, think_s=float("nan"))
    told = " ".join(wrong.problems())
    for option in ("--callers", "--turns", "--limit", "--think"):
        assert option in told
    assert LoadPlan(callers=2).problems() == []


# --- figures


def test_percentiles_are_values_that_were_seen() -> None:
    """Nearest rank: with few values the p95 is the worst one."""
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([1.0, 2.0, 9.0], 0.95) == 9.0


def test_failed_calls_owe_their_turns_and_cut_ones_do_not() -> None:
    """The answered share counts what should have been answered, not what was begun."""
    failed = call(1, 0.5, failure="refused: queue_full", agent_s=None, due=3)
    cut = call(2, 0.6, cut=True, due=1)
    run = summary(call(0, 0.4, 0.5), failed, cut)
    assert (run.due, run.answered_turns) == (6, 4)
    assert run.answered == pytest.approx(4 / 6)
    assert (run.calls, run.joined, run.failed, run.cut) == (3, 2, 1, 1)
    assert run.failures == {"refused: queue_full": 1}
    assert run.mean_call_s == 20.0
    assert run.starts_per_s == 1.0
    assert summary().reply is None
    assert summary().answered is None


def test_a_search_counts_only_turns_while_all_were_there() -> None:
    """The first caller's first turns, alone on the machine, must not better the figures."""
    lone = call(0, 0.9, turns=(turn(0.1, together=False), turn(0.9)), due=2)
    assert summary(lone, together_only=True).reply == summary(call(0, 0.9)).reply
    assert summary(lone).answered_turns == 2


def test_concurrency_follows_begins_and_ends() -> None:
    """Whoever ends as another begins does not add up."""
    calls = [call(0, ended_s=5.0), call(1, began_s=2.0, ended_s=5.0), call(2, began_s=5.0)]
    assert concurrency(calls) == [(0, 1), (2, 2), (5, 1), (22, 0)]
    assert summary(*calls).most_at_once == 2


# --- verdict


def test_each_bar_is_missed_on_its_own() -> None:
    """What was wanted and what came instead is said; at the bar itself it is kept."""
    run = summary(call(0, 0.5, 0.8), call(1, 0.6))
    assert misses(run, Bars(turn_p95_s=0.8, join_p95_s=0.5)) == ()
    assert [m.bar for m in misses(run, Bars(turn_p95_s=0.79))] == ["turn p95"]
    assert [m.bar for m in misses(run, Bars(join_p95_s=0.49))] == ["join p95"]
    worse = summary(call(0, 0.5, due=2), call(1, failure="gave up", due=2, agent_s=None))
    assert [m.bar for m in misses(worse, Bars())] == ["calls", "answered"]
    assert misses(worse, Bars(answered=0.25)) == ()
    told = str(misses(worse, Bars(answered=0.5))[0])
    assert "50.0%" in told
    assert "25.0%" in told


def test_a_run_without_figures_keeps_no_bar() -> None:
    """Nothing measured is not good news."""
    silent = summary(call(0, agent_s=None, cut=True))
    assert {m.bar for m in misses(silent, Bars(turn_p95_s=1, join_p95_s=1))} == {
        "calls",
        "turn p95",
        "join p95",
    }


def test_the_callers_own_cpu_is_told() -> None:
    """On one machine the callers compete with the workers: the figures say by how much."""
    run = summary(call(0, 0.5))
    assert "0.5 of them with the callers" in doubts(run, same_machine=True)[0]
    assert doubts(run, same_machine=False) == ()
    late = summary(call(0, turns=(replace(turn(0.5), lag_s=0.4),)))
    assert "0.40 s late" in doubts(late, same_machine=False)[0]
    assert is_this_machine("http://localhost:8080")
    assert is_this_machine("http://[::1]:8080")
    assert not is_this_machine("https://voice.example.com")


def test_failures_are_counted_by_kind() -> None:
    """The same refusal of two sessions is one reason."""
    refusal = ServiceRefusedError(
        request="POST /api/session/start",
        status=503,
        code="queue_full",
        detail="a detail",
        retry_after_s=1,
    )
    assert reason_of(refusal) == "refused: queue_full"
    late = WaitTimedOutError("waiting for an agent to join", timeout_s=40, seen="no agent came")
    assert reason_of(late) == "gave up waiting for an agent to join"


# --- search


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 7, 30, 64, 200])
def test_the_search_finds_the_limit(limit: int) -> None:
    """Whatever it is, up to the largest number allowed; in few steps, and never one above it."""
    search = Search(most=64)
    while (callers := search.next) is not None:
        assert 1 <= callers <= 64
        search.tried(callers, kept=callers <= limit)
    assert search.kept == min(limit, 64)
    assert search.missed == (limit + 1 if limit < 64 else None)
    assert search.steps <= 20


def test_one_late_reply_is_no_limit() -> None:
    """A number that misses the bar is tried again, and counts by the second try."""
    search = Search(most=8)
    tries = []
    while (callers := search.next) is not None:
        tries.append(callers)
        search.tried(callers, kept=tries.count(callers) > 1 or callers in {1, 2})
    assert tries == [1, 2, 4, 4, 8, 8]
    assert search.kept == 8


def test_a_step_has_enough_turns_for_a_p95() -> None:
    """Few callers talk longer."""
    assert turns_for(1, 3) == MIN_TURNS_A_STEP
    assert turns_for(50, 3) == 3


# --- advice


def test_the_refill_time_is_seen_through_a_beat_a_second() -> None:
    """Two processes missing for 3 s each, in looks half a second apart: 3 s a process."""
    meter = RefillMeter()
    for step in range(20):
        at = step / 2
        missing = 2 if 1.0 <= at < 4.0 else 0
        meter.saw(at, {"a": 4 - missing, "b": 3})
    assert meter.refill(taken=2) == Refill(mean_s=3.0, taken=2, ran_dry=False)
    assert meter.is_full
    assert meter.refill(taken=0) is None
    meter.saw(10, {"a": 0, "b": 3})
    assert not meter.is_full
    last = meter.refill(taken=2)
    assert last is not None
    assert last.ran_dry


@pytest.mark.parametrize(
    ("mean", "expected"),
    [(0.0, 0), (0.1, 1), (1.0, 4), (5.0, 11), (50.0, 67)],
)
def test_the_poisson_quantile_is_that_of_the_tables(mean: float, expected: int) -> None:
    """Values of R's qpois(0.99, mean)."""
    assert poisson_quantile(mean, 0.99) == expected


def test_the_advice_shows_its_arithmetic() -> None:
    """A number of jobs and a pool, with every factor in the text."""
    jobs = advise_max_jobs(callers=13, workers=2, same_machine=True, limited_by=None)
    assert jobs.value == 6
    assert "13 / 2 = 6.5" in jobs.why[0]
    assert "lower bound" in jobs.why[1]
    pool = advise_pool_size(
        refill=Refill(mean_s=2.0, taken=8, ran_dry=False),
        starts_per_s=1.0,
        max_jobs=20,
        call_s=None,
        workers=2,
    )
    assert pool.value == poisson_quantile(1.0, 0.99) + 1 == 5
    assert "0.500/s x 2.00 s = 1.00 starts" in " ".join(pool.why)


def test_a_pool_is_sized_for_as_long_as_a_worker_leaves_it() -> None:
    """Starts that come together make the average shorter than any one process was missing."""
    pool = advise_pool_size(
        refill=Refill(mean_s=0.9, taken=8, ran_dry=True),
        starts_per_s=0.5,
        max_jobs=20,
        call_s=None,
        workers=1,
    )
    assert pool.value == poisson_quantile(0.5 * AFTER_BURST_S, 0.99) + 1
    assert "counted as 2 s" in " ".join(pool.why)
    assert "0.500/s x 2.00 s = 1.00 starts" in " ".join(pool.why)


def test_advice_says_what_it_does_not_know() -> None:
    """Without a look at the pools, or with a setting as the limit, no number is made up."""
    unknown = advise_pool_size(
        refill=None, starts_per_s=1, max_jobs=None, call_s=None, workers=None
    )
    assert unknown.value is None
    assert "secret key" in unknown.why[0]
    capped = advise_max_jobs(callers=10, workers=1, same_machine=False, limited_by="MAX_BOTS")
    assert "MAX_BOTS" in capped.why[-1]
    assumed = advise_pool_size(
        refill=Refill(mean_s=1.0, taken=3, ran_dry=True),
        starts_per_s=None,
        max_jobs=6,
        call_s=None,
        workers=1,
    )
    assert "assumed" in assumed.why[0]
    assert "may be longer" in " ".join(assumed.why)


# --- report and plot


def step(*calls: CallFigures, callers: int = 2) -> Step:
    bars = Bars(turn_p95_s=0.6)
    run = summary(*calls)
    return Step(
        plan=LoadPlan(callers=callers),
        bars=bars,
        calls=calls,
        summary=run,
        misses=misses(run, bars),
    )


def test_the_report_has_every_figure() -> None:
    """What the table says, and each call beside it."""
    told = to_json(
        [step(call(0, 0.5), call(1, 0.7))],
        url="http://127.0.0.1:8080",
        began_at=1.0,
        doubts=[],
        advice=[],
        capacity=None,
        left_behind=[],
    )
    assert told["kept"] is False
    one = told["steps"][0]
    assert one["misses"] == [{"bar": "turn p95", "wanted": "at most 0.60 s", "got": "0.70 s"}]
    assert one["summary"]["reply"] == {"count": 2, "p50": 0.5, "p95": 0.7, "max": 0.7}
    assert one["summary"]["cpu"] == {"callers": 0.5, "machine": 1.9, "cores": 2}
    assert one["summary"]["answered"] == 1.0
    assert [found["session_id"] for found in one["calls"]] == ["s0", "s1"]


def test_plots_are_svg_on_any_background() -> None:
    """Well-formed, without a background, and with their bar; nobody's text becomes markup."""
    for drawn in (
        plot_run(step(call(0, 0.5), call(1, 0.7))),
        plot_run(step()),
        plot_search([step(call(0, 0.5), callers=1), step(call(0, 0.7))], 1),
        draw(
            [Panel(title="<b> & co", x_label="x", series=[Series("a", [(0, 0)], "line")])],
            title='"<script>"',
        ),
    ):
        root = ET.fromstring(drawn)  # noqa: S314 - our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme:dark" in drawn
        assert "<rect" not in drawn
        assert "<script" not in drawn
    assert "bar, turn p95" in plot_run(step(call(0, 0.5)))


def test_axes_have_round_ticks() -> None:
    """1, 2 or 5 times a power of ten, within the range."""
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0, 37) == [0, 10, 20, 30]
    assert ticks(2, 2) == [2]
    long = [(float(x), 1.0) for x in range(10 * MAX_POINTS)]
    assert len(thin(long)) == MAX_POINTS
    assert (thin(long)[0], thin(long)[-1]) == (long[0], long[-1])
