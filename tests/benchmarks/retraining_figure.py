"""Lines over time as an SVG that stands alone: panels below each other, one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

WIDTH, LEFT, RIGHT, TOP = 760, 70, 20, 46
HEIGHT, GAP = 130, 44  # of a panel, and below it
STYLES = (  # told apart without colours too
    ("#b3261e", "7 4"),
    ("#0b57d0", ""),
    ("#5f6368", "2 3"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity.

    Parameters
    ----------
    title : str
    high : float
        Top of its axis, which begins at 0.
    lines : mapping of str to sequence of float
        One value for each stretch of time; NaN leaves a gap.
    level : float, optional
        What is asked for.
    """

    title: str
    high: float
    lines: Mapping[str, Sequence[float]]
    level: float | None = None


def draw(panels: Sequence[Panel], stops: Sequence[float], marks: Mapping[str, float]) -> str:
    """Return the drawing.

    Parameters
    ----------
    panels : sequence of Panel
        With the same lines.
    stops : sequence of float
        Days at which the stretches begin, and the end of the last one.
    marks : mapping of str to float
        What happened on which day.
    """
    height = TOP + len(panels) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" fill="#202124">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend([*panels[0].lines]),
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (HEIGHT + GAP), stops, marks)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(names: Sequence[str]) -> Iterator[str]:
    for number, (name, style) in enumerate(zip(names, STYLES, strict=False)):
        x = LEFT + 190 * number
        yield f'<path d="M{x} 14h28" {_stroke(style)}/>'
        yield f'<text x="{x + 34}" y="18">{escape(name)}</text>'


def _panel(
    panel: Panel, top: int, stops: Sequence[float], marks: Mapping[str, float]
) -> Iterator[str]:
    bottom, right = top + HEIGHT, WIDTH - RIGHT

    def across(day: float) -> float:
        return LEFT + (day - stops[0]) / (stops[-1] - stops[0]) * (right - LEFT)

    def up(value: float) -> float:
        return bottom - min(value, panel.high) / panel.high * HEIGHT

    yield f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{escape(panel.title)}</text>'
    for share in (0.0, 0.5, 1.0):
        y = up(share * panel.high)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#dadce0"/>'
        yield (
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * panel.high:g}</text>'
        )
    if panel.level is not None:
        y = up(panel.level)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#188038" stroke-dasharray="1 3"/>'
        yield f'<text x="{right}" y="{y - 3:.1f}" text-anchor="end" fill="#188038">asked</text>'
    for day in stops:
        yield f'<text x="{across(day):.1f}" y="{bottom + 15}" text-anchor="middle">{day:g}</text>'
    yield f'<text x="{LEFT - 40}" y="{bottom + 15}">day</text>'
    for name, day in marks.items():
        yield f'<path d="M{across(day):.1f} {top}V{bottom}" stroke="#9aa0a6"/>'
        yield f'<text x="{across(day) + 4:.1f}" y="{top + 12}" fill="#5f6368">{escape(name)}</text>'
    middles = [across((a + b) / 2) for a, b in pairwise(stops)]
    for values, style in zip(panel.lines.values(), STYLES, strict=False):
        points = [(x, up(v)) for x, v in zip(middles, values, strict=True) if not np.isnan(v)]
        if points:
            data = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            yield f'<path d="M{data}" {_stroke(style)}/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{style[0]}"/>'


def _stroke(style: tuple[str, str]) -> str:
    colour, dashes = style
    return f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes or "none"}"'
