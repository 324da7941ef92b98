"""Who lies nearest: the interface of the indexes, and the exact one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_ad.detector.blocks import BLOCK, one_thread

Found = tuple[NDArray[np.float64], NDArray[np.int64]]

SPARE = 5  # candidates beyond k, so that rounding seldom leaves the order in doubt
GROUP = 8  # points whose smallest distance is looked at first
LARGE = 1e37  # squares up to here are finite in float32
QUICK = 64  # torch is quick to select m of n where n >= 64 m, numpy elsewhere
FEW = 256  # values of a row that numpy sorts sooner than it selects from them
FREE = (1 << 29) - 1  # bits of a float64 that no float32 uses
LARGEST = np.finfo(np.float32).max


class Index(Protocol):
    """Finds the nearest of N points.

    ``search(queries, k)`` takes float64 ``(m, D)`` and returns Euclidean distances
    ``(m, k')``, ascending, and the points' numbers ``(m, k')``, ``k' = min(k, N)``.
    """

    name: str

    def search(self, queries: NDArray[Any], k: int) -> Found:
        """Return distances and numbers of the k nearest points."""


class ExactIndex:
    """Exact search by matrix products, the same bits for any batching.

    A matrix product gives rough squared distances to all points; the best few are measured
    again directly. A row whose order rounding could have changed is looked at again: first
    in float64 instead of float32, then measured against every point. Equal distances are
    ordered by the points' numbers.

    Costs time and memory in proportion to N: about 5 us per query at N = 1,000 and 15 us
    at 10,000 on one core; twice that for points much closer to each other than to their
    middle.

    Parameters
    ----------
    points : float array (N, D)
        N >= 1, finite.
    device : torch.device
        Where to search.

    Examples
    --------
    >>> index = ExactIndex(np.array([[0.0], [1], [3]]))
    >>> index.search(np.array([[0.9]]), k=2)
    (array([[0.1, 0.9]]), array([[1, 0]]))
    """

    name = "exact"

    def __init__(
        self,
        points: NDArray[Any],
        device: torch.device = torch.device("cpu"),  # noqa: B008 - it is never changed
    ) -> None:
        exact = np.asarray(points, np.float64)
        self._middle = exact.mean(axis=0)
        self._points = torch.from_numpy(exact - self._middle).to(device)
        squares = self._points.square().sum(1, keepdim=True)
        self._farthest = float(squares.max())
        # (p, |p|^2) times (-2 q, 1) is |p - q|^2 - |q|^2; the rows that fill the last group
        # are infinitely far away
        rows = torch.cat([self._points, squares], dim=1)
        spare = rows.new_zeros((-len(rows) % GROUP, rows.shape[1]))
        spare[:, -1] = float("inf")
        columns = torch.cat([rows, spare]).T.contiguous()
        self._columns = columns
        self._rough = columns.float() if self._farthest < LARGE else columns
        self._every = torch.arange(len(rows), device=device)[None]

    def __len__(self) -> int:
        return len(self._points)

    def search(self, queries: NDArray[Any], k: int) -> Found:
        """Return distances and numbers of the k nearest points, each (m, min(k, N))."""
        k = min(k, len(self))
        # a short block needs no padding: products only choose what is then measured directly
        return self._in_blocks(queries, k, lambda q, _: self._block(q, k))

    def nearest_of(self, queries: NDArray[Any], candidates: NDArray[np.int64], k: int) -> Found:
        """Return the k nearest of each query's own candidates (m, c >= k), as `search` does."""
        device = self._points.device
        return self._in_blocks(
            queries,
            k,
            lambda q, rows: self._measure(q, torch.from_numpy(candidates[rows]).to(device), k),
        )

    def _in_blocks(
        self,
        queries: NDArray[Any],
        k: int,
        search: Callable[[Tensor, slice], tuple[Tensor, Tensor]],
    ) -> Found:
        centred = np.asarray(queries, np.float64) - self._middle
        distances = np.empty((len(centred), k))
        numbers = np.empty((len(centred), k), np.int64)
        with one_thread(), torch.inference_mode():
            for first in range(0, len(centred), BLOCK):
                rows = slice(first, first + BLOCK)
                found = search(torch.from_numpy(centred[rows]).to(self._points.device), rows)
                distances[rows], numbers[rows] = (part.cpu().numpy() for part in found)
        return np.sqrt(distances, out=distances), numbers

    def _block(self, q: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return squared distances and numbers for queries (B, D)."""
        if k + SPARE >= len(self):
            return self._measure(q, self._every.repeat(len(q), 1), k)
        squares, numbers, doubtful = self._by_product(q, k, self._rough)
        if doubtful.any():
            rows = doubtful.nonzero().flatten()
            found = self._by_product(q[rows], k, self._columns)
            squares[rows], numbers[rows], doubtful = found
            for row in rows[doubtful].tolist():
                squares[row], numbers[row] = self._measure(q[row : row + 1], self._every, k)
        return squares, numbers

    def _by_product(self, q: Tensor, k: int, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the same, and in which rows rounding could have hidden a nearer point."""
        extended = torch.cat([-2 * q, q.new_ones((len(q), 1))], dim=1).to(columns.dtype)
        near, candidates = _smallest(extended @ columns, k + SPARE)
        squares, numbers = self._measure(q, candidates, k)
        length = q.square().sum(1)
        beyond = near.amax(1) + length - self._rounding(length, columns)
        return squares, numbers, ~(beyond > squares[:, -1])  # not a number is doubtful too

    def _rounding(self, length: Tensor, columns: Tensor) -> Tensor:
        """Return a bound on the error of the product of queries of a squared length."""
        kind, terms = torch.finfo(columns.dtype), 8 * (len(columns) + 4)
        return terms * (kind.eps * (length + self._farthest) + kind.tiny)

    def _measure(self, q: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Order candidates (B, m) by direct squared distance, then by number; keep k."""
        candidates = candidates.sort(dim=1).values
        points = self._points.index_select(0, candidates.flatten())
        apart = points.view(*candidates.shape, -1) - q.unsqueeze(1)  # (B, m, D)
        squares, order = apart.square().sum(2).sort(dim=1, stable=True)
        return squares[:, :k], candidates.gather(1, order[:, :k])


def _smallest(values: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Return the m smallest values of each row and where they stand, in no order.

    The m smallest lie in the m groups with the smallest minima: two short selections are
    several times as fast as one long one. A group is every so many-th column.
    """
    rows, columns = values.shape
    width = columns // GROUP
    if width < 2 * m:
        place = _select(values, m)
        return values.gather(1, place), place
    grouped = values.view(rows, GROUP, width)
    groups = _select(grouped.amin(1), m)  # (rows, m)
    chosen = grouped.gather(2, groups.unsqueeze(1).expand(-1, GROUP, -1)).flatten(1)
    place = _select(chosen, m)
    return chosen.gather(1, place), groups.gather(1, place % m) + place // m * width


def _select(values: Tensor, m: int) -> Tensor:
    """Return where the m smallest values of each row stand, in no order."""
    columns = values.shape[1]
    if not values.is_cpu or columns >= QUICK * m:
        return values.topk(m, largest=False, sorted=False).indices
    if columns <= FEW and values.dtype == torch.float32:
        return _select_few(values, m)
    return torch.from_numpy(np.argpartition(values.numpy(), m - 1, axis=1)[:, :m])


def _select_few(values: Tensor, m: int) -> Tensor:
    """Return the same for rows of few float32: each carries its place in bits it has spare.

    One plain sort then moves both, and twice as fast as a selection that keeps account of
    places. Infinite values have no bits to spare and become the largest finite ones.
    """
    carrying = np.clip(values.numpy(), -LARGEST, LARGEST).astype(np.float64)
    bits = carrying.view(np.int64)
    bits |= np.arange(values.shape[1])
    carrying.sort(axis=1)
    return torch.from_numpy(bits[:, :m] & FREE)
