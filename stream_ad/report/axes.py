"""Where a time or a value lies in a chart, and which marks its axes carry.

Charts are drawn in whole numbers: `x` counts units of time from the left, `y` counts from
0 at the top to ``HEIGHT`` at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.report.phrases import NS, number, resolved

HEIGHT: Final = 100_000
FINEST: Final = 1 << 24  # whole numbers that the browser's single precision holds exactly
_LARGEST: Final = 1e150  # beyond, a difference of two values could overflow
_DAY: Final = 86_400 * NS
STEPS: Final = (
    *(m * 10**e for e in range(9) for m in (1, 2, 5)),
    *(m * size for size in (NS, 60 * NS) for m in (1, 2, 5, 10, 15, 30)),
    *(m * 3600 * NS for m in (1, 2, 3, 6, 12)),
    *(m * _DAY for m in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000)),
)


class Tick(NamedTuple):
    """A mark: its share of the axis (from the left or the top), its text, a second line."""

    at: float
    text: str
    more: str = ""


@dataclass(frozen=True)
class TimeAxis:
    """Time from `start` to `end`, counted in `unit` nanoseconds.

    Examples
    --------
    >>> axis = TimeAxis.over(np.array([0, 20, 50]))
    >>> axis.unit, axis.width, axis.x(np.array([0, 20, 50])).tolist()
    (10, 5, [0, 2, 5])
    """

    start: int
    end: int
    unit: int

    @classmethod
    def over(cls, time: NDArray[np.int64], extent: tuple[int, int] | None = None) -> TimeAxis:
        """Cover times and, where given, an extent; exact wherever the grid of times allows.

        Parameters
        ----------
        time : int64 array (n,), at least one unless `extent` is given
        extent : (int, int), optional
            Start and end that must be covered as well.
        """
        ends = [*(extent or ()), *((int(time.min()), int(time.max())) if len(time) else ())]
        start, end = min(ends), max(ends)
        end = max(end, start + 1)
        unit = int(np.gcd.reduce(time - start, initial=0)) or end - start
        return cls(start, end, max(unit, -(-(end - start) // FINEST)))

    @property
    def width(self) -> int:
        """Length of the axis in units."""
        return max(1, -(-(self.end - self.start) // self.unit))

    def x(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return positions in units, rounded."""
        return (time - self.start + self.unit // 2) // self.unit

    def share(self, time: int) -> float:
        """Return a position as share of the width."""
        return (time - self.start) / (self.width * self.unit)

    def ticks(self, most: int = 7) -> list[Tick]:
        """Return marks on round times; dates stand where they change."""
        span = self.end - self.start
        step = next((s for s in STEPS if span / s < most), STEPS[-1])
        marks, last = [], ""
        for ns in range(-(-self.start // step) * step, self.end + 1, step):
            text, date = _label(ns, step)
            marks.append(Tick(self.share(ns), text, "" if date == last else date))
            last = date
        return marks


def _label(ns: int, step: int) -> tuple[str, str]:
    seconds, rest = divmod(ns, NS)
    at = datetime.fromtimestamp(seconds, UTC)
    if step >= _DAY:
        return f"{at:%m-%d}", f"{at:%Y}"
    if step < NS:
        decimals = 9 - int(math.log10(step))
        return f"{at:%S}.{rest:09d}"[: 3 + decimals], f"{at:%Y-%m-%d %H:%M}"
    text = f"{at:%H:%M:%S}" if step < 60 * NS else f"{at:%H:%M}"
    return text, f"{at:%Y-%m-%d}"


@dataclass(frozen=True)
class ValueAxis:
    """Values from `low` to `high`, both on the scale.

    On the ``score`` scale the band from -1 to 1 is linear and everything beyond logarithmic,
    a decade as tall as the way from ordinary (0) to the line (1): the line stays readable
    beside a score of a million.

    Examples
    --------
    >>> ValueAxis(0.0, 2.0, "score").y(np.array([0.0, 1.0, 10.0])).tolist()
    [100000, 50000, 0]
    """

    low: float
    high: float
    scale: Literal["linear", "score"]

    @classmethod
    def of_scores(cls, scores: Iterable[NDArray[np.floating]]) -> ValueAxis:
        """Cover scores, the line and zero."""
        low, high = _extent(_scaled(values) for values in scores)
        return cls(min(low, 0.0) - 0.06, max(high, 1.0) + 0.25, "score")

    @classmethod
    def of_values(cls, values: Iterable[NDArray[np.floating]]) -> ValueAxis:
        """Cover values with a little room above and below."""
        low, high = _extent(np.clip(v.astype(float), -_LARGEST, _LARGEST) for v in values)
        room = 0.08 * (high - low) or 0.1 * abs(low) or 1.0
        room = max(room, 1e-9 * abs(low), 1e-100)  # what differs by less looks the same
        return cls(low - room, high + room, "linear")

    def y(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return positions from the top; values must be finite."""
        scaled = _scaled(values) if self.scale == "score" else values.astype(float)
        share = (self.high - np.clip(scaled, self.low, self.high)) / (self.high - self.low)
        level: NDArray[np.int64] = np.rint(HEIGHT * share).astype(np.int64)
        return level

    def ticks(self, most: int = 5) -> list[Tick]:
        """Return marks on round values."""
        if self.scale == "score":
            marks = _score_marks(self.low, self.high)
            texts = [number(mark) for mark in marks]
        else:
            marks, step = self._round_marks(most)
            texts = [resolved(mark, step) for mark in marks]
        heights = self.y(np.array(marks)) / HEIGHT
        return [Tick(float(at), text) for at, text in zip(heights, texts, strict=True)]

    def _round_marks(self, most: int) -> tuple[list[float], float]:
        rough = (self.high - self.low) / most
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [i * step for i in range(first, last + 1)], step


def _score_marks(low: float, high: float) -> list[float]:
    below = [-1.0, 0.0] if low < -1 else [0.0]
    if high < 2.3:
        return [*below, *(v for v in (1.0, 2.0, 4.0, 10.0) if 1 + math.log10(v) < high)]
    every = -(-int(high) // 6)
    return [*below, 1.0, *(10.0**e for e in range(every, int(high), every))]


def _scaled(values: NDArray[np.floating]) -> NDArray[np.float64]:
    size = np.minimum(np.abs(values.astype(float)), _LARGEST)
    bent = np.where(size > 1, 1 + np.log10(np.maximum(size, 1)), size)
    signed: NDArray[np.float64] = np.copysign(bent, values)
    return signed


def _extent(columns: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    finite = [v[np.isfinite(v)] for v in columns]
    ends = [(float(v.min()), float(v.max())) for v in finite if len(v)]
    return (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else (0.0, 0.0)
