"""Mahalanobis distance and PCA reconstruction of the flattened window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.evaluation.baselines.axes import Axes

Floats = NDArray[np.float64]

EXPLAINED = 0.95  # share of the variance that the kept components explain
SMALLEST = 1e-12  # variance of a history that stands still


class Mahalanobis:
    """Squared Mahalanobis distance under the covariance of Ledoit and Wolf.

    The covariance is shrunk towards a multiple of the identity by the closed form of
    O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", J. Multivariate Analysis 88, 2004, eq. 14, so it exists with fewer windows
    than cells. With more than 600 axes the rest share one variance, their mean.

    Works badly for a history of several modes: between them looks normal.

    Parameters
    ----------
    X : float array (n, d)
        Scaled, flattened windows without missing cells.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1)) + 0.1 * rng.normal(size=(200, 2))
    >>> along, across = Mahalanobis(X).score(np.array([[2.0, 2], [1, -1]]))
    >>> bool(across > along)
    True
    """

    def __init__(self, X: NDArray[np.floating]) -> None:
        axes = Axes.fit(X)
        d, n, kept = X.shape[1], axes.rows, axes.variance
        mean = axes.total / d
        distance = axes.squares - d * mean**2  # from the multiple of the identity, times d
        noise = (axes.fourth - axes.squares) / n
        self.shrinkage = min(max(noise, 0.0), distance) / distance if distance > 0 else 0.0
        rest = max(axes.total - kept.sum(), 0.0) / max(d - len(kept), 1)
        variance = (1 - self.shrinkage) * np.append(kept, rest) + self.shrinkage * mean
        variance = np.maximum(variance, max(SMALLEST, SMALLEST * mean))
        self._axes, self._variance, self._rest = axes, variance[:-1], variance[-1]

    def score(self, X: NDArray[np.floating]) -> Floats:
        """Return squared distances (n,) of rows (n, d)."""
        along, beyond = self._axes.project(X)
        inside = np.sum(along**2 / self._variance, axis=1)
        distance: Floats = inside + np.sum(beyond**2, axis=1) / self._rest
        return distance


class Pca:
    """Mean squared error of the reconstruction from the components of 95 % of the variance.

    Works badly for an anomaly that lies within the components, such as a larger amplitude.

    Parameters
    ----------
    X : float array (n, d)
        Scaled, flattened windows without missing cells.

    Examples
    --------
    >>> X = np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]])
    >>> Pca(X).score(np.array([[9.0, 9], [1, 2]])).round(3)
    array([0.  , 0.25])
    """

    def __init__(self, X: NDArray[np.floating]) -> None:
        axes = Axes.fit(X)
        explained = np.cumsum(axes.variance) / max(axes.total, SMALLEST)
        kept = int(np.searchsorted(explained, EXPLAINED)) + 1
        self._mean, self._axis = axes.mean, axes.axis[:, :kept]

    def residual(self, X: NDArray[np.floating]) -> Floats:
        """Return what the components do not explain, (n, d)."""
        centred = X - self._mean
        rest: Floats = centred - centred @ self._axis @ self._axis.T
        return rest

    def score(self, X: NDArray[np.floating]) -> Floats:
        """Return mean squared errors (n,) of rows (n, d)."""
        error: Floats = np.mean(self.residual(X) ** 2, axis=1)
        return error
