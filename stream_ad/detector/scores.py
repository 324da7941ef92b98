"""What scoring says about n windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n windows.

    Parameters
    ----------
    raw : float64 array (n,)
        What the scorer says; higher = more anomalous.
    error : float64 array (n,)
        The model's own evidence.
    sensor_error : float64 array (n, C)
        Each sensor's part of the reconstruction error, 0 where it is not known.

    Examples
    --------
    >>> len(Scores(np.zeros(3), np.zeros(3), np.zeros((3, 2))))
    3
    """

    raw: NDArray[np.float64]
    error: NDArray[np.float64]
    sensor_error: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.raw)
