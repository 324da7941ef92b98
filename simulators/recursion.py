"""First-order recursions over whole arrays: thermal lag, and noise that remembers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def decay(period_s: float, time_constant_s: Floats) -> Floats:
    """Return what is left of a value after one period; a time constant of 0 forgets at once."""
    with np.errstate(divide="ignore"):
        return np.exp(-period_s / np.asarray(time_constant_s, dtype=float))


def recur(x: Floats, keep: Floats, before: Floats) -> Floats:
    """Compute `y[n] = keep * y[n - 1] + x[n]` for each column, in log2(n) passes.

    Parameters
    ----------
    x : array (n, k)
        Input, left untouched.
    keep : array (k,)
        Share of the last output that stays, in [0, 1].
    before : array (k,)
        Output before the first row.

    Examples
    --------
    >>> recur(np.ones((3, 1)), np.array([0.5]), np.array([4.0])).ravel().tolist()
    [3.0, 2.5, 2.25]
    """
    y = x.copy()
    y[:1] += keep * before
    step, weight = 1, keep
    while step < len(y):
        y[step:] += weight * y[:-step]
        step, weight = step * 2, weight * weight
    return y


def wander(rng: np.random.Generator, n: int, columns: int, keep: float) -> Floats:
    """Draw `(n, columns)` of noise with mean 0, variance 1 and the given memory per step."""
    gain = np.sqrt(1.0 - keep * keep)
    start = rng.standard_normal(columns)
    return recur(gain * rng.standard_normal((n, columns)), np.full(columns, keep), start)
