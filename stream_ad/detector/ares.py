"""Scorers: from latents and errors to a raw score. They see arrays, never a network."""

from __future__ import annotations

from typing import ClassVar

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
    """

    channels: ClassVar[tuple[str, ...]]

    def __init__(self, bank: Bank, index: Index, *, k: int, alpha: float) -> None:
        self.bank, self.index, self.alpha = bank, index, alpha
        self.k = max(1, min(k, len(bank) - 1))

    def score(
        self, z: NDArray[np.float32], error: Floats, own: NDArray[np.int64] | None = None
    ) -> tuple[Floats, Floats]:
        """Score windows.

        Parameters
        ----------
        z : float32 array (n, D)
        error : float64 array (n,)
            The model's error of the same windows.
        own : int64 array (n,), optional
            For windows that are in the bank: their place in it, which is then left out.

        Returns
        -------
        float64 array (n,)
            Raw score, higher = more anomalous.
        float64 array (n, E)
            What each channel adds above the ordinary, at least 0.
        """
        raise NotImplementedError


class ErrorScorer(Scorer):
    """The model's error as it is.

    Examples
    --------
    >>> ErrorScorer.channels
    ('reconstruction',)
    """

    channels = ("reconstruction",)

    def score(
        self,
        z: NDArray[np.float32],  # noqa: ARG002 - the error says it all
        error: Floats,
        own: NDArray[np.int64] | None = None,  # noqa: ARG002
    ) -> tuple[Floats, Floats]:
        """Return the errors, and the errors again as the only channel."""
        raw = np.asarray(error, np.float64)
        return raw, np.maximum(raw, 0)[:, None]


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
    >>> raw, contributions = ares.score(np.array([[1.5], [9]], np.float32), np.array([1.0, 3]))
    >>> raw.round(3), contributions.round(3)
    (array([0.333, 4.167]), array([[0.   , 0.   ],
           [2.   , 1.667]]))
    """

    channels = ("reconstruction", "density")

    def __init__(self, bank: Bank, index: Index, *, k: int, alpha: float) -> None:
        super().__init__(bank, index, k=k, alpha=alpha)
        distances, numbers = self._neighbours(bank.z, np.arange(len(bank)))
        self._reach = distances[:, -1]  # k-distance of each bank latent
        self._density = self._densities(distances, numbers)

    def score(
        self, z: NDArray[np.float32], error: Floats, own: NDArray[np.int64] | None = None
    ) -> tuple[Floats, Floats]:
        """Score windows by eq. 8; see `Scorer.score`.

        The reconstruction channel adds r, the density channel alpha * (d - 1), each as far
        as it is positive.
        """
        distances, numbers = self._neighbours(z, own)
        rebuilt = error - np.median(self.bank.error[numbers], axis=1)
        around = np.mean(self._density[numbers], axis=1)
        lonely = around / self._densities(distances, numbers)
        excess = np.stack([rebuilt, self.alpha * (lonely - 1)], axis=1)
        return rebuilt + self.alpha * lonely, np.maximum(excess, 0)

    def _densities(self, distances: Floats, numbers: NDArray[np.int64]) -> Floats:
        """Return local reachability densities (n,) from neighbours (n, k)."""
        reached = np.maximum(distances, self._reach[numbers])
        density: Floats = 1 / (reached.mean(axis=1) + TINY)
        return density

    def _neighbours(self, z: NDArray[np.float32], own: NDArray[np.int64] | None) -> Found:
        if own is None:
            return self.index.search(z, self.k)
        distances, numbers = self.index.search(z, self.k + 1)
        others = numbers != own[:, None]
        others[others.all(axis=1), -1] = False  # an approximate index may not find itself
        shape = (len(z), self.k)
        return distances[others].reshape(shape), numbers[others].reshape(shape)


SCORERS: dict[str, type[Scorer]] = {
    "ares": Ares,
    "error": ErrorScorer,
}
