"""Rows of the comparison: what is kept of them, and what may be claimed from them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.compare import difference, estimate, finding, ratio, verdict
from bench.errors import BadRowError, ContenderMissingError
from bench.goals import BY_NUMBER, GOALS, Bar
from bench.results import Better, Row, Statistic, read_all


def row(
    *,
    number: str = "1b",
    better: Better = "lower",
    statistic: Statistic = "p50",
    **rounds: list[list[float]],
) -> Row:
    return Row(
        number=number, title="t", unit="s", better=better, statistic=statistic, rounds=rounds
    )


def ones(*values: float) -> list[list[float]]:
    """Rounds of one value each."""
    return [[value] for value in values]


def test_a_ratio_is_taken_within_a_round() -> None:
    """A machine that was slow in a round was slow for both, and the ratio does not see it."""
    drifting = row(ours=ones(1, 2, 8, 4, 1), D=ones(2, 4, 16, 8, 2))
    found = ratio(drifting, "D")
    assert (found.value, found.spread, found.rounds) == (0.5, 0, 5)
    assert difference(drifting, "D").value == -2


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([3.0], None),
        ([1.0, 2.0], 0.5),
        ([1.0, 2.0, 5.0], 2.0),
        ([1.0, 2.0, 3.0, 4.0, 50.0], 1.0),
        ([2.0] * 5, 0.0),
    ],
)
def test_the_spread_is_half_the_quartiles_or_of_few_rounds_half_of_all(
    values: list[float], spread: float | None
) -> None:
    """One outlier among five rounds does not widen it; of three, each counts."""
    assert estimate(values).spread == spread


@pytest.mark.parametrize(
    ("values", "claimed"),
    [
        ([0.5], False),
        ([0.5, 0.5], False),
        ([0.5, 0.5, 0.5], True),
        ([0.8, 0.9, 1.0], False),
        ([0.8, 0.85, 0.9, 0.95, 1.0], False),
        ([0.78, 0.79, 0.8, 0.81, 0.82], True),
        ([1.18, 1.19, 1.2, 1.21, 1.22], True),
    ],
)
def test_a_gap_is_claimed_when_it_is_over_twice_the_spread(
    values: list[float], *, claimed: bool
) -> None:
    """In either direction, and never from fewer than three rounds."""
    assert estimate(values).apart_from(1.0) is claimed


def test_the_statistic_is_of_a_round_and_then_the_median_of_rounds() -> None:
    """p95 is a value that was seen; a mean is a mean."""
    values = [[float(n) for n in range(1, 101)], [float(n) for n in range(101, 201)]]
    expected: dict[Statistic, list[float]] = {
        "p50": [50.5, 150.5],
        "p95": [95, 195],
        "p99": [99, 199],
        "mean": [50.5, 150.5],
    }
    for statistic, of_rounds in expected.items():
        found = row(statistic=statistic, ours=values)
        assert found.by_round("ours") == of_rounds
        assert found.overall("ours") == sum(of_rounds) / 2


def test_whoever_was_not_measured_is_not_compared() -> None:
    """By name, with who was; a bar of theirs is neither met nor missed."""
    alone = row(ours=ones(1, 1, 1))
    with pytest.raises(ContenderMissingError, match="no contender 'D'; it has ours"):
        ratio(alone, "D")
    found = finding(alone, Bar(limit=0.7, peer="D"))
    assert (found.met, found.words) == (None, "not measured")


def test_no_ratio_is_taken_of_nothing() -> None:
    """A peer that took no time was not measured."""
    with pytest.raises(BadRowError, match="no ratio is taken of 0"):
        ratio(row(ours=ones(1), D=ones(0)), "D")


def test_verdicts_say_on_which_side_and_whether_noise_could_do_it() -> None:
    """The most or the least, by what is better; within the noise it is said so."""
    steady = row(ours=ones(6, 6.1, 6.2), D=ones(10, 10, 10))
    words = [finding(steady, Bar(limit=limit, peer="D")).words for limit in (0.7, 0.62, 0.6, 0.5)]
    assert words == ["met", "met, within the noise", "missed, within the noise", "missed"]
    once = row(ours=ones(6), D=ones(10))
    assert finding(once, Bar(limit=0.7, peer="D")).words == "met, from too few rounds"
    faster = row(number="4", better="higher", ours=ones(6, 6, 6), bare=ones(10, 10, 10))
    found = verdict(faster, BY_NUMBER["4"])
    assert [each.words for each in found.goal] == ["met"]
    assert [each.words for each in found.moonshot] == ["missed", "not measured"]
    least = row(number="4b", better="higher", ours=ones(900, 910, 905))
    own = verdict(least, BY_NUMBER["4b"])
    assert ([f.words for f in own.goal], [f.words for f in own.moonshot]) == (["met"], ["missed"])


def test_what_never_came_counts_as_the_wait_and_its_rounds_are_told_apart() -> None:
    """For ours as for the peer; beside it stands what the rounds give in which all came."""
    lossy = replace(
        row(statistic="p95", ours=[[1, 2], [1, 3], [15, 1]], D=[[2, 15], [4, 2], [1, 1]]), waited=15
    )
    assert (lossy.in_vain("ours"), lossy.in_vain("D")) == ([0, 0, 1], [1, 0, 0])
    assert (lossy.by_round("D"), lossy.is_least(lossy.overall("D"))) == ([15, 4, 1], False)
    found = finding(lossy, Bar(limit=0.7, peer="D"))
    assert found.estimate == estimate([2 / 15, 3 / 4, 15.0])
    assert (found.cut, found.uncut) == (2, estimate([3 / 4]))
    for rounds in (lossy.rounds["D"][:1], lossy.rounds["D"][1:2]):
        alone = finding(
            replace(lossy, rounds={"ours": [[1, 2]], "D": rounds}), Bar(limit=0.7, peer="D")
        )
        assert (alone.cut, alone.uncut) == (sum(15 in values for values in rounds), None)


def test_nothing_left_over_is_a_goal_that_is_met() -> None:
    """A count that stands exactly at its bar in every round is no noise."""
    none_left = row(number="7-left", ours=ones(0, 0, 0))
    assert [each.words for each in verdict(none_left, BY_NUMBER["7-left"]).goal] == ["met"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"number": "one"}, "number is 'one'; write it as 1b or 6-cpu"),
        ({"unit": "s", "better": "less"}, "better is 'less'; it is one of lower, higher"),
        ({"statistic": "p75"}, "statistic is 'p75'; it is one of p50, p95, p99, mean"),
        ({"rounds": {"D": [[1.0]]}}, "measure ours too"),
        ({"rounds": {"ours": []}}, "measure a value in each round"),
        ({"rounds": {"ours": [[1.0], []]}}, "measure a value in each round"),
        ({"rounds": {"ours": [[float("nan")]]}}, "leave out what was not measured"),
        ({"waited": 0.5}, "waited is 0.5; no value is more than what was waited"),
    ],
)
def test_a_row_that_says_nothing_is_refused(changed: dict[str, object], said: str) -> None:
    """With the field, the value and the remedy."""
    good: dict[str, object] = {
        "number": "1b",
        "title": "t",
        "unit": "s",
        "better": "lower",
        "statistic": "p50",
        "rounds": {"ours": [[1.0]]},
    }
    with pytest.raises(BadRowError, match=said):
        Row(**(good | changed))  # type: ignore[arg-type]


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    """With machine, versions of each side, commit, date and the seconds it took."""
    measured = Row(
        number="6-cpu",
        title="growth",
        unit="core",
        better="lower",
        statistic="mean",
        rounds={"ours at 8": [[0.1234567891, 2], [3e-6, 4]], "ours at 1": [[1], [2]]},
        note="pinned",
        versions={"O": {"openrtc": "0.20.1"}},
    )
    path = measured.write(took_s=12.34, folder=tmp_path)
    assert path.name == "6-cpu.json"
    assert '"ours at 1": [\n   [1],\n   [2]\n  ]' in path.read_text(encoding="utf-8")
    read = read_all(tmp_path)["6-cpu"]
    assert read.rounds == {"ours at 8": [[0.123457, 2], [3e-6, 4]], "ours at 1": [[1], [2]]}
    assert read.run is not None
    assert read.run.versions["O"] == {"openrtc": "0.20.1"}
    assert {"python", "livekit-server", "livekit-agents"} <= read.run.versions["ours"].keys()
    assert set(read.run.machine) == {"cpu", "cores", "memory_gib", "kernel"}
    assert read.run.took_s == 12.3
    raw = json.loads(path.read_text(encoding="utf-8"))["run"]
    assert raw["date"].endswith("Z")
    assert raw["commit"]


def test_every_goal_can_be_compared() -> None:
    """Each bar names a peer, or is of our own figure; each number is there once."""
    assert len(BY_NUMBER) == len(GOALS)
    for goal in GOALS:
        for bar in (*goal.goal, *goal.moonshot):
            assert (bar.how == "own") is (bar.peer == "")
