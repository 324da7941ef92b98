"""Held-out normal windows: how much time they are worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.tail import Floats
from stream_ad.errors import NotEnoughHistory

DAY = 86_400 * 1_000_000_000
LARGEST = 1e100  # an overflowed score still ranks highest, and differences stay finite


@dataclass(frozen=True, slots=True)
class Calibration:
    """Raw scores of held-out normal windows, in any order.

    Parameters
    ----------
    machine : object array (n,)
        Machine ids.
    start : int64 array (n,)
        Starts of the windows, nanoseconds.
    raw : float64 array (n,)
        Raw scores; no NaN.
    hop_ns, window_ns : int
        Time between two windows; span of a window.

    Raises
    ------
    NotEnoughHistory
        Without windows.
    ValueError
        If a raw score is NaN.

    Examples
    --------
    >>> day = 86_400 * 10**9
    >>> c = Calibration(np.array(["a"] * 8, object), np.arange(8) * day // 2,
    ...                 np.array([1.0, 0, 2, 1, 0, 2, 1, 0]), hop_ns=day // 2, window_ns=day)
    >>> c.days, c.independent
    (4.0, 4.0)
    """

    machine: NDArray[np.object_]
    start: NDArray[np.int64]
    raw: Floats
    hop_ns: int
    window_ns: int

    def __post_init__(self) -> None:
        if not len(self.raw):
            raise NotEnoughHistory("no held-out normal window to take an alarm line from")
        if np.isnan(self.raw).any():
            raise ValueError("a calibration score is NaN")

    @property
    def days(self) -> float:
        """Scored machine-days: each window stands for one hop."""
        return len(self.raw) * self.hop_ns / DAY

    @property
    def independent(self) -> float:
        """Independent windows: scored time / max(window, autocorrelation time), summed."""
        code, start, raw = self.ordered()
        bounds = np.flatnonzero(np.diff(code, prepend=-1, append=-1))
        return math.fsum(
            (b - a) * self.hop_ns / max(self.window_ns, self._memory(start[a:b], raw[a:b]))
            for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        )

    def ordered(self) -> tuple[NDArray[np.intp], NDArray[np.int64], Floats]:
        """Return machine numbers, starts and finite scores, sorted by machine and start."""
        code = np.unique(self.machine, return_inverse=True)[1]
        order = np.lexsort((self.start, code))
        raw = np.clip(np.asarray(self.raw, np.float64)[order], -LARGEST, LARGEST)
        return code[order], self.start[order], raw

    def _memory(self, start: NDArray[np.int64], raw: Floats) -> float:
        place = (start - start[0]) // self.hop_ns
        return autocorrelation_time(place, raw) * self.hop_ns


def autocorrelation_time(place: NDArray[np.int64], raw: Floats) -> float:
    """Return how many hops apart two windows tell as much as two independent ones.

    Parameters
    ----------
    place : int64 array (n,)
        Position of each window on the grid of hops, ascending; holes are left out.
    raw : float array (n,)

    Returns
    -------
    float, at least 1
        ``1 + 2 * sum(rho(k))``, summed up to the first lag whose correlation is not positive
        or that reaches five times the sum so far (Sokal's window), at most half the span.

    Notes
    -----
    Of ranks, not of values: one extreme score would drown the correlation of all others.
    Pairs across a hole count at their true distance. Too low for a sequence that is shorter
    than a few of its own correlation times.

    Examples
    --------
    >>> autocorrelation_time(np.arange(6), np.array([0.0, 1, 0, 1, 0, 1]))
    1.0
    """
    n = len(raw)
    _, inverse, ties = np.unique(raw, return_inverse=True, return_counts=True)
    x = (np.cumsum(ties) - (ties - 1) / 2)[inverse] - (n + 1) / 2
    variance, dense, total = float(x @ x) / n, int(place[-1] - place[0]) == n - 1, 1.0
    for lag in range(1, int(place[-1] - place[0]) // 2 + 1):
        if variance == 0 or lag >= 5 * total:
            break
        if dense:
            a, b = x[:-lag], x[lag:]
        else:
            there = np.minimum(np.searchsorted(place, place + lag), n - 1)
            pair = place[there] == place + lag
            a, b = x[pair], x[there[pair]]
        correlation = float(a @ b) / (max(len(a), 1) * variance)
        if correlation <= 0:
            break
        total += 2 * correlation
    return total
