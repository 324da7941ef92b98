"""Arrays inside JSON: little-endian bytes as base64, nothing else."""

from __future__ import annotations

import base64
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def pack(array: NDArray[Any]) -> str:
    """Return the array's cells as text; dtype and shape are the reader's knowledge.

    Examples
    --------
    >>> unpack(pack(np.array([1.5, np.nan], np.float32)), np.float32)
    array([1.5, nan], dtype=float32)
    """
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode()


def unpack(text: str, dtype: type[Scalar]) -> NDArray[Scalar]:
    """Return the flat array that ``pack`` wrote, as a copy that may be written to."""
    cells = np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))
    return cells.astype(dtype)
