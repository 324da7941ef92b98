"""Scorers: from latents and errors to a raw score. They see arrays, never a network.

A scorer first gathers its lines of evidence, then joins them: so that the alarm line can be
taken from evidence that was gathered out of fold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.bank import Bank
from stream_ad.detector.index import Found, Index

Floats = NDArray[np.float64]

TINY = 1e-10  # keeps the density finite, the value that scikit-learn uses too


class Scorer:
    """Base of the scorers over one bank.

    Parameters
    ----------
    bank : Bank
    index : Index
        Over ``bank.z``.
    k : int
        Neighbours; more than the bank can give are cut to all but one.
    alpha : float
        Weight of the density.
    cells : int
        Values in a window: the model's error is a mean over them.

    Attributes
    ----------
    channels : tuple of str
        Names of the E lines of evidence.
    """

    channels: tuple[str, ...]
    needs_views = False  # whether `evidence` reads the views of the windows

    def __init__(self, bank: Bank, index: Index, *, k: int, alpha: float, cells: int = 1) -> None:
        self.bank, self.index, self.alpha, self.cells = bank, index, alpha, cells
        self.k = max(1, min(k, len(bank) - 1))

    def score(self, z: NDArray[np.float32], error: Floats, views: Floats | None = None) -> Floats:
        """Return raw scores (n,), higher = more anomalous; parameters as in `evidence`."""
        return self.join(self.evidence(z, error, views))

    def evidence(
        self, z: NDArray[np.float32], error: Floats, views: Floats | None = None
    ) -> Floats:
        """Gather the lines of evidence of windows, each on a scale of its own.

        Parameters
        ----------
        z : float32 array (n, D)
        error : float64 array (n,)
            The model's error of the same windows.
        views : float64 array (n, 3), optional
            See `Views`; read by scorers that need them.

        Returns
        -------
        float64 array (n, E), or wider: what is no line of evidence comes after these
        """
        raise NotImplementedError

    def calibrate(self, evidence: Floats) -> None:
        """Learn how to join from the evidence (n, E) of normal windows not learned from."""

    def join(self, evidence: Floats) -> Floats:
        """Return raw scores (n,) from evidence (n, E)."""
        raise NotImplementedError

    def contributions(self, evidence: Floats) -> Floats:
        """Return what each line of evidence adds above the ordinary, at least 0; (n, E)."""
        raise NotImplementedError

    def arrays(self) -> dict[str, Floats]:
        """Return what `calibrate` learned, for the artifact."""
        return {}

    def recall(self, arrays: Mapping[str, Floats]) -> None:
        """Take back what `arrays` gave."""


class ErrorScorer(Scorer):
    """The model's error as it is.

    Examples
    --------
    >>> ErrorScorer.channels
    ('reconstruction',)
    """

    channels = ("reconstruction",)

    def evidence(
        self,
        z: NDArray[np.float32],  # noqa: ARG002 - the error says it all
        error: Floats,
        views: Floats | None = None,  # noqa: ARG002 - nor are they needed
    ) -> Floats:
        """Return the errors as the only channel."""
        return np.asarray(error, np.float64)[:, None]

    def join(self, evidence: Floats) -> Floats:
        """Return the errors."""
        return evidence[:, 0]

    def contributions(self, evidence: Floats) -> Floats:
        """Return the errors as far as they are positive."""
        above: Floats = np.maximum(evidence, 0)
        return above


class Ares(Scorer):
    """ARES: how much worse a window is rebuilt, and how much lonelier it is, than its like.

    Equations of the ARES paper: ``s = r + alpha * d`` (8); ``r`` = error minus the median
    error of the k nearest bank latents (6); ``d`` = local outlier factor of the latent
    among the bank (1), the plain ratio: 1 = as dense as its neighbours. The bank holds
    each latent once, so duplicates do not make densities infinite.

    Works badly when anomalies are more than about k in the bank (use k = 100 for a
    history that is not clean), and for k beyond a real cluster's size.

    Examples
    --------
    >>> from stream_ad.detector.index import ExactIndex
    >>> z = np.array([[0.0], [1], [2], [3]], np.float32)
    >>> names = np.array(["m"] * 4, object)
    >>> bank = Bank.build(z, np.ones(4), names, np.arange(4), most=10)
    >>> ares = Ares(bank, ExactIndex(bank.z), k=2, alpha=0.5)
    >>> z, error = np.array([[1.5], [9]], np.float32), np.array([1.0, 3])
    >>> ares.score(z, error).round(3)
    array([0.333, 4.167])
    >>> ares.contributions(ares.evidence(z, error)).round(3)
    array([[0.   , 0.   ],
           [2.   , 1.667]])
    """

    channels = ("reconstruction", "density")

    def __init__(self, bank: Bank, index: Index, *, k: int, alpha: float, cells: int = 1) -> None:
        super().__init__(bank, index, k=k, alpha=alpha, cells=cells)
        distances, numbers = self._neighbours_of_the_bank()
        self._reach = distances[:, -1]  # k-distance of each bank latent
        self._density = self._densities(distances, numbers)

    def evidence(
        self,
        z: NDArray[np.float32],
        error: Floats,
        views: Floats | None = None,  # noqa: ARG002 - of latents and errors only
    ) -> Floats:
        """Return r and d of eq. 8; see `Scorer.evidence`."""
        distances, numbers = self.index.search(z, self.k)
        r = error - np.median(self.bank.error[numbers], axis=1)
        around = np.mean(self._density[numbers], axis=1)
        return np.stack([r, around / self._densities(distances, numbers)], axis=1)

    def join(self, evidence: Floats) -> Floats:
        """Return r + alpha * d (eq. 8)."""
        return evidence[:, 0] + self.alpha * evidence[:, 1]

    def contributions(self, evidence: Floats) -> Floats:
        """Return r and alpha * (d - 1), each as far as it is positive."""
        r, d = evidence.T
        above: Floats = np.maximum(np.stack([r, self.alpha * (d - 1)], axis=1), 0)
        return above

    def _densities(self, distances: Floats, numbers: NDArray[np.int64]) -> Floats:
        """Return local reachability densities (n,) from neighbours (n, k)."""
        reached = np.maximum(distances, self._reach[numbers])
        density: Floats = 1 / (reached.mean(axis=1) + TINY)
        return density

    def _neighbours_of_the_bank(self) -> Found:
        """Return the neighbours of each bank latent but itself."""
        distances, numbers = self.index.search(self.bank.z, self.k + 1)
        others = numbers != np.arange(len(self.bank))[:, None]
        others[others.all(axis=1), -1] = False  # an approximate index may not find itself
        shape = (len(self.bank), self.k)
        return distances[others].reshape(shape), numbers[others].reshape(shape)
