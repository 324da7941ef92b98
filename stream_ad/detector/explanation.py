"""Why a window scored high: sensors, expected values, the nearest normal windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Reasons for the scores of n windows.

    Parameters
    ----------
    share : float64 array (n, C)
        Each sensor's share of the blame (see `occlude`); sums to 1, or to 0 where the error
        is 0; 0 for sensors that are not known.
    expected, actual : float64 array (n, C)
        In the sensor's unit, at the slot where the two lie farthest apart (measured in
        scaled units); NaN where the sensor was never observed in the window or history.
    expected_window : float64 array (n, T, C)
        What the sensors other than the leading one say should have been, in sensor units,
        within the range of the history; NaN for sensors that are not known.
    channels : tuple of str
        Names of the E lines of evidence.
    evidence : float64 array (n, E)
        Share of each in what lies above the ordinary; sums to 1, or to 0 where nothing does.
    neighbour_machine : object array (n, m)
    neighbour_start : int64 array (n, m)
    neighbour_distance : float64 array (n, m)
        The m <= 5 normal windows of the history that are most alike, nearest first:
        whose, when, and how far their latents lie.
    """

    share: Floats
    expected: Floats
    actual: Floats
    expected_window: Floats
    channels: tuple[str, ...]
    evidence: Floats
    neighbour_machine: NDArray[np.object_]
    neighbour_start: NDArray[np.int64]
    neighbour_distance: Floats

    def __len__(self) -> int:
        return len(self.share)


def shares(parts: Floats) -> Floats:
    """Divide rows of parts >= 0 by their sums; rows of zeros stay zeros.

    Parameters
    ----------
    parts : float64 array (n, m)

    Examples
    --------
    >>> shares(np.array([[1.0, 3], [0, 0]]))
    array([[0.25, 0.75],
           [0.  , 0.  ]])
    """
    # by the largest first: a sum of large parts could overflow, one of tiny ones vanish
    largest = parts.max(axis=1, keepdims=True, initial=0)
    parts = parts / np.where(largest > 0, largest, 1)
    total = parts.sum(axis=1, keepdims=True)
    whole: Floats = parts / np.where(total > 0, total, 1)
    return whole


def blamed(contributions: Floats, by_view: Floats, rest: Floats) -> Floats:
    """Share the blame: each line of evidence names its sensors, as loud as it is itself.

    Parameters
    ----------
    contributions : float64 array (n, V + 1), or (n, V) where the views say all
        Of the V views and of the rest.
    by_view : float64 array (n, V, C)
        Each sensor's part in each view.
    rest : float64 array (n, C)
        Each sensor's part in what the views do not say.

    Returns
    -------
    float64 array (n, C)
        Rows sum to 1; to 0 where nothing lies above the ordinary and nobody is to blame.

    Examples
    --------
    >>> loud = np.array([[3.0, 1.0]])
    >>> blamed(loud, np.array([[[1.0, 0.0]]]), np.array([[1.0, 1.0]]))
    array([[0.875, 0.125]])
    """
    lines = np.concatenate([by_view, rest[:, None]], axis=1)[:, : contributions.shape[1]]
    named = np.stack([shares(line) for line in lines.transpose(1, 0, 2)], axis=1)
    loud = shares(contributions)
    heard = shares((loud[:, :, None] * named).sum(axis=1))
    return np.where(heard.any(axis=1, keepdims=True), heard, shares(rest))


def farthest(
    scaled: NDArray[np.float32], x_hat: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return each sensor's slot of largest deviation, and whether it was observed at all.

    Parameters
    ----------
    scaled, x_hat : float32 array (n, T, C)
        Scaled windows, NaN = missing, and their reconstructions.

    Returns
    -------
    int64 array (n, C)
        The earliest such slot; 0 where the sensor was not observed.
    bool array (n, C)

    Examples
    --------
    >>> slot, seen = farthest(np.array([[[1.0, np.nan], [5, np.nan]]]), np.zeros((1, 2, 2)))
    >>> slot, seen
    (array([[1, 0]]), array([[ True, False]]))
    """
    apart = np.nan_to_num(np.abs(scaled - x_hat), nan=-1.0)
    slot = apart.argmax(axis=1)
    seen: NDArray[np.bool_] = apart.max(axis=1) >= 0
    return slot, seen


def at_slot(values: Floats, slot: NDArray[np.int64], seen: NDArray[np.bool_]) -> Floats:
    """Pick one slot per sensor, (n, T, C) -> (n, C); NaN where not seen.

    Examples
    --------
    >>> at_slot(np.array([[[1.0, 2], [3, 4]]]), np.array([[1, 0]]), np.array([[True, False]]))
    array([[ 3., nan]])
    """
    picked = np.take_along_axis(values, slot[:, None, :], axis=1)[:, 0]
    return np.where(seen, picked, np.nan)
