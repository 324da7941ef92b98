"""What flows between the rooms: chunks of readings in, batches of windows out.

Both are columns, not objects: one row per reading or window, NaN where a value is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class _Columns:
    """Row-wise selection and joining for dataclasses of equally long arrays."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def take(self, rows: NDArray[Any] | slice) -> Self:
        """Return the chosen rows, in the chosen order."""
        columns = [getattr(self, f.name) for f in fields(self)]  # type: ignore[arg-type]
        if isinstance(rows, slice):
            return type(self)(*(column[rows] for column in columns))
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        # several times as fast as an index where a row holds several numbers
        return type(self)(*(column.take(rows, axis=0) for column in columns))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Join parts one after another; at least one part."""
        if len(parts) == 1:
            return parts[0]
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, slots=True)
class Readings(_Columns):
    """A chunk of validated readings, in order of arrival.

    Parameters
    ----------
    machine : object array (n,)
        Machine ids (str).
    time : int64 array (n,)
        Event time in nanoseconds since the epoch, UTC.
    values : float32 array (n, C)
        One column per configured sensor; NaN = missing.
    offset : int64 array (n,)
        Position of the record in its input, ascending.

    Examples
    --------
    >>> r = Readings(np.array(["a", "b"], object), np.array([0, 1]),
    ...              np.zeros((2, 1), np.float32), np.array([0, 1]))
    >>> len(r), r.take(np.array([1])).machine
    (2, array(['b'], dtype=object))
    """

    machine: NDArray[np.object_]
    time: NDArray[np.int64]
    values: NDArray[np.float32]
    offset: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows(_Columns):
    """A batch of windows.

    Parameters
    ----------
    machine : object array (n,)
        Machine ids (str).
    start : int64 array (n,)
        First instant of the window, nanoseconds since the epoch, UTC; it ends, exclusive,
        at ``start + length * period``.
    values : float32 array (n, T, C)
        Slots by sensors; NaN = missing.
    offset : int64 array (n,)
        Position of the record that is the window; -1 for a window made of readings.

    Examples
    --------
    >>> w = Windows(np.array(["a"], object), np.array([0]),
    ...             np.zeros((1, 4, 2), np.float32), np.array([9]))
    >>> len(Windows.concat([w, w]))
    2
    """

    machine: NDArray[np.object_]
    start: NDArray[np.int64]
    values: NDArray[np.float32]
    offset: NDArray[np.int64]

    @classmethod
    def empty(cls, length: int, sensors: int) -> Windows:
        """Return a batch without windows."""
        return cls(
            np.empty(0, object),
            np.empty(0, np.int64),
            np.empty((0, length, sensors), np.float32),
            np.empty(0, np.int64),
        )
