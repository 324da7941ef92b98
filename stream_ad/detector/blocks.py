"""Blocks of one fixed size on one thread: what makes sums repeat bit by bit.

The order in which a matrix product adds depends on its batch size and on the number of
threads. Forward passes and searches therefore always see ``BLOCK`` rows, the last ones
padded, so a window's score does not depend on the windows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Measured with 8 x 64 and 38 x 32 windows over banks of 1 k and 10 k: 128 rows lose 12 % to
# the cost per call, 512 gain 3 % and make a lone window wait twice as long.
BLOCK = 256


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread inside the ``with`` and restore the number after it.

    Examples
    --------
    >>> before = torch.get_num_threads()
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def blocks(rows: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Cut rows into blocks of ``BLOCK``; the last one is padded with zeros.

    Parameters
    ----------
    rows : array (n, ...)

    Yields
    ------
    slice
        Which rows the block holds.
    array (BLOCK, ...)
        Those rows, then zeros.

    Examples
    --------
    >>> [(rows.stop, block.shape) for rows, block in blocks(np.ones((260, 2)))]
    [(256, (256, 2)), (260, (256, 2))]
    """
    whole = len(rows) - len(rows) % BLOCK
    for first in range(0, whole, BLOCK):
        yield slice(first, first + BLOCK), rows[first : first + BLOCK]
    if whole < len(rows):
        last = np.zeros((BLOCK, *rows.shape[1:]), rows.dtype)
        last[: len(rows) - whole] = rows[whole:]
        yield slice(whole, len(rows)), last
