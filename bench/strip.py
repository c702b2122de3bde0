"""Strip plots as SVG: every value of every contender, round by round. Pure.

A contender has one strip, a round one line of dots in it, from the first at the top; the tick is
the contender's figure. What never came is a ring at the right edge, beyond the axis. Legible on
light and on dark pages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from assistant.rehearsal.load.chart import COLOURS, STYLE, WIDTH, thin, ticks

LEFT, RIGHT, TOP, BOTTOM = 150, 96, 56, 40
STRIP_HEIGHT = 40
EDGE = WIDTH - RIGHT + 8
# Of a name's width, on average.
LETTER = 6
# A round's dots beyond this many show nothing more.
MOST_DOTS = 120
OURS, PEER = COLOURS[0], COLOURS[-1]
OWN_STYLE = ".figure{font-weight:600}.goal{fill:#d64545}"


@dataclass(frozen=True)
class Strip:
    """One contender: its values by round, and the figure that stands for them.

    `waited`: a value of so much never came; None: all did.
    """

    name: str
    rounds: Sequence[Sequence[float]]
    figure: float
    waited: float | None = None

    def is_lost(self, value: float) -> bool:
        return self.waited is not None and value >= self.waited

    @property
    def seen(self) -> list[float]:
        """What came."""
        return [value for values in self.rounds for value in values if not self.is_lost(value)]


def figure(value: float, *, is_least: bool = False) -> str:
    """Three digits, or whole thousands."""
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"≥ {digits}" if is_least else digits


def draw(strips: Sequence[Strip], *, title: str, unit: str, goal: float | None = None) -> str:
    """The whole file; `goal` is where a vertical line stands, None: nowhere."""
    values = [value for strip in strips for value in strip.seen]
    every = [0.0, *values] if goal is None else [0.0, goal, *values]
    low, high = min(every), max(every)
    span = (high - low) * 1.04 or 1.0

    left = max(LEFT, 24 + LETTER * max(len(strip.name) for strip in strips))

    def x(value: float) -> float:
        return left + (value - low) / span * (WIDTH - left - RIGHT)

    bottom = TOP + STRIP_HEIGHT * len(strips)
    parts = [_text(12, 20, title, css="title")]
    for value in ticks(low, low + span):
        parts += [
            _line(x(value), TOP, x(value), bottom, "grid"),
            _text(x(value), bottom + 16, f"{value:g}", anchor="middle"),
        ]
    parts.append(_text(WIDTH - 12, bottom + 32, unit, anchor="end"))
    if goal is not None:
        parts += [
            _line(x(goal), TOP - 4, x(goal), bottom, "bar"),
            _text(x(goal), TOP - 8, "goal", "middle", "goal"),
        ]
    for number, strip in enumerate(strips):
        parts += _strip(strip, TOP + STRIP_HEIGHT * number, x, left)
    height = bottom + BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<style>{STYLE}{OWN_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _strip(strip: Strip, top: float, x: Callable[[float], float], left: float) -> list[str]:
    colour = OURS if strip.name.startswith("ours") else PEER
    step = (STRIP_HEIGHT - 16) / len(strip.rounds)
    dots = [
        _ring(top + 8 + step * (number + 0.5), colour)
        if strip.is_lost(value)
        else _dot(x(value), top + 8 + step * (number + 0.5))
        for number, values in enumerate(strip.rounds)
        for value, _ in thin([(value, 0.0) for value in sorted(values)], MOST_DOTS)
    ]
    is_least = strip.is_lost(strip.figure)
    at, middle = EDGE if is_least else x(strip.figure), top + STRIP_HEIGHT / 2
    words = figure(strip.figure, is_least=is_least)
    tick = f"M{at:.1f} {top + 4}V{top + STRIP_HEIGHT - 4}"
    return [
        _text(left - 12, middle + 4, strip.name, anchor="end"),
        f'<g fill="{colour}" fill-opacity=".55">{"".join(dots)}</g>',
        f'<path d="{tick}" stroke="{colour}" stroke-width="3"/>',
        _text(WIDTH - 12, middle + 4, words, anchor="end", css="figure"),
    ]


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'


def _ring(y: float, colour: str) -> str:
    return f'<circle cx="{EDGE}" cy="{y:.1f}" r="2.5" fill="none" stroke="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{css}"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", css: str = "") -> str:
    named = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
