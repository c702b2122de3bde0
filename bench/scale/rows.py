"""Rows of tables out of results, and tables out of rows. Pure."""

from collections.abc import Sequence
from typing import Any

from bench.scale.scenarios import Table
from bench.scale.world import Result

from assistant.rehearsal.load.figures import percentile

Figures = dict[str, Any]


def figures_of(result: Result) -> Figures:
    """Everything that any table shows, and what the plots need; seconds."""
    outcome = result.outcome
    starts = sorted(outcome.latencies_s)
    queued = sorted(outcome.queue_waits_s)
    moved = sorted(outcome.moved_s)
    return {
        "starts": outcome.asked,
        "found one": _percent(outcome.ahead, len(starts)),
        "learning p95": _share(sorted(outcome.learning_s), 0.95),
        "asked ahead": result.asked_ahead,
        "refused": result.asked_ahead - result.stood_by,
        "offers ahead": result.offers_ahead,
        "waiting": round(result.waiting),
        "p50": _share(starts, 0.5),
        "p95": _share(starts, 0.95),
        "p99": _share(starts, 0.99),
        "max": _share(starts, 1.0),
        "lost": sum(result.lost.values()),
        "lost by": result.lost,
        "dispatched": result.dispatched,
        "repeated": outcome.repeated,
        "wasted": outcome.wasted,
        "failed": outcome.failed,
        "cold": result.cold_starts,
        "jobs of a worker": f"{result.emptiest}–{result.fullest}",  # noqa: RUF001 - a range
        "spread": f"{result.spread:.1f}",
        "full": f"{100 * result.full:.1f} %",
        "overloaded": f"{100 * result.overloaded:.2f} %",
        "queued p95": _share(queued, 0.95),
        "queued max": _share(queued, 1.0),
        "moved": len(moved),
        "moved p95": _share(moved, 0.95),
        "cut off": outcome.unserved,
        "took": None if result.restarted_s is None else round(result.restarted_s),
    }


def _share(ordered: Sequence[float], share: float) -> float | None:
    return round(percentile(ordered, share), 2) if ordered else None


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if part else "–"  # noqa: RUF001 - an empty cell


def cell(name: str, value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - an empty cell
    if name == "took":
        return f"{value / 60:.0f} min"
    if isinstance(value, float):
        return f"{value:.2f} s"
    return f"{value:,}" if isinstance(value, int) else str(value)


def markdown(table: Table, rows: Sequence[Figures]) -> str:
    """A table; a row's name may hold several cells."""
    heads = [*table.head.split(" | "), *table.columns]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row, figures in zip(table.rows, rows, strict=True):
        cells = [cell(name, figures[name]) for name in table.columns]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)
