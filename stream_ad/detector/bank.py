"""The bank: latents of normal windows with their training errors and where they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.coreset import thin
from stream_ad.errors import NotEnoughHistory


@dataclass(frozen=True, slots=True)
class Bank:
    """Different latents of normal windows, in time order; never changed once built.

    Parameters
    ----------
    z : float32 array (N, D)
    error : float64 array (N,)
        The model's error of the same windows.
    machine : object array (N,)
    start : int64 array (N,)
        Whose window each was, and its first instant.
    count : int64 array (N,)
        How many windows had that latent.
    sure : bool array (N,)
        Whether somebody has called one of these normal, since they looked odd.

    Examples
    --------
    >>> z = np.array([[0.0], [1], [0], [2]], np.float32)
    >>> names = np.array(["a", "a", "b", "b"], object)
    >>> bank = Bank.build(z, np.arange(4.0), names, np.arange(4), most=2)
    >>> bank.z.ravel(), bank.error, bank.count
    (array([0., 2.], dtype=float32), array([0., 3.]), array([2, 1]))
    """

    z: NDArray[np.float32]
    error: NDArray[np.float64]
    machine: NDArray[np.object_]
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    sure: NDArray[np.bool_]

    @classmethod
    def build(  # noqa: PLR0917 - what is known of the windows, in the order of the fields
        cls,
        z: NDArray[np.float32],
        error: NDArray[np.float64],
        machine: NDArray[np.object_],
        start: NDArray[np.int64],
        most: int,
        sure: NDArray[np.bool_] | None = None,
    ) -> Bank:
        """De-duplicate windows in time order, then keep at most ``most`` of them.

        Equal latents become one entry, with error and origin of the earliest: they would
        divide by zero in the density. Where more than ``most`` remain, `thin` keeps a part
        of every rare state and of the rest those that are evenly spaced in time.

        Raises
        ------
        NotEnoughHistory
            With fewer than two different latents.
        """
        # + 0 makes -0.0 and 0.0 one value
        _, first, place, count = np.unique(
            z + 0, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        named = np.zeros(len(first), bool)
        if sure is not None:
            named[place.reshape(-1)[sure]] = True
        order = np.argsort(first)
        order = order[thin(z[first[order]], most, named[order])]
        if len(order) < 2:
            raise NotEnoughHistory(
                f"{len(z)} windows to learn from give {len(order)} different latents; "
                "at least 2 needed: the history stands still"
            )
        rows = first[order]
        counts = count[order].astype(np.int64)
        return cls(z[rows], error[rows], machine[rows], start[rows], counts, named[order])

    def __len__(self) -> int:
        return len(self.z)
