"""What both sorts of synthetic anomalies ask about windows."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Values = NDArray[np.float32]
F = TypeVar("F", np.float32, np.float64)


def usable(values: Values, spread: NDArray[np.floating]) -> Bools:
    """Return which sensors (n, C) have a value and a spread."""
    missing = np.isnan(values).all(axis=1)
    return np.asarray(~missing & np.isfinite(spread), bool)


def one_of(allowed: Bools, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a random place (n,) among the allowed ones (n, k); any where none is."""
    return np.asarray(np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1))


def known(difference: NDArray[F]) -> NDArray[F]:
    """Return a difference, none where either side is missing."""
    return np.nan_to_num(difference, nan=0.0, posinf=0.0, neginf=0.0)


def medians(values: Values) -> Floats:
    """Return each sensor's median, 0 where it has none; float64 array (C,)."""
    columns = values.reshape(-1, values.shape[2])
    seen = (column[~np.isnan(column)] for column in columns.T)
    return np.array([np.median(column) if len(column) else 0.0 for column in seen])
