"""10,000 sessions on 200 simulated workers: `python -m bench.scale --write` (some minutes).

Writes results.json beside this file, the tables of docs/scaling.md and its plots. `--table NAME`
runs one table anew and keeps the others. `--check` runs the small deployment anew, compares it with
what was written, and the page with results.json: exit code 1 if they differ. The tables of hosts
follow bench/results, and are written by `python -m bench page` too.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from bench.scale import hosts, launch_model
from bench.scale.figures import BACKGROUND, COSTS, ONE_HOST_COSTS, far_off
from bench.scale.fit import Fit, read, validation
from bench.scale.page import PAGE, page
from bench.scale.rows import figures_of
from bench.scale.scenarios import EVENT_AT_S, SMALL, TABLES
from bench.scale.world import Result, World

from assistant.rehearsal.load.chart import Panel, Point, Series, draw
from assistant.rehearsal.load.figures import percentile

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
BURSTS = HERE / "bursts.jsonl"
LAUNCHES = HERE / "launches.jsonl"
IMAGES = PAGE.parent / "images"
# (table, row) -> the plot's file and the name of its line there.
PLOTS = {
    ("nodes", "1 | one there is not | 2 | burst of 500"): ("scaling-nodes", "1, two stand by"),
    ("nodes", "3 | one there is not | 2 | burst of 500"): ("scaling-nodes", "3, two stand by"),
    ("nodes", "3 | one there is not | 0 | burst of 500"): ("scaling-nodes", "3, none stands by"),
    ("frozen", "as it is"): ("scaling-frozen", "as it is"),
    ("frozen", "without the watchdog"): ("scaling-frozen", "no watchdog"),
}
TITLES = {
    "scaling-nodes": "A burst of 500 starts, by LiveKit nodes (simulated)",
    "scaling-frozen": "5 of 200 workers freeze (simulated)",
}


def small() -> dict[str, Any]:
    return figures_of(World(SMALL.fleet, COSTS, SMALL.course).run())


def written() -> dict[str, str]:
    """The tables that are of recordings, which no run of the fleet is needed for."""
    return {
        "validation": validation(read(BURSTS), Fit(ONE_HOST_COSTS, BACKGROUND)),
        "launches": launch_model.table(LAUNCHES),
    }


def by_second(result: Result) -> dict[str, list[Point]]:
    """Of the starts of each second: the p95, and how many per cent got an agent in the end."""
    took: dict[int, list[float]] = defaultdict(list)
    for asked_at, took_s in result.outcome.started_at:
        took[int(asked_at)].append(took_s)
    failed = Counter(int(asked_at) for asked_at in result.outcome.failed_at)
    return {
        "p95": [
            (float(second), round(percentile(sorted(starts), 0.95), 3))
            for second, starts in sorted(took.items())
        ],
        "answered": [
            (float(at), round(100 * len(took[at]) / (len(took[at]) + failed[at]), 1))
            for at in sorted(took.keys() | failed.keys())
        ],
    }


def run(names: list[str] | None) -> dict[str, Any]:
    """All tables, or those named, with the others as they were."""
    old: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if names else {}
    tables, plots = old.get("tables", {}), old.get("plots", {})
    plots = {name: lines for name, lines in plots.items() if name in TITLES}
    for found in TABLES:
        if names and found.name not in names:
            continue
        tables[found.name] = []
        for row in found.rows:
            began = time.monotonic()
            result = World(row.fleet, COSTS, row.course).run()
            tables[found.name].append(figures_of(result))
            if (plot := PLOTS.get((found.name, row.name))) is not None:
                plots.setdefault(plot[0], {})[plot[1]] = by_second(result)
            print(f"{found.name}: {row.name} ({time.monotonic() - began:.0f} s)", flush=True)
    return {
        "small": small(),
        "tables": tables,
        "plots": plots,
        "written": written(),
    }


def plot(name: str, lines: dict[str, dict[str, list[Point]]]) -> str:
    when = f"when it was asked for, in seconds; it happens at {EVENT_AT_S:g}"
    panels = [
        Panel(title=title, x_label=when, series=[Series(n, of[key]) for n, of in lines.items()])
        for key, title in (
            ("p95", "agent in the room: p95, seconds"),
            ("answered", "starts that got an agent, %"),
        )
    ]
    return draw(panels, title=TITLES[name])


def write(results: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    for name, lines in results["plots"].items():
        (IMAGES / f"{name}.svg").write_text(plot(name, lines), encoding="utf-8")


def problems() -> list[str]:
    """What is not as it was written; empty: all is."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    found = []
    if small() != results["small"]:
        found.append("the simulation gives other figures than results.json has: run --write")
    if page(text, results) != text:
        found.append(
            "docs/scaling.md has other tables than bench/results and results.json give: run "
            "python -m bench page, or --write"
        )
    if (why := far_off(hosts.measured())) is not None:
        found.append(why)
    if results["written"] != written():
        found.append("figures.py or bursts.jsonl have changed since results.json: run --write")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--table", action="append", choices=[found.name for found in TABLES])
    options = parser.parse_args()
    if options.check:
        found = problems()
        print("\n".join(found) or "as written")
        return 1 if found else 0
    results = run(options.table)
    if options.write or options.table:
        write(results)
    else:
        print(json.dumps(results["tables"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
