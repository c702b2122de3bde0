"""A run as JSON, and as a plot. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assistant.rehearsal.load.advice import Advice
from assistant.rehearsal.load.chart import Panel, Series, draw
from assistant.rehearsal.load.figures import CallFigures, Spread, Summary, concurrency
from assistant.rehearsal.load.plan import LoadPlan
from assistant.rehearsal.load.verdict import Bars, Miss

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run: alone, or one of a search for the capacity."""

    plan: LoadPlan
    bars: Bars
    calls: Sequence[CallFigures]
    summary: Summary
    misses: Sequence[Miss]


def to_json(
    steps: Sequence[Step],
    *,
    url: str,
    began_at: float,
    doubts: Sequence[str],
    advice: Sequence[Advice],
    capacity: int | None,
    left_behind: Sequence[str],
) -> dict[str, Any]:
    """One object; seconds throughout, `began_at` in Unix time, `capacity` None: not searched."""
    return {
        "version": VERSION,
        "service": url,
        "began_at": began_at,
        "kept": not any(step.misses for step in steps) if capacity is None else capacity > 0,
        "capacity": capacity,
        "steps": [_step(step) for step in steps],
        "doubts": list(doubts),
        "advice": [asdict(one) for one in advice],
        "left_behind": list(left_behind),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "plan": asdict(step.plan),
        "bars": asdict(step.bars),
        "summary": asdict(step.summary) | {"answered": step.summary.answered},
        "misses": [asdict(miss) for miss in step.misses],
        "concurrency": [list(change) for change in concurrency(step.calls)],
        "calls": [asdict(call) for call in step.calls],
    }


def plot_run(step: Step) -> str:
    """Concurrency, joins and replies over the time of one run."""
    calls = step.calls
    joins = [(c.began_s + c.agent_s, c.agent_s) for c in calls if c.agent_s is not None]
    greetings = [
        (c.began_s + c.greeting_s, c.greeting_s) for c in calls if c.greeting_s is not None
    ]
    turns = sorted((turn.at, turn.reply_s) for call in calls for turn in call.turns)
    bars = step.bars
    when = "seconds since the run began"
    panels = [
        Panel(
            title="callers in a call",
            x_label=when,
            x_from=0,
            x_to=step.summary.took_s,
            series=[Series("callers", concurrency(calls), "step")],
        ),
        Panel(
            title="seconds from the start",
            x_label=when,
            x_from=0,
            x_to=step.summary.took_s,
            series=[
                Series("agent in the room", sorted(joins), "dots"),
                Series("greeting heard", sorted(greetings), "dots"),
            ],
            bar=None if bars.join_p95_s is None else ("bar, join p95", bars.join_p95_s),
        ),
        Panel(
            title="seconds from the end of speech to the reply",
            x_label=when,
            x_from=0,
            x_to=step.summary.took_s,
            series=[Series("reply", turns, "dots")],
            bar=None if bars.turn_p95_s is None else ("bar, turn p95", bars.turn_p95_s),
        ),
    ]
    summary = step.summary
    notes = [
        (
            f"{summary.calls} calls, {summary.failed} failed, {summary.answered_turns} of "
            f"{summary.due} turns answered"
        ),
        f"CPU in cores: callers {summary.cpu.callers:.2f}"
        + ("" if summary.cpu.machine is None else f", this machine {summary.cpu.machine:.2f}")
        + f" of {summary.cpu.cores}",
    ]
    return draw(panels, title="Load on a deployment", notes=notes)


def plot_search(steps: Sequence[Step], capacity: int) -> str:
    """Latencies and CPU by the number of callers."""
    bar = next((s.bars.turn_p95_s for s in steps if s.bars.turn_p95_s is not None), None)

    def of(name: str) -> list[tuple[float, float]]:
        found = []
        for step in sorted(steps, key=lambda step: step.plan.callers):
            value: Spread | None = getattr(step.summary, name)
            if value is not None:
                found.append((float(step.plan.callers), value.p95))
        return found

    cpu = [(float(s.plan.callers), s.summary.cpu) for s in steps]
    machine = [(n, use.machine) for n, use in cpu if use.machine is not None]
    panels = [
        Panel(
            title="p95, seconds",
            x_label="callers at once",
            x_from=0,
            series=[
                Series("reply", of("reply"), "dots"),
                Series("agent in the room", of("agent"), "dots"),
            ],
            bar=None if bar is None else ("bar: turn p95, 1.25 x alone", bar),
        ),
        Panel(
            title="CPU in cores",
            x_label="callers at once",
            x_from=0,
            series=[
                Series("this machine", machine, "dots"),
                Series("callers alone", [(n, use.callers) for n, use in cpu], "dots"),
            ],
        ),
    ]
    kept = f"{capacity} callers at once kept the bar"
    return draw(panels, title="Capacity of a deployment", notes=[kept])
