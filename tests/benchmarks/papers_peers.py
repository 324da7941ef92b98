"""What a user would pick instead: detectors of scikit-learn and PyOD, on z-scored rows.

Their libraries' defaults, but for the neighbours of kNN and LOF; one setting for all sets.
ECOD ranks a test row among training and test rows together: its scores depend on the batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Fitted = Callable[[Floats], Floats]

NEIGHBOURS = 10  # of kNN: the distance to the farthest of them
LOF_NEIGHBOURS, FEWER = 100, 20  # as METHODS measured it, and the library's default


def knn(x: Floats, seed: int) -> Fitted:
    """Return the distance to the tenth nearest training row."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(x))).fit(x)
    return lambda rows: near.kneighbors(rows)[0][:, -1]


def lof(x: Floats, seed: int, neighbours: int = LOF_NEIGHBOURS) -> Fitted:
    """Return the local outlier factor in the novelty sense."""
    from sklearn.neighbors import LocalOutlierFactor

    fitted = LocalOutlierFactor(n_neighbors=min(neighbours, len(x) - 1), novelty=True)
    with warnings.catch_warnings():
        # sets with many equal rows: that is how they come, and how a user would meet them
        warnings.filterwarnings("ignore", message="Duplicate values are leading to incorrect")
        fitted.fit(x)
    return lambda rows: -fitted.score_samples(rows)


def iforest(x: Floats, seed: int) -> Fitted:
    """Return the score of an isolation forest."""
    from sklearn.ensemble import IsolationForest

    fitted = IsolationForest(random_state=seed).fit(x)
    return lambda rows: -fitted.score_samples(rows)


def ocsvm(x: Floats, seed: int) -> Fitted:
    """Return the distance to the border of a one-class support vector machine."""
    from sklearn.svm import OneClassSVM

    fitted = OneClassSVM().fit(x)
    return lambda rows: -fitted.decision_function(rows)


def ecod(x: Floats, seed: int) -> Fitted:
    """Return the score by empirical cumulative distributions."""
    from pyod.models.ecod import ECOD

    fitted = ECOD().fit(x)
    return lambda rows: np.asarray(fitted.decision_function(rows), np.float64)


PEERS: dict[str, Callable[[Floats, int], Fitted]] = {
    "kNN": knn,
    "LOF": lof,
    "LOF k=20": partial(lof, neighbours=FEWER),
    "IForest": iforest,
    "OCSVM": ocsvm,
    "ECOD": ecod,
}
PACKAGES = ("scikit-learn", "pyod")


def z_scored(train: NDArray[np.float32], *others: NDArray[np.float32]) -> list[Floats]:
    """Return rows, flattened, in units of the training rows' standard deviations.

    Examples
    --------
    >>> one = np.array([[1, 5], [3, 5]], np.float32)
    >>> [part.tolist() for part in z_scored(one, one[:1] + 1)]
    [[[-1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0]]]
    """
    flat = [np.asarray(part, np.float64).reshape(len(part), -1) for part in (train, *others)]
    mean, sd = flat[0].mean(axis=0), flat[0].std(axis=0)
    return [(part - mean) / np.where(sd > 0, sd, 1) for part in flat]
