"""Out-of-fold rows: every window is judged by what was learned without its neighbourhood."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FOLDS = 5

Rows = NDArray[np.int64]


def folds(start: NDArray[np.int64], window_ns: int) -> Iterator[tuple[Rows, Rows]]:
    """Cut windows into five stretches of time; yield the rows to learn from and to judge.

    Windows that start within two window spans of a stretch are left out of what is learned
    for it: they share readings with it, or with windows that do. A random split would judge
    windows by their own neighbours, and promise an alarm line that drift breaks at once.

    Parameters
    ----------
    start : int64 array (n,)
        Starts of the windows, ascending, all machines together; those that start together
        are judged together.
    window_ns : int
        Span of a window.

    Yields
    ------
    int64 array, int64 array
        Rows to learn from, rows to judge; each row is judged once.

    Examples
    --------
    >>> [(len(learn), judge.tolist()) for learn, judge in folds(np.arange(10) * 10, 10)]
    [(7, [0, 1]), (6, [2, 3]), (6, [4, 5]), (6, [6, 7]), (7, [8, 9])]
    """
    cuts = start[np.linspace(0, len(start), FOLDS + 1).astype(np.int64)[1:-1]]
    number = np.searchsorted(cuts, start, side="right")
    for fold in np.unique(number):
        judged = np.flatnonzero(number == fold)
        first, last = start[judged[0]], start[judged[-1]]
        apart = (start <= first - 2 * window_ns) | (start >= last + 2 * window_ns)
        yield np.flatnonzero(apart), judged
