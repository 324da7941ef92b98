"""k-means: how far a window is from the nearest of a few typical ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import MissingDependency

Floats = NDArray[np.float64]

CLUSTERS = 8  # scikit-learn's own default


class KMeans:
    """Distance to the nearest centre of scikit-learn's k-means with its own defaults.

    Works badly where the normal windows fill a long or hollow shape, such as the phases of a
    cycle: eight balls cover little of it and much beside it.

    Parameters
    ----------
    X : float array (n, d)
        Scaled, flattened windows without missing cells. With fewer different ones than eight
        each is a centre.
    seed : int

    Raises
    ------
    MissingDependency
        Without scikit-learn.

    Examples
    --------
    >>> X = np.array([[0.0], [0.0], [5.0]])
    >>> KMeans(X, seed=0).score(np.array([[1.0], [9.0]]))
    array([1., 4.])
    """

    def __init__(self, X: NDArray[np.floating], seed: int) -> None:
        try:
            from sklearn import cluster
        except ImportError as error:
            raise MissingDependency(
                "the baseline kmeans needs scikit-learn, which is not installed: "
                'pip install "stream-ad[eval]"'
            ) from error
        clusters = min(CLUSTERS, len(np.unique(X, axis=0)))
        self._means = cluster.KMeans(clusters, random_state=seed).fit(X)

    def score(self, X: NDArray[np.floating]) -> Floats:
        """Return distances (n,) of rows (n, d)."""
        if not len(X):
            return np.empty(0)
        distance: Floats = self._means.transform(X).min(axis=1).astype(np.float64)
        return distance
