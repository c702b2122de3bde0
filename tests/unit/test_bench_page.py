"""docs/benchmarks.md: what the suite makes of its rows, and that the committed page is that."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bench.__main__ import chosen
from bench.contenders import CONTENDERS, family
from bench.errors import UnknownRowError
from bench.goals import BY_NUMBER, GOALS
from bench.page import page, plots, problems
from bench.results import Row, read_all
from bench.rows import pieces
from bench.strip import Strip, draw

PARTS = ("short", "table", "missed", "contenders", "machine", "rows")
EMPTY = "before\n" + "".join(
    f"<!-- {part}: written by bench -->\nstale\n<!-- /{part} -->\n" for part in PARTS
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, Row]:
    """A row that keeps its goal clearly, and one that misses it, as they were written."""
    Row(
        number="1b",
        title="Until the greeting",
        unit="s",
        better="lower",
        statistic="p50",
        rounds={"ours": [[0.4], [0.41], [0.42]], "D": [[0.8], [0.8], [0.8]]},
        versions={"D": {"livekit-agents": "1.8.9"}},
        note="A note.",
    ).write(took_s=10, folder=tmp_path)
    Row(
        number="4",
        title="Tokens <per second>",
        unit="requests/s",
        better="higher",
        statistic="mean",
        rounds={"ours": [[500.0], [510.0], [505.0]], "bare": [[1000.0], [1000.0], [1000.0]]},
    ).write(took_s=20, folder=tmp_path)
    return read_all(tmp_path)


def part(text: str, name: str) -> str:
    after = text.split(f"<!-- {name}: written by bench -->\n", maxsplit=1)[1]
    return after.split(f"\n<!-- /{name} -->", maxsplit=1)[0]


def test_the_page_says_what_was_found_and_what_was_missed(rows: dict[str, Row]) -> None:
    """Every goal has its line, a miss its own place, and what was not measured says so."""
    text = page(EMPTY, rows)
    assert text.startswith("before\n")
    assert "stale" not in text
    table = part(text, "table").splitlines()
    assert len(table) == 2 + len(GOALS)
    kept = next(line for line in table if line.startswith("| [1b](#row-1b)"))
    for cell in ("≤ 0.7 of D", "≤ F + 0.1 s", "0.41 s", "D 0.8 s", "0.512 ± 0.012 of D"):
        assert f"| {cell} |" in kept, cell
    assert "| goal met<br>moonshot not measured |" in kept
    missed = next(line for line in table if line.startswith("| [4](#row-4)"))
    assert "| 505 requests/s | bare 1,000 requests/s | 0.505 ± 0.005 of bare |" in missed
    assert sum("| not measured |" in line for line in table) == len(GOALS) - 2
    assert part(text, "missed") == (
        "- **4** (`POST /api/token`, requests per second): wanted ≥ 0.6 of bare, "
        "found 0.505 ± 0.005 of bare; missed."
    )
    assert part(text, "short") == (
        f"Measured: 2 of {len(GOALS)} rows. Goals: 1 of 2 met. "
        "Moonshots: 0 of 3 met, 2 not measured.\n\n"
        "![How much of what each goal allows is used](images/bench-overview.svg)"
    )
    told = part(text, "rows")
    assert told.index("### Row 1b") < told.index("### Row 4")
    assert "A note. 3 rounds, 6 values, the median of each round; " in told
    assert "livekit-agents 1.8.9" in part(text, "contenders")
    assert "cores" in part(text, "machine")
    assert page(text, rows) == text


def test_the_page_says_what_was_waited_for_in_vain(tmp_path: Path) -> None:
    """How many, how they count, what the other rounds give; a figure of theirs is the least."""
    Row(
        number="1c",
        title="A burst",
        unit="s",
        better="lower",
        statistic="p95",
        rounds={"ours": [[0.6, 1.5]] * 3, "D": [[15.0, 0.8], [0.7, 15.0], [1.0, 2.0]]},
        waited=15.0,
    ).write(took_s=1, folder=tmp_path)
    rows = read_all(tmp_path)
    text = page(EMPTY, rows)
    assert "| 1.5 s | D ≥ 15 s | 0.100 ± 0.33 of D |" in part(text, "table")
    told = part(text, "rows")
    assert "met, within the noise; by the 1 of 3 rounds in which all came, 0.750 one round" in told
    assert "not come after 15 s counts as 15 s, the least that it took: D 2 of 6. 3 rounds" in told
    root = ET.fromstring(plots(rows)["bench-1c.svg"])  # noqa: S314 - ours
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert "≥ 15" in words
    assert "goal" not in words  # Nobody knows where it is.
    rings = [each for each in root.iter(f"{SVG}circle") if each.get("fill") == "none"]
    seen = [each for each in root.iter(f"{SVG}circle") if each.get("fill") is None]
    assert (len(rings), len(seen)) == (2, 10)
    assert max(float(each.get("cx", "")) for each in seen) < float(rings[0].get("cx", ""))


def test_without_rows_the_page_claims_nothing() -> None:
    """Every line of the table is there, and says that nothing was measured."""
    text = page(EMPTY, {})
    assert text.count("| not measured |") == len(GOALS)
    assert part(text, "missed") == part(text, "machine") == "Nothing has been measured yet."
    assert part(text, "rows") == ""


def test_a_plot_shows_every_value_and_every_figure(rows: dict[str, Row]) -> None:
    """Well-formed SVG with a dot a value, a name and a figure a contender, and the goal's line."""
    drawn = plots(rows)
    assert set(drawn) == {"bench-1b.svg", "bench-4.svg", "bench-overview.svg"}
    root = ET.fromstring(drawn["bench-1b.svg"])  # noqa: S314 - ours
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert {"Until the greeting", "ours", "D", "0.41", "0.8", "goal", "s"} <= set(words)
    assert len(list(root.iter(f"{SVG}circle"))) == 6
    assert ET.fromstring(drawn["bench-4.svg"]).get("aria-label") == "Tokens <per second>"  # noqa: S314 - ours


def test_the_overview_puts_every_goal_on_one_scale(rows: dict[str, Row]) -> None:
    """What is used of what is allowed, also where more is better: 0.51 of 0.7, 0.6 of 0.5."""
    root = ET.fromstring(plots(rows)["bench-overview.svg"])  # noqa: S314 - ours
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert words[-4:] == ["1b: ≤ 0.7 of D", "0.73", "4: ≥ 0.6 of bare", "1.19"]
    met, missed = root.iter(f"{SVG}circle")
    assert float(met.get("cx", "")) < float(missed.get("cx", ""))
    assert met.get("fill") != missed.get("fill")


def test_a_plot_stays_on_its_sheet() -> None:
    """Values below 0, all alike, or far too many: every dot is within the picture."""
    for rounds in ([[-0.2, 0.3]], [[0.0]], [[float(n) for n in range(5000)]] * 5):
        svg = draw([Strip("ours", rounds, 0.0)], title="t", unit="s", goal=0.1)
        root = ET.fromstring(svg)  # noqa: S314 - ours
        width, height = float(root.get("width", "")), float(root.get("height", ""))
        dots = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in root.iter(f"{SVG}circle")]
        assert dots
        assert len(dots) <= 1000
        assert all(0 <= x <= width and 0 <= y <= height for x, y in dots)


def test_the_pieces_measure_rows_of_the_table_once_each() -> None:
    """Every module of bench/rows gives goals that exist, and no other gives the same."""
    numbers = [number for piece in pieces() for number in piece.numbers]
    assert set(numbers) <= BY_NUMBER.keys()
    assert len(set(numbers)) == len(numbers)


def test_a_piece_is_chosen_by_number_or_name_and_a_wrong_one_refused() -> None:
    """One piece for all its numbers; what does not exist is named, with what does."""
    assert [piece.name for piece in chosen(["1d", "clicking", "1d-wait"])] == ["clicking"]
    assert chosen([]) == pieces()
    with pytest.raises(UnknownRowError, match=r"there is no row '9z'; there are .*1d"):
        chosen(["9z"])


def test_the_committed_rows_are_of_the_table() -> None:
    """Each has a goal, with the same unit and the same direction, and contenders that are told."""
    for number, row in read_all().items():
        goal = BY_NUMBER[number]
        assert (row.unit, row.better) == (goal.unit, goal.better), number
        assert {family(name) for name in row.rounds} <= CONTENDERS.keys(), number


def test_the_committed_page_is_what_the_committed_rows_give() -> None:
    """Nobody edits a figure: page and plots come from bench/results."""
    assert problems() == []
