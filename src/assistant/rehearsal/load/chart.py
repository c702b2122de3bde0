"""Plots as SVG, without a library: panels one below the other, readable on light and dark. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import floor, log10
from typing import Literal

WIDTH = 760
PANEL_HEIGHT = 190
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 34, 36
# More points than pixels show nothing more.
MAX_POINTS = 2000
TICKS = 5
# Distinct for most colour-blind eyes, and legible on white and on near-black alike.
COLOURS = ("#3b82f6", "#e8833a", "#2fa36b", "#c65bcf", "#8a93a0")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#667080}"
    ".title{font-weight:600;font-size:13px}"
    ".grid{stroke:#8a93a0;stroke-opacity:.25}"
    ".axis{stroke:#8a93a0;stroke-opacity:.7}"
    ".bar{stroke:#d64545;stroke-dasharray:5 4}"
    "@media (prefers-color-scheme:dark){text{fill:#aab2bd}}"
)

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """`step`: each value holds until the next point."""

    name: str
    points: Sequence[Point]
    kind: Literal["line", "step", "dots"] = "line"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`bar`: a horizontal line at a value that matters, and its name.

    `x_from`, `x_to`: what the axis spans at least; None: what the points do.
    """

    title: str
    x_label: str
    series: Sequence[Series]
    bar: tuple[str, float] | None = None
    x_from: float | None = None
    x_to: float | None = None


@dataclass(frozen=True)
class _Frame:
    """A panel's place on the page, and what its axes span."""

    top: float
    x_from: float
    x_to: float
    y_to: float

    def x(self, value: float) -> float:
        width = WIDTH - LEFT - RIGHT
        return LEFT + (value - self.x_from) / (self.x_to - self.x_from) * width

    def y(self, value: float) -> float:
        height = PANEL_HEIGHT - TOP - BOTTOM
        return self.top + TOP + height * (1 - min(value, self.y_to) / self.y_to)


@dataclass
class _Page:
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'
        )

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", css: str = "") -> None:
        named = f' class="{css}"' if css else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
        )


def ticks(low: float, high: float) -> list[float]:
    """Round values within a range, about `TICKS` of them: 1, 2 or 5 times a power of ten apart."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = -int(-low / step // 1)
    last = floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def thin(points: Sequence[Point], most: int = MAX_POINTS) -> list[Point]:
    """At most `most` of the points, evenly, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(number * (len(points) - 1) / (most - 1))] for number in range(most)]


def draw(panels: Sequence[Panel], *, title: str, notes: Sequence[str] = ()) -> str:
    """The whole file; the notes stand below the panels, one a line."""
    page = _Page()
    top = 30.0
    page.text(LEFT, 20, title, css="title")
    for panel in panels:
        _draw_panel(page, panel, top)
        top += PANEL_HEIGHT
    for note in notes:
        page.text(LEFT, top + 12, note)
        top += 16
    height = top + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<style>{STYLE}</style>{''.join(page.parts)}</svg>\n"
    )


def _draw_panel(page: _Page, panel: Panel, top: float) -> None:
    every = [point for series in panel.series for point in series.points]
    xs = [x for x, _ in every] or [0.0, 1.0]
    tallest = max([y for _, y in every] + ([panel.bar[1]] if panel.bar else []), default=1.0)
    x_from = min(xs) if panel.x_from is None else panel.x_from
    frame = _Frame(
        top=top,
        x_from=x_from,
        x_to=max(*xs, panel.x_to or 0.0, x_from + 1e-9),
        y_to=tallest * 1.08 if tallest > 0 else 1.0,
    )
    page.text(LEFT, top + 20, panel.title, css="title")
    bottom = frame.y(0)
    for value in ticks(0, frame.y_to):
        page.line(LEFT, frame.y(value), WIDTH - RIGHT, frame.y(value), "grid")
        page.text(LEFT - 8, frame.y(value) + 4, f"{value:g}", anchor="end")
    for value in ticks(frame.x_from, frame.x_to):
        page.line(frame.x(value), bottom, frame.x(value), bottom + 4, "axis")
        page.text(frame.x(value), bottom + 17, f"{value:g}", anchor="middle")
    page.line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")
    page.text(WIDTH - RIGHT, bottom + 31, panel.x_label, anchor="end")
    if panel.bar:
        name, value = panel.bar
        page.line(LEFT, frame.y(value), WIDTH - RIGHT, frame.y(value), "bar")
        page.text(LEFT + 6, frame.y(value) - 4, name)
    right = float(WIDTH - RIGHT)
    for number, series in reversed(list(enumerate(panel.series))):
        colour = COLOURS[number % len(COLOURS)]
        page.parts.append(_marks(series, frame, colour))
        if len(panel.series) > 1:
            page.text(right, top + 20, series.name, anchor="end")
            right -= 6.5 * len(series.name) + 10
            page.parts.append(
                f'<circle cx="{right:.1f}" cy="{top + 16:.1f}" r="4" fill="{colour}"/>'
            )
            right -= 16


def _marks(series: Series, frame: _Frame, colour: str) -> str:
    points = [(frame.x(x), frame.y(y)) for x, y in thin(series.points)]
    if series.kind == "dots":
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points)
        return f'<g fill="{colour}" fill-opacity=".75">{dots}</g>'
    if not points:
        return ""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for x, y in points[1:]:
        path.append(f"H{x:.1f}V{y:.1f}" if series.kind == "step" else f"L{x:.1f} {y:.1f}")
    return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
