"""Tail units: what makes lines of evidence of any scale comparable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAIL = 0.9  # quantile beyond which the tail is taken as exponential
MOST = 1_000  # quantiles that stand for a longer sample
LEAST = 1e-3  # lines are in standard deviations: finer is no excess

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TailUnits:
    """Turn a line of evidence into ``-log10`` of how often normal windows show as much.

    Up to the 90 % quantile of the sample the share is counted; beyond it the tail is
    exponential with the sample's mean excess, so there is no ceiling. An ordinary window
    has about 0.3, one in ten 1, one in a hundred 2.

    Works badly for a sample of few windows that tell the same: its tail is a guess.

    Parameters
    ----------
    sample : float64 array (m,)
        Ascending, at least one.
    knee, scale : float
        The quantile, and the mean excess over it, above 0.

    Examples
    --------
    >>> units = TailUnits.fit(np.arange(1.0, 100))
    >>> units(np.array([0.0, 50, 90, 95, 100])).round(2)
    array([0.  , 0.29, 1.07, 1.48, 1.88])
    """

    sample: Floats
    knee: float
    scale: float

    @classmethod
    def fit(cls, values: Floats) -> TailUnits:
        """Take the units from values (n,) of normal windows, n >= 1."""
        ordered = np.sort(values)
        knee = float(np.quantile(ordered, TAIL))
        beyond = ordered[ordered > knee] - knee
        scale = float(beyond.mean()) if len(beyond) else 0.0
        if len(ordered) > MOST:
            ordered = np.quantile(ordered, np.linspace(0, 1, MOST))
        return cls(ordered, knee, max(scale, LEAST, 1e-9 * abs(knee)))

    def __call__(self, values: Floats) -> Floats:
        """Return the units of each value, elementwise; at least 0."""
        n = len(self.sample)
        above = 1 + n - np.searchsorted(self.sample, values, side="left")
        counted = np.minimum(np.log10((n + 1) / above), 1.0)
        beyond = 1 + (values - self.knee) / (self.scale * np.log(10))
        return np.where(values > self.knee, beyond, counted)
