"""docs/scaling.md and its tables. Those that are arithmetic follow bench/results at once."""

from collections.abc import Mapping
from typing import Any

from bench.machine import PROJECT
from bench.scale import figures, hosts
from bench.scale.rows import markdown
from bench.scale.scenarios import TABLES

PAGE = PROJECT / "docs" / "scaling.md"


def put_in(text: str, name: str, table: str) -> str:
    """The page with what stands between the two markers of this name replaced.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = f"<!-- {name}: written by bench.scale -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"docs/scaling.md has no markers for {name}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def reckoned(text: str) -> str:
    """The page with the tables that no simulation is needed for, by the rows as they are now."""
    ours, dense = hosts.measured(), hosts.measured("ours dense")
    for name, table in (
        ("hosts", hosts.table(ours)),
        ("shared", hosts.shared(ours, dense)),
        ("figures", figures.table(ours)),
    ):
        text = put_in(text, name, table)
    return text


def page(text: str, results: Mapping[str, Any]) -> str:
    """The page with all tables: the simulated ones as these results have them."""
    for table in TABLES:
        text = put_in(text, table.name, markdown(table, results["tables"][table.name]))
    for name in ("validation", "launches"):
        text = put_in(text, name, results["written"][name])
    return reckoned(text)


def rewrite() -> None:
    """Have the page follow bench/results."""
    PAGE.write_text(reckoned(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
