"""One chart as SVG that stretches with the page; its texts are HTML and do not stretch.

The script of the page reads everything it needs (points, spans, axes) from the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.report.axes import HEIGHT, Tick, TimeAxis, ValueAxis
from stream_ad.report.markup import Html, join, tag

FLAG_ROOM = 0.034  # share of the width that a flag's text needs
Span = tuple[int, int]  # start, end; nanoseconds


@dataclass(frozen=True)
class Line:
    """A line as SVG path data; one with a name is read out under the pointer."""

    name: str
    style: str
    data: str


@dataclass(frozen=True)
class Bands:
    """Spans of time of one meaning, drawn between two heights (shares from the top)."""

    name: str
    style: str
    spans: Sequence[Span]
    top: float = 0.0
    bottom: float = 1.0


@dataclass(frozen=True)
class Flag:
    """A short text above a span of time that leads somewhere."""

    text: str
    style: str
    span: Span
    href: str
    title: str


def line_data(x: NDArray[np.int64], y: NDArray[np.int64], stretch: NDArray[np.int64]) -> str:
    """Return path data of a line that is broken where the stretch changes.

    A stretch of one point becomes a dot. Steps are relative, which halves the page.

    Examples
    --------
    >>> line_data(np.array([0, 2, 9]), np.array([5, 4, 7]), np.array([0, 0, 1]))
    'M0 5l2 -1M9 7h0'
    """
    cuts = np.flatnonzero(np.diff(stretch)) + 1
    pieces = zip(np.split(x, cuts), np.split(y, cuts), strict=True)
    return "".join(_piece(px, py) for px, py in pieces if len(px))


def _piece(x: NDArray[np.int64], y: NDArray[np.int64]) -> str:
    if len(x) == 1:
        return f"M{x[0]} {y[0]}h0"
    steps = np.column_stack([np.diff(x), np.diff(y)]).ravel().tolist()
    return f"M{x[0]} {y[0]}l{' '.join(map(str, steps))}"


def draw(
    *,
    label: str,
    x: TimeAxis,
    y: ValueAxis,
    lines: Iterable[Line],
    bands: Iterable[Bands] = (),
    flags: Sequence[Flag] = (),
    link: str | None = None,
    unit: str | None = None,
) -> Html:
    """Return the chart.

    Parameters
    ----------
    label : str
        What the chart shows, for those who do not see it.
    x, y : TimeAxis, ValueAxis
    lines, bands : iterables of Line and of Bands
    flags : sequence of Flag, the most important first
        Those that would cover an earlier one are hidden until there is room.
    link : str, optional
        Charts of the same link zoom together; they must share `x.start` and `x.end`.
    unit : str, optional
        Of the values.
    """
    drawing = tag(
        "svg",
        *(_bands(x, band) for band in bands if band.spans),
        _limit(x, y) if y.scale == "score" else None,
        *(tag("path", class_=f"line {i.style}", d=i.data, data_name=i.name or None) for i in lines),
        viewBox=f"0 0 {x.width} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    ticks = [_tick("tx", "left", t) for t in x.ticks()] + [_tick("ty", "top", t) for t in y.ticks()]
    plot = tag("div", *ticks, drawing, *_flags(x, flags), class_="plot")
    return tag(
        "div",
        plot,
        class_="chart",
        data_start=str(x.start),
        data_unit_ns=str(x.unit),
        data_low=repr(y.low),
        data_high=repr(y.high),
        data_scale=y.scale,
        data_link=link,
        data_unit=unit,
    )


def _bands(x: TimeAxis, band: Bands) -> Html:
    ends = x.x(np.array(band.spans, np.int64))
    top, bottom = round(HEIGHT * band.top), round(HEIGHT * band.bottom)
    data = "".join(f"M{a} {top}H{b}V{bottom}H{a}z" for a, b in ends.tolist())
    return tag("path", class_=f"band {band.style}", d=data, data_band=band.name)


def _limit(x: TimeAxis, y: ValueAxis) -> Html:
    level = int(y.y(np.array([1.0]))[0])
    return tag("path", class_="limit", d=f"M0 {level}H{x.width}")


def _tick(style: str, side: str, tick: Tick) -> Html:
    more = tag("small", tick.more) if tick.more else None
    return tag("i", tag("b", tick.text, more), class_=style, style=f"{side}:{100 * tick.at:.3f}%")


def _flags(x: TimeAxis, flags: Sequence[Flag]) -> Iterable[Html]:
    placed: list[float] = []
    for flag in flags:
        ends = [x.share(end) for end in flag.span]
        at = sum(ends) / 2
        hidden = any(abs(at - other) < FLAG_ROOM for other in placed)
        if not hidden:
            placed.append(at)
        start, end = x.x(np.array(flag.span, np.int64)).tolist()
        yield tag(
            "a",
            flag.text,
            class_=f"flag {flag.style}",
            href=flag.href,
            title=flag.title,
            style=f"left:{100 * at:.3f}%",
            data_from=start,
            data_to=end,
            hidden=hidden,
        )


def legend(entries: Iterable[tuple[str, str]]) -> Html:
    """Explain the styles of the charts around it: (style, text) each."""
    items = (tag("li", tag("span", class_=f"key {style}"), text) for style, text in entries)
    return tag("ul", join(items), class_="legend")
