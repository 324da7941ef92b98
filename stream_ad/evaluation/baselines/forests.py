"""Forests: few cells of a window at a time, cut at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import MissingDependency

Floats = NDArray[np.float64]

TREES, HEIGHT = 50, 8  # of half-space trees; each path asks for at most 8 cells
INNER = (0.01, 0.99)  # quantiles of the history that become 0.25 and 0.75 of the unit range


class IsolationForest:
    """scikit-learn's isolation forest with its own defaults.

    Works badly on wide windows: a tree asks for about 8 cells of all.

    Parameters
    ----------
    X : float array (n, d)
        Scaled, flattened windows without missing cells.
    seed : int

    Raises
    ------
    MissingDependency
        Without scikit-learn.
    """

    def __init__(self, X: NDArray[np.floating], seed: int) -> None:
        try:
            from sklearn import ensemble
        except ImportError as error:
            raise MissingDependency(
                "the baseline iforest needs scikit-learn, which is not installed: "
                'pip install "stream-ad[eval]"'
            ) from error
        self._forest = ensemble.IsolationForest(random_state=seed).fit(X)

    def score(self, X: NDArray[np.floating]) -> Floats:
        """Return anomaly scores (n,) of rows (n, d), 0 to 1."""
        if not len(X):
            return np.empty(0)
        score: Floats = -self._forest.score_samples(X)
        return score


class HalfSpaceTrees:
    """river's half-space trees, grown and filled with the history, then left as they are.

    The original learns from every window that it scores. Here the whole history is its
    reference mass and scoring teaches nothing, so that scores do not depend on what was
    scored before. The 1 % and 99 % quantiles of a cell in the history become 0.25 and 0.75,
    which leaves room in the unit range for what is outside them.

    Works badly when anomalies are alike, and on wide windows as an isolation forest does.

    Parameters
    ----------
    X : float array (n, d)
        Scaled, flattened windows without missing cells.
    seed : int
    """

    def __init__(self, X: NDArray[np.floating], seed: int) -> None:
        from river import anomaly

        low, high = np.quantile(X, INNER, axis=0)
        self._low, self._span = low, np.where(high > low, high - low, 1)
        trees: Any = anomaly.HalfSpaceTrees(
            n_trees=TREES, height=HEIGHT, window_size=len(X), seed=seed
        )
        for row in self._unit(X):
            trees.learn_one(dict(enumerate(row)))
        self._trees = trees

    def score(self, X: NDArray[np.floating]) -> Floats:
        """Return anomaly scores (n,) of rows (n, d), 0 to 1."""
        score = self._trees.score_one
        return np.array([score(dict(enumerate(row))) for row in self._unit(X)], np.float64)

    def _unit(self, X: NDArray[np.floating]) -> list[list[float]]:
        unit = 0.25 + 0.5 * (X - self._low) / self._span
        rows: list[list[float]] = np.clip(unit, 0, 1).tolist()
        return rows
