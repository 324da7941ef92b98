"""The main axes of a history's windows: what Mahalanobis and PCA are both made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_AXES = 600  # a Mahalanobis distance along more costs much and says little
MOST_WINDOWS = 4_000  # of windows that have more cells than that
ROUNDING = 1e-10  # eigenvalues below this part of the largest are rounding


@dataclass(frozen=True, slots=True)
class Axes:
    """Mean and leading principal axes of rows.

    Parameters
    ----------
    mean : float64 array (d,)
    axis : float64 array (d, r)
        Orthonormal columns, largest variance first, r <= 600.
    variance : float64 array (r,)
        Along each axis; n, not n - 1, in the denominator.
    total : float
        Sum of the variances of all d features.
    squares : float
        Sum of the squares of all entries of the covariance matrix.
    fourth : float
        Mean over rows of the fourth power of their distance from the mean.
    rows : int
        Number of rows they come from.

    Notes
    -----
    Covariance (d, d) and Gram matrix (n, n) have the same eigenvalues, so the smaller one
    is decomposed. Where both are larger than 4,000, evenly spaced 4,000 rows are used.

    Examples
    --------
    >>> axes = Axes.fit(np.array([[0.0, 0], [2, 0], [4, 0]]))
    >>> axes.mean, axes.variance.round(3), np.abs(axes.axis[:, 0])
    (array([2., 0.]), array([2.667]), array([1., 0.]))
    """

    mean: Floats
    axis: Floats
    variance: Floats
    total: float
    squares: float
    fourth: float
    rows: int

    @classmethod
    def fit(cls, X: NDArray[np.floating]) -> Self:
        """Take them from rows (n, d)."""
        if min(X.shape) > MOST_WINDOWS:
            X = X[np.linspace(0, len(X) - 1, MOST_WINDOWS).astype(np.int64)]
        n, d = X.shape
        mean = X.mean(axis=0, dtype=np.float64)
        centred = X - mean
        wide = d > n
        matrix = (centred @ centred.T if wide else centred.T @ centred) / n
        size = len(matrix)
        variance, vectors = scipy.linalg.eigh(
            matrix, subset_by_index=(max(0, size - MOST_AXES), size - 1)
        )
        real = variance > ROUNDING * max(variance[-1], 0.0)
        variance, vectors = variance[real][::-1], vectors[:, real][:, ::-1]
        axis = centred.T @ vectors / np.sqrt(n * variance) if wide else vectors
        return cls(
            mean=mean,
            axis=axis,
            variance=variance,
            total=float(np.trace(matrix)),
            squares=float(np.sum(matrix**2)),
            fourth=float(np.mean(np.sum(centred**2, axis=1) ** 2)),
            rows=n,
        )

    def project(self, X: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Return coordinates (n, r) of rows and what lies beyond the axes, (n, d)."""
        centred = X - self.mean
        along = centred @ self.axis
        return along, centred - along @ self.axis.T
