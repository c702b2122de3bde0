"""All goals in one picture: how much of what a goal allows is used. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from assistant.rehearsal.load.chart import COLOURS, STYLE, WIDTH

LEFT, RIGHT, TOP, BOTTOM = 330, 70, 44, 34
LINE_HEIGHT = 22
# Beyond twice of what is allowed a miss is a miss.
MOST = 2.0
MET, MISSED = COLOURS[2], "#d64545"
TICKS = (0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Use:
    """`share` of what the goal allows, 1 at its limit; `spread` in the same measure."""

    name: str
    share: float
    spread: float


def draw(uses: Sequence[Use], *, title: str) -> str:
    """The whole file."""
    bottom = TOP + LINE_HEIGHT * len(uses)
    height = bottom + BOTTOM
    parts = [f'<text x="12" y="20" class="title">{escape(title)}</text>']
    for value in TICKS:
        css = "bar" if value == 1 else "grid"
        parts += [
            f'<path d="M{_x(value):.1f} {TOP - 6}V{bottom}" class="{css}"/>',
            f'<text x="{_x(value):.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>',
        ]
    for number, use in enumerate(uses):
        parts += _line(use, TOP + LINE_HEIGHT * (number + 0.5))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _x(share: float) -> float:
    return LEFT + min(max(share, 0.0), MOST) / MOST * (WIDTH - LEFT - RIGHT)


def _line(use: Use, y: float) -> list[str]:
    colour = MET if use.share <= 1 else MISSED
    low, high = _x(use.share - use.spread), _x(use.share + use.spread)
    return [
        f'<text x="{LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{escape(use.name)}</text>',
        f'<path d="M{low:.1f} {y:.1f}H{high:.1f}" stroke="{colour}" stroke-width="3"/>',
        f'<circle cx="{_x(use.share):.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
        f'<text x="{WIDTH - 12}" y="{y + 4:.1f}" text-anchor="end">{use.share:.2f}</text>',
    ]
