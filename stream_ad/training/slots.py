"""Windows in fixed places: they come and go without the others being copied."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.windows import Windows

EMPTY = 0
LEAST = 256
Rows = NDArray[np.int64]


class Slots:
    """A table of windows, one row each, in no order; rows that are given back are used again.

    Memory is that of the most windows ever held at a time: rows never used are never touched.

    Parameters
    ----------
    length, sensors : int
        Shape of a window.

    Attributes
    ----------
    names : object array (m,)
        Machines by number, in order of appearance.
    machine : int32 array (capacity,)
        Number of the machine.
    start, offset : int64 arrays (capacity,)
    values : float32 array (capacity, T, C)
    key : float64 array (capacity,)
    place, label : int8 arrays (capacity,)
        The owner's; a row whose place is ``EMPTY`` is free.

    Examples
    --------
    >>> windows = Windows(np.array(["a"], object), np.array([7]), np.zeros((1, 2, 1), np.float32),
    ...                   np.array([-1]))
    >>> slots = Slots(2, 1)
    >>> rows = slots.put(windows, slots.number(windows.machine), np.array([0.5]), place=1)
    >>> slots.windows(slots.at(1)).start, slots.at(2)
    (array([7]), array([], dtype=int64))
    """

    def __init__(self, length: int, sensors: int) -> None:
        self.names: NDArray[np.object_] = np.zeros(0, object)
        self._numbers: dict[str, int] = {}
        self.machine = np.zeros(0, np.int32)
        self.start, self.offset = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.values = np.zeros((0, length, sensors), np.float32)
        self.key = np.zeros(0)
        self.place, self.label = np.zeros(0, np.int8), np.zeros(0, np.int8)

    def number(self, machine: NDArray[np.object_]) -> NDArray[np.int32]:
        """Return the numbers of machines; new ones get the next."""
        names, numbers = machine.tolist(), self._numbers
        known = len(numbers)
        for name in dict.fromkeys(names):
            numbers.setdefault(name, len(numbers))
        if len(numbers) > known:
            self.names = np.array([*numbers], object)
        return np.fromiter(map(numbers.__getitem__, names), np.int32, len(names))

    def put(
        self, windows: Windows, number: NDArray[np.int32], key: NDArray[np.float64], place: int
    ) -> Rows:
        """Take in windows and return their rows."""
        n = len(windows)
        rows = self.at(EMPTY)[:n]
        if len(rows) < n:
            self._grow(n - len(rows))
            rows = self.at(EMPTY)[:n]
        self.machine[rows], self.start[rows], self.offset[rows] = (
            number,
            windows.start,
            windows.offset,
        )
        self.values[rows] = windows.values
        self.key[rows], self.place[rows], self.label[rows] = key, place, 0
        return rows

    def at(self, place: int) -> Rows:
        """Return the rows of a place."""
        return np.flatnonzero(self.place == place)

    def ordered(self, rows: Rows) -> Rows:
        """Return rows by the start of their windows and then by the name of the machine."""
        rank = np.empty(len(self.names), np.int64)
        rank[np.argsort(self.names)] = np.arange(len(rank))
        return rows[np.lexsort((rank[self.machine[rows]], self.start[rows]))]

    def windows(self, rows: Rows) -> Windows:
        """Return a copy of windows."""
        machine, values = self.names[self.machine[rows]], self.values.take(rows, axis=0)
        return Windows(machine, self.start[rows], values, self.offset[rows])

    def _grow(self, by: int) -> None:
        before = len(self.place)
        size = max(2 * before, before + by, LEAST)
        for name in ("machine", "start", "offset", "values", "key", "place", "label"):
            column = getattr(self, name)
            wider = np.empty((size, *column.shape[1:]), column.dtype)
            wider[:before] = column
            setattr(self, name, wider)
        self.place[before:] = EMPTY
