"""Fewer points for the same picture: a page shows thousands, a run has millions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def highest(values: NDArray[np.floating], limit: int) -> NDArray[np.int64]:
    """Return the rows that hold the highest value of each bin.

    Parameters
    ----------
    values : float array (n,)
        NaN counts only where a bin has nothing else.
    limit : int
        The most rows wanted; bins hold ceil(n / limit) neighbouring rows each.

    Returns
    -------
    int64 array (at most `limit`,), ascending; every row when n is at most `limit`. The first
    row wins where a bin's highest value occurs twice.

    Examples
    --------
    >>> highest(np.array([1.0, 5.0, 2.0, np.nan, 4.0]), 3)
    array([1, 2, 4])
    """
    n = len(values)
    if n <= limit:
        return np.arange(n)
    size = -(-n // limit)
    padded = np.full(-(-n // size) * size, -np.inf)
    padded[:n] = np.where(np.isnan(values), -np.inf, values)
    rows: NDArray[np.int64] = padded.reshape(-1, size).argmax(axis=1)
    return rows + np.arange(0, len(padded), size)


def extremes(values: NDArray[np.floating], limit: int) -> NDArray[np.int64]:
    """Return the rows that hold the highest and the lowest value of each bin.

    Parameters
    ----------
    values : float array (n,)
    limit : int
        The most rows wanted, at least 2.

    Returns
    -------
    int64 array, ascending; see :func:`highest`.

    Examples
    --------
    >>> extremes(np.array([1.0, 5.0, 2.0, 3.0, 4.0, 4.0]), 4)
    array([0, 1, 3, 4])
    """
    if len(values) <= limit:
        return np.arange(len(values))
    return np.union1d(highest(values, limit // 2), highest(-values, limit // 2))


def stretches(time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stretch of each time, so that no line is drawn across a gap.

    A gap is a step more than three times the median step.

    Parameters
    ----------
    time : int64 array (n,), ascending

    Returns
    -------
    int64 array (n,): 0 in the first stretch, 1 in the second and so on.

    Examples
    --------
    >>> stretches(np.array([0, 1, 2, 9, 10]))
    array([0, 0, 0, 1, 1])
    """
    if len(time) < 2:
        return np.zeros(len(time), np.int64)
    steps = np.diff(time)
    return np.concatenate([[0], np.cumsum(steps > 3 * np.median(steps))]).astype(np.int64)
