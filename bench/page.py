"""The written parts of docs/benchmarks.md and its plots, out of rows. Pure but for its end.

What docs/scaling.md has of the same rows is written with it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from bench import overview
from bench.compare import Estimate, Finding, Verdict, verdict
from bench.contenders import CONTENDERS, family
from bench.goals import GOALS, Bar, Goal
from bench.machine import PROJECT
from bench.results import Row, Run, Statistic, read_all
from bench.scale import page as scaling
from bench.strip import Strip, draw, figure

PAGE = PROJECT / "docs" / "benchmarks.md"
IMAGES = PROJECT / "docs" / "images"
OVERVIEW = "bench-overview.svg"
_STATISTIC: Mapping[Statistic, str] = {
    "p50": "the median",
    "p95": "the p95",
    "p99": "the p99",
    "mean": "the mean",
}
_PART = re.compile(r"(<!-- ([a-z]+): written by bench -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def page(text: str, rows: Mapping[str, Row]) -> str:
    """The page with its written parts anew; a goal without a row is listed as not measured."""
    verdicts = {
        goal.number: verdict(rows[goal.number], goal) for goal in GOALS if goal.number in rows
    }
    parts = {
        "short": _in_short(verdicts),
        "table": _table(rows, verdicts),
        "missed": _missed(rows, verdicts),
        "contenders": _contenders(rows),
        "machine": _machines(rows),
        "rows": "\n\n".join(
            _row(goal, rows[goal.number], verdicts[goal.number])
            for goal in GOALS
            if goal.number in rows
        ),
    }
    return _PART.sub(lambda found: f"{found[1]}{parts[found[2]]}\n{found[3]}", text)


def plots(rows: Mapping[str, Row]) -> dict[str, str]:
    """All plots by file name: one of all goals, and each row's."""
    drawn = {
        f"bench-{goal.number}.svg": _plot(goal, rows[goal.number])
        for goal in GOALS
        if goal.number in rows
    }
    if drawn:
        title = "How much of what a goal allows is used; left of 1 it is met"
        drawn[OVERVIEW] = overview.draw(_uses(rows), title=title)
    return drawn


def _uses(rows: Mapping[str, Row]) -> list[overview.Use]:
    """Of each bar of a goal that was measured; a bar of 0 allows nothing to use."""
    found = []
    for goal in GOALS:
        if goal.number not in rows:
            continue
        row = rows[goal.number]
        for each in verdict(row, goal).goal:
            if each.estimate is None or each.bar.limit == 0:
                continue
            share = each.estimate.value / each.bar.limit
            spread = (each.estimate.spread or 0.0) / each.bar.limit
            if row.better == "higher":
                share, spread = 1 / share, spread / share**2
            name = f"{goal.number}: {_bar(each.bar, row.better, goal.unit)}"
            found.append(overview.Use(name, share, spread))
    return found


def _in_short(verdicts: Mapping[str, Verdict]) -> str:
    goals = [finding for found in verdicts.values() for finding in found.goal]
    moonshots = [finding for found in verdicts.values() for finding in found.moonshot]
    if not verdicts:
        return "Nothing has been measured yet."
    return (
        f"Measured: {len(verdicts)} of {len(GOALS)} rows. "
        f"Goals: {_count(goals)}. Moonshots: {_count(moonshots)}.\n\n"
        f"![How much of what each goal allows is used](images/{OVERVIEW})"
    )


def _count(findings: list[Finding]) -> str:
    met = sum(finding.met is True for finding in findings)
    within = sum(finding.met is True and not finding.clear for finding in findings)
    unknown = sum(finding.met is None for finding in findings)
    said = f"{met} of {len(findings)} met"
    said += f", {within} of them not clearly" if within else ""
    return said + (f", {unknown} not measured" if unknown else "")


def _table(rows: Mapping[str, Row], verdicts: Mapping[str, Verdict]) -> str:
    lines = [
        "| # | what | goal | moonshot | ours | peers | ratio ± spread | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for goal in GOALS:
        row = rows.get(goal.number)
        better = row.better if row else goal.better
        wanted = [_bars(bars, better, goal.unit) for bars in (goal.goal, goal.moonshot)]
        if row is None:
            cells = ["", "", "", "not measured"]
        else:
            ours = [name for name in row.rounds if family(name) == "ours"]
            peers = [name for name in row.rounds if family(name) != "ours"]
            cells = [
                _figures(row, ours),
                _figures(row, peers),
                _estimates(row, verdicts[goal.number]),
                _words(verdicts[goal.number]),
            ]
        number = f"[{goal.number}](#{_anchor(goal)})" if row else goal.number
        lines.append(f"| {' | '.join([number, goal.what, *wanted, *cells])} |")
    return "\n".join(lines)


def _bars(bars: tuple[Bar, ...], better: str, unit: str) -> str:
    return ", ".join(_bar(bar, better, unit) for bar in bars)


def _bar(bar: Bar, better: str, unit: str) -> str:
    sign = "≥" if better == "higher" else "≤"
    if bar.how == "own":
        return f"{sign} {bar.limit:g} {unit}".strip()
    if bar.how == "difference":
        return f"{sign} {bar.peer} + {bar.limit:g} {unit}"
    return f"{sign} {bar.limit:g} of {bar.peer}"


def _figures(row: Row, contenders: list[str]) -> str:
    """Each one's figure; a single one that is called `ours` needs no name."""
    named = [
        f"{'' if name == 'ours' else name + ' '}{_figure(row, name)} {row.unit}".strip()
        for name in contenders
    ]
    return "<br>".join(named)


def _figure(row: Row, contender: str) -> str:
    value = row.overall(contender)
    return figure(value, is_least=row.is_least(value))


def _estimates(row: Row, found: Verdict) -> str:
    """Against each peer that a bar names, and of ours alone, once."""
    shown = {}
    for each in (*found.goal, *found.moonshot):
        if each.estimate is not None:
            shown[each.bar.how, each.bar.peer, each.bar.ours] = _estimate(row, each)
    return "<br>".join(shown.values())


def _estimate(row: Row, found: Finding) -> str:
    return "not measured" if found.estimate is None else _of(row, found.bar, found.estimate)


def _of(row: Row, bar: Bar, estimate: Estimate) -> str:
    value, spread = estimate.value, estimate.spread
    apart = "one round" if spread is None else f"± {spread:.2g}"
    if bar.how == "own":
        return f"{figure(value)} {apart} {row.unit}".strip()
    if bar.how == "difference":
        return f"{bar.peer} {value:+.3g} {apart} {row.unit}"
    return f"{value:.3f} {apart} of {bar.peer}"


def _uncut(row: Row, found: Finding) -> str:
    """What the rounds alone give in which all came; empty: all did in all of them."""
    if not found.cut:
        return ""
    if found.uncut is None:
        return "; in none of the rounds did all come"
    of = found.cut + found.uncut.rounds
    rounds = f"{found.uncut.rounds} of {of} rounds"
    return f"; by the {rounds} in which all came, {_of(row, found.bar, found.uncut)}"


def _waited(row: Row) -> str:
    """What was waited for in vain, and how it counts."""
    if row.waited is None:
        return ""
    lost = {name: sum(row.in_vain(name)) for name in row.rounds}
    said = ", ".join(
        f"{name} {count} of {sum(len(values) for values in row.rounds[name])}"
        for name, count in lost.items()
        if count
    )
    wait = f"{row.waited:g} {row.unit}"
    if not said:
        return f"Everything came within the {wait} that were waited for it."
    return f"What had not come after {wait} counts as {wait}, the least that it took: {said}."


def _words(found: Verdict) -> str:
    said = []
    for kind, findings in (("goal", found.goal), ("moonshot", found.moonshot)):
        if not findings:
            continue
        words = [finding.words for finding in findings]
        if len(set(words)) == 1:
            said.append(f"{kind} {words[0]}")
        else:
            each = (f"{f.words} against {f.bar.peer}" for f in findings)
            said.append(f"{kind} {', '.join(each)}")
    return "<br>".join(said)


def _missed(rows: Mapping[str, Row], verdicts: Mapping[str, Verdict]) -> str:
    lines = [
        f"- **{goal.number}** ({goal.what}): wanted "
        f"{_bar(found.bar, rows[goal.number].better, goal.unit)}, "
        f"found {_estimate(rows[goal.number], found)}; {found.words}."
        for goal in GOALS
        if goal.number in verdicts
        for found in verdicts[goal.number].goal
        if found.met is False
    ]
    return "\n".join(lines) or ("None." if verdicts else "Nothing has been measured yet.")


def _contenders(rows: Mapping[str, Row]) -> str:
    measured = {family(name) for row in rows.values() for name in row.rounds}
    versions: dict[str, set[str]] = {}
    for row in rows.values():
        for name, packages in row.run.versions.items() if row.run else ():
            said = ", ".join(f"{package} {version}" for package, version in packages.items())
            versions.setdefault(family(name), set()).add(said)
    lines = []
    for name, what in CONTENDERS.items():
        seen = "" if name in measured else " Not measured yet."
        lines.append(f"- **{name}**: {what}{seen}")
        lines += [f"  - {said}" for said in sorted(versions.get(name, ()))]
    return "\n".join(lines)


def _machines(rows: Mapping[str, Row]) -> str:
    found: dict[str, list[str]] = {}
    for row in rows.values():
        if row.run is not None:
            found.setdefault(_machine(row.run), []).append(row.number)
    lines = []
    for said, numbers in found.items():
        which = "" if len(found) == 1 else f" (rows {', '.join(numbers)})"
        lines.append(f"- {said}{which}")
    return "\n".join(lines) or "Nothing has been measured yet."


def _machine(run: Run) -> str:
    of = run.machine
    return f"{of['cpu']}, {of['cores']} cores, {of['memory_gib']} GiB, {of['kernel']}"


def _row(goal: Goal, row: Row, found: Verdict) -> str:
    lines = [f"### {_heading(goal)}\n", f"![{row.title}](images/bench-{goal.number}.svg)\n"]
    for kind, findings in (("Goal", found.goal), ("Moonshot", found.moonshot)):
        for each in findings:
            seen = f"{_estimate(row, each)}, {each.words}" if each.estimate else each.words
            wanted = _bar(each.bar, row.better, goal.unit)
            lines.append(f"- {kind} {wanted}: {seen}{_uncut(row, each)}.")
    rounds = max(len(of) for of in row.rounds.values())
    values = sum(len(values) for of in row.rounds.values() for values in of)
    about = f"{rounds} rounds, {values:,} values, {_STATISTIC[row.statistic]} of each round"
    if row.run is not None:
        about += f"; {row.run.date[:10]}, commit {row.run.commit}, {row.run.took_s:.0f} s."
    return "\n".join([*lines, "", " ".join(filter(None, [row.note, _waited(row), about]))])


def _heading(goal: Goal) -> str:
    return f"Row {goal.number}"


def _anchor(goal: Goal) -> str:
    return _heading(goal).lower().replace(" ", "-")


def _plot(goal: Goal, row: Row) -> str:
    strips = [
        Strip(name, rounds, row.overall(name), row.waited) for name, rounds in row.rounds.items()
    ]
    return draw(strips, title=row.title, unit=row.unit, goal=_wanted(goal, row))


def _wanted(goal: Goal, row: Row) -> float | None:
    """The tightest bar of the goal, where it stands on the axis of the row."""
    at = []
    for bar in goal.goal:
        if bar.how == "own":
            at.append(bar.limit)
        elif bar.peer in row.rounds and not row.is_least(row.overall(bar.peer)):
            theirs = row.overall(bar.peer)
            at.append(bar.limit * theirs if bar.how == "ratio" else theirs + bar.limit)
    if not at:
        return None
    return max(at) if row.better == "higher" else min(at)


def write(page_file: Path = PAGE, images: Path = IMAGES) -> None:
    """The page and its plots from the committed rows; plots of rows that are gone go too.

    docs/scaling.md follows the same rows.
    """
    rows = read_all()
    drawn = plots(rows)
    for path in images.glob("bench-*.svg"):
        if path.name not in drawn:
            path.unlink()
    for name, svg in drawn.items():
        (images / name).write_text(svg, encoding="utf-8")
    text = page_file.read_text(encoding="utf-8")
    page_file.write_text(page(text, rows), encoding="utf-8")
    scaling.rewrite()


def problems() -> list[str]:
    """What is not as the committed rows give it; empty: all is."""
    rows = read_all()
    drawn = plots(rows)
    there = {path.name: path.read_text(encoding="utf-8") for path in IMAGES.glob("bench-*.svg")}
    found = [name for name in sorted(drawn.keys() | there) if drawn.get(name) != there.get(name)]
    text = PAGE.read_text(encoding="utf-8")
    if page(text, rows) != text:
        found.append(PAGE.name)
    return [f"{name} is not what bench/results gives: python -m bench page" for name in found]
