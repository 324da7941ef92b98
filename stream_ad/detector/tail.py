"""Falling curves: counted where there is data, a fitted generalised Pareto tail beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_PEAKS = 30  # fewer say too little about a shape: then counting must do
PRIOR_PEAKS = 10  # the exponential tail counts for as many peaks as these
FLAT = 1e-9  # shapes closer to 0 than this are exponential
ROUNDING = 1e-9  # relative, of a curve computed there and back
TINIEST = 1e-200  # below it a reciprocal times the largest score would overflow

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ParetoTail:
    """``value * (1 + shape * (x - threshold) / scale) ** (-1 / shape)`` from a threshold on.

    Parameters
    ----------
    threshold : float
        Where the tail takes over.
    value : float
        The curve's value there, above 0: a probability or a rate.
    scale : float
        Above 0, in the unit of the threshold.
    shape : float
        0 is the exponential tail; below 0 the curve reaches zero at a finite point; from 0.5
        on the peaks have no variance, from 1 on no mean.

    Examples
    --------
    >>> tail = ParetoTail(threshold=2.0, value=0.1, scale=1.0, shape=0.0)
    >>> tail.at(np.array([2.0, 3.0])).round(4), round(tail.where(0.01), 4)
    (array([0.1   , 0.0368]), 4.3026)
    """

    threshold: float
    value: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, peaks: Floats, threshold: float, value: float) -> ParetoTail:
        """Fit scale and shape to the peaks above a threshold.

        Parameters
        ----------
        peaks : float array (k,)
            All above ``threshold``, as independent of each other as can be.
        threshold, value : float
            As above.

        Notes
        -----
        The quasi-Bayesian estimate of Zhang and Stephens (Technometrics 51, 2009, eqs. 6-8):
        as efficient as maximum likelihood on large samples, better on small ones, and it
        exists for every sample. The shape is then drawn to 0 with the weight of ten peaks,
        which halves the spread of extrapolated rates at 30 peaks and fades with more. Works
        badly for bounded scores whose density ends in a step: the line comes out too high.
        """
        scale, shape = _zhang_stephens(np.sort(peaks - threshold))
        return cls(threshold, value, scale, shape * len(peaks) / (len(peaks) + PRIOR_PEAKS))

    def at(self, x: Floats | np.float64) -> Floats:
        """Return the curve at points from the threshold on; below it, ``value``."""
        # overflow: so far out that the curve is at its end; log 0 = -inf: beyond the end point
        with np.errstate(over="ignore", divide="ignore"):
            z = np.maximum(x - self.threshold, 0.0) / self.scale
            if abs(self.shape) < FLAT:
                return self.value * np.exp(-z)
            return self.value * np.exp(-np.log1p(np.maximum(self.shape * z, -1.0)) / self.shape)

    def where(self, value: float) -> float:
        """Return the point at which the curve falls to a value in ``(0, self.value]``."""
        fallen = math.log(self.value / value)
        if abs(self.shape) < FLAT:
            return self.threshold + self.scale * fallen
        # capped where the level would overflow: peaks that span hundreds of decades
        return (
            self.threshold + self.scale * math.expm1(min(self.shape * fallen, 500.0)) / self.shape
        )

    def to_list(self) -> list[float]:
        """Return the four numbers as JSON."""
        return [self.threshold, self.value, self.scale, self.shape]


def _zhang_stephens(excess: Floats) -> tuple[float, float]:
    """Return scale and shape for ascending excesses above 0."""
    n, grid = len(excess), 20 + math.isqrt(len(excess))
    quartile = max(float(excess[int(n / 4 + 0.5) - 1]), TINIEST)
    j = np.arange(1, grid + 1)
    theta = 1 / excess[-1] + (1 - np.sqrt(grid / (j - 0.5))) / (3 * quartile)
    theta = theta[np.abs(theta) * excess[-1] > FLAT]
    k = -np.log1p(-theta[:, None] * excess).mean(axis=1)
    likelihood = n * (np.log(theta / k) + k - 1)
    weight = np.exp(likelihood - likelihood.max())
    best = float((theta * weight).sum() / weight.sum())
    if abs(best) * excess[-1] < FLAT:
        return float(excess.mean()), 0.0
    shape = float(np.log1p(-best * excess).mean())
    return -shape / best, shape


@dataclass(frozen=True, slots=True)
class PValues:
    """How often normal raw scores reach a level.

    Up to the threshold ``(1 + #{calibration >= s}) / (n + 1)``, beyond it the fitted tail,
    which starts at that very value; without a tail the counted curve all the way.

    Parameters
    ----------
    raw : float array (n,)
        Calibration scores, ascending.
    tail : ParetoTail or None

    Examples
    --------
    >>> PValues(np.array([1.0, 2.0, 3.0]), None).at(np.array([0.0, 2.0, 9.0]))
    array([1.  , 0.75, 0.25])
    """

    raw: Floats
    tail: ParetoTail | None

    @classmethod
    def fit(cls, raw: Floats, independent: float) -> PValues:
        """Take the tail from the largest scores.

        Parameters
        ----------
        raw : float array (n,)
            Calibration scores in any order.
        independent : float
            How many of them count as independent, ``I``. The share ``min(0.2, 3 / sqrt(I))``
            makes the tail, if that is 30 independent scores or more.
        """
        raw = np.sort(raw)
        share = min(0.2, 3 / math.sqrt(independent))
        below = len(raw) - math.ceil(share * len(raw))
        if share * independent < MIN_PEAKS or raw[-1] == raw[below - 1]:
            return cls(raw, None)
        # between two distinct scores, so that no score lies on the threshold
        above = int(np.searchsorted(raw, raw[below - 1], side="right"))
        if len(raw) - above < MIN_PEAKS:
            return cls(raw, None)
        threshold = float(raw[above - 1] + (raw[above] - raw[above - 1]) / 2)
        value = (1 + len(raw) - above) / (len(raw) + 1)
        if threshold == raw[above]:  # neighbours in floating point
            return cls(raw, None)
        return cls(raw, ParetoTail.fit(raw[above:], threshold, value))

    def at(self, x: Floats, side: str = "left") -> Floats:
        """Return p at each point; with ``side="right"`` just above it."""
        reached: Any = np.searchsorted(self.raw, x, side=side)  # type: ignore[call-overload]
        p: Floats = (1 + len(self.raw) - reached) / (len(self.raw) + 1)
        if self.tail is not None:
            p = np.where(x > self.tail.threshold, self.tail.at(x), p)
        return p

    def where(self, p: float) -> float:
        """Return the lowest level above which no score has more than p; infinite if none."""
        if self.tail is not None and p < self.tail.value:
            level = self.tail.where(p)
            # beside the end point of a steep tail one rounding is worth decades of p
            while self.tail.at(np.float64(level)) > p * (1 + ROUNDING):
                level = math.nextafter(level, math.inf)
            return level
        n = len(self.raw)
        above = math.floor(p * (n + 1) * (1 + 1e-12)) - 1
        return math.inf if above < 0 else float(self.raw[max(n - 1 - above, 0)])

    def tightest(self, floor: float) -> float:
        """Return the highest level whose own p-value is at least ``floor``.

        Without a tail that is the highest score at most: beyond it all are alike.
        """
        if self.tail is not None and floor < self.tail.value:
            level = self.tail.where(floor)
            while self.tail.at(np.float64(level)) < floor * (1 - ROUNDING):
                level = math.nextafter(level, -math.inf)
            return level
        n = len(self.raw)
        at_least = math.ceil(floor * (n + 1) * (1 - 1e-12)) - 1
        return float(self.raw[n - min(max(at_least, 1), n)])
