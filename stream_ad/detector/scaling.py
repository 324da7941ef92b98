"""Scaling per sensor: what every model sees instead of raw units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.cycle import Cycle
from stream_ad.detector.daily import DailyCourse

ROBUST = "robust"
KNEE = 3.0  # below it the squash is nearly linear, above it nearly logarithmic
FARTHEST = 1e18  # z-scores beyond are all alike; their squares still fit into float32
SAMPLE = 1_000_000  # values per sensor from which the quantiles are taken
QUANTILES = (0.5, 0.25, 0.75, 0.005, 0.995)
NORMAL_IQR, NORMAL_RANGE = 1.349, 5.152  # the same quantile spans of a standard normal
CONSTANT_SHARE = 0.01  # a move of a constant sensor by 1 % of its level is one unit
RESOLUTION = 1e-6  # about eight steps of float32: anything finer is rounding
SMALLEST = 1e-30


@dataclass(frozen=True, slots=True)
class Scaler:
    """Centre and spread per sensor, then the soft squash ``3 asinh(z / 3)``.

    ``robust``, for sensors: the centre is the median, the spread the interquartile range;
    where half of the values or more are equal, the range from the 0.5 % to the 99.5 %
    quantile; where even that is zero the sensor counts as constant and 1 % of its level
    (0.01 at level 0) is its unit, so that it stands still at 0 and shows when it moves. Both
    ranges are divided by those of a standard normal.

    ``standard``, for tables, as the papers have it: mean and standard deviation, no squash.
    A single huge value of the history makes all others of its sensor alike.

    Works badly for a sensor that is constant in the history and whose meaningful moves
    are far smaller than 1 % of its level.

    Parameters
    ----------
    centre, spread, lowest, highest : float32 array (C,)
        NaN for a sensor without any value in the history.
    daily : DailyCourse or None
        What the hour of the day explains of the squashed values; it is taken off.
    cycle : Cycle or None
        What the slot of the window explains of the rest; it is taken off too.
    squashed : bool
        Whether the squash is applied.

    Examples
    --------
    >>> x = np.array([[[0.0, 7, np.nan]], [[2, 7, np.nan]], [[4, 7, np.nan]]], np.float32)
    >>> scaler = Scaler.fit(x)
    >>> scaler.known
    array([ True,  True, False])
    >>> scaler.scale(x)[:, 0].round(2)
    array([[-1.31,  0.  ,   nan],
           [ 0.  ,  0.  ,   nan],
           [ 1.31,  0.  ,   nan]], dtype=float32)
    >>> bool(np.allclose(scaler.unscale(scaler.scale(x)), x, atol=1e-5, equal_nan=True))
    True
    """

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]
    daily: DailyCourse | None = None
    cycle: Cycle | None = None
    squashed: bool = True

    @classmethod
    def fit(cls, values: NDArray[np.float32], scaling: str = ROBUST) -> Scaler:
        """Take centre and spread from windows ``(n, T, C)``; NaN = missing."""
        columns, robust = values.reshape(-1, values.shape[2]), scaling == ROBUST
        level = [_levels(columns[:, sensor], robust) for sensor in range(columns.shape[1])]
        parts = np.array(level, np.float64).reshape(-1, 4).T.astype(np.float32)
        centre, spread, lowest, highest = parts
        return cls(centre, spread, lowest, highest, squashed=robust)

    def with_daily(
        self, values: NDArray[np.float32], start: NDArray[np.int64], period_ns: int
    ) -> Scaler:
        """Return the same with the daily course of windows (n, T, C), if they have one."""
        return replace(self, daily=DailyCourse.fit(self.scale(values), start, period_ns))

    def with_cycle(
        self, values: NDArray[np.float32], start: NDArray[np.int64] | None = None
    ) -> Scaler:
        """Return the same with the course of the cycle in windows (n, T, C), if they have one."""
        return replace(self, cycle=Cycle.fit(self.scale(values, start)))

    def without_course(self) -> Scaler:
        """Return what only squashes."""
        return replace(self, daily=None, cycle=None)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Sensors that had any value in the history, bool array (C,)."""
        return ~np.isnan(self.centre)

    def scale(
        self,
        values: NDArray[np.float32],
        start: NDArray[np.int64] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return z-scores, squashed where that is asked for, less courses of day and cycle.

        Parameters
        ----------
        values : float32 array (n, T, C)
            In sensor units, without infinite values; NaN = missing.
        start : int64 array (n,), optional
            Starts of the windows in ns; needed where there is a daily course.
        out : float32 array (n, T, C), optional
            Where to put the result.

        Returns
        -------
        float32 array (n, T, C)
            Finite, or NaN where the value is missing or its sensor is not known.
        """
        # numpy, not torch: its arcsinh is eight times as fast on a CPU; and a row for each
        # slot, since numpy is slow to repeat a short one
        each, knee = (values.shape[1], 1), np.float32(KNEE if self.squashed else 1)
        with np.errstate(over="ignore", under="ignore"):
            z = np.subtract(values, np.tile(self.centre, each), out=out)
            z *= np.tile(np.float32(1) / knee / self.spread, each)
            np.clip(z, -FARTHEST, FARTHEST, out=z)
            if self.squashed:
                np.arcsinh(z, out=z)
                z *= knee
        if self.daily is not None:
            z -= self._course(z, start)
        return z if self.cycle is None else self.cycle.off(z)

    def unscale(
        self, scaled: NDArray[np.float32], start: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return sensor units, float64 array (n, T, C); NaN for sensors not known."""
        if self.cycle is not None:
            scaled = self.cycle.on(scaled)
        if self.daily is not None:
            scaled = scaled + self._course(scaled, start)
        z = np.abs(scaled, dtype=np.float64)
        if self.squashed:
            z = KNEE * np.sinh(np.minimum(z / KNEE, 200.0))
        return self.centre + np.copysign(z, scaled) * self.spread

    def expected(
        self, scaled: NDArray[np.float32], start: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return a reconstruction in sensor units, within what the history has seen.

        The way back from the squash is exponential: a network that overshoots a little
        where it has never been would otherwise expect what no machine can do.
        """
        return np.clip(self.unscale(scaled, start), self.lowest, self.highest)

    def _course(
        self, scaled: NDArray[np.float32], start: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        assert self.daily is not None
        assert start is not None, "the hour of the day has to be known"
        return self.daily.at(start, scaled.shape[1])


def _levels(column: NDArray[np.float32], robust: bool) -> tuple[float, float, float, float]:
    """Return centre, spread, lowest and highest value of a sensor."""
    seen = column[np.isfinite(column)]
    if not len(seen):
        return np.nan, np.nan, np.nan, np.nan
    bounds = float(seen.min()), float(seen.max())
    seen = seen[:: -(-len(seen) // SAMPLE)].astype(np.float64)
    if robust:
        centre, low, high, lowest, highest = (float(q) for q in np.quantile(seen, QUANTILES))
        spread = (high - low) / NORMAL_IQR or (highest - lowest) / NORMAL_RANGE
    else:
        centre, spread = float(seen.mean()), float(seen.std())
    if spread == 0:
        spread = CONSTANT_SHARE * (abs(centre) or 1.0)
    return centre, max(spread, RESOLUTION * abs(centre), SMALLEST), *bounds
