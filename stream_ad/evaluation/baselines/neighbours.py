"""Baselines that compare a raw window with the raw windows of the history."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.ares import Ares
from stream_ad.detector.bank import Bank
from stream_ad.detector.index import ExactIndex

Floats = NDArray[np.float64]

NEIGHBOURS = 5


class Knn:
    """Mean distance to the 5 nearest windows of the history.

    The history is a bank as the detector's: equal windows once, evenly thinned to ``most``.

    Works badly where normal windows differ by phase: a history must hold every phase.

    Parameters
    ----------
    X : float32 array (n, d)
        Scaled, flattened windows without missing cells, in time order.
    most : int
        Windows kept.

    Raises
    ------
    NotEnoughHistory
        With fewer than two different windows.

    Examples
    --------
    >>> X = np.arange(6, dtype=np.float32)[:, None]
    >>> Knn(X, most=100).score(np.array([[2.0], [10.0]]))
    array([1.2, 7. ])
    """

    def __init__(self, X: NDArray[np.float32], most: int) -> None:
        self._index = ExactIndex(_bank(X, np.zeros(len(X)), most).z)

    def score(self, X: NDArray[np.floating]) -> Floats:
        """Return mean distances (n,) of rows (n, d)."""
        distances, _ = self._index.search(X, NEIGHBOURS)
        mean: Floats = distances.mean(axis=1)
        return mean


class AresRaw:
    """Our ARES scorer without a network.

    The latent is the window itself, and the error that ARES compares with the neighbours'
    is the mean squared distance of its cells from the mean window of the history: what the
    cheapest of all reconstructions, a constant one, would leave.

    Works badly as ARES does, and where many cells of pure noise drown the few that matter.

    Parameters
    ----------
    X : float32 array (n, d)
        Scaled, flattened windows without missing cells, in time order.
    k, alpha : int, float
        Neighbours and weight of the density, as in `Ares`.
    most : int
        Windows kept in the bank.

    Raises
    ------
    NotEnoughHistory
        With fewer than two different windows.

    Examples
    --------
    >>> X = np.arange(6, dtype=np.float32)[:, None]
    >>> near, far = AresRaw(X, k=2, alpha=0.5, most=100).score(np.float32([[2.5], [10]]))
    >>> bool(far > near)
    True
    """

    def __init__(self, X: NDArray[np.float32], *, k: int, alpha: float, most: int) -> None:
        self._mean = X.mean(axis=0, dtype=np.float64)
        bank = _bank(X, self._error(X), most)
        self._ares = Ares(bank, ExactIndex(bank.z), k=k, alpha=alpha)

    def score(self, X: NDArray[np.float32]) -> Floats:
        """Return raw scores (n,) of rows (n, d)."""
        return self._ares.score(X, self._error(X))

    def _error(self, X: NDArray[np.float32]) -> Floats:
        error: Floats = np.mean((X - self._mean) ** 2, axis=1)
        return error


def _bank(X: NDArray[np.float32], error: Floats, most: int) -> Bank:
    rows = len(X)  # whose windows they are is not asked for
    return Bank.build(X, error, np.full(rows, "", object), np.arange(rows), most)
