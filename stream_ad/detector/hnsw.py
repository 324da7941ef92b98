"""Approximate search in a graph: hnswlib, whose traps end here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.index import SPARE, ExactIndex, Found
from stream_ad.errors import MissingDependency

STRAYS = 0.01  # share of points that may lie off the graph
FAR = 1e30  # squared lengths, in spreads of the points, that float32 still tells apart


@dataclass(frozen=True, slots=True)
class Effort:
    """How thorough a graph is.

    Parameters
    ----------
    links : int
        Of a point to others, hnswlib's ``M``.
    build : int
        Candidates looked at for them, hnswlib's ``ef_construction``.
    search : int
        Candidates looked at for a query, hnswlib's ``ef``.
    """

    links: int
    build: int
    search: int


class HnswIndex:
    """Search in a navigable graph of points (Malkov and Yashunin 2018), then measured exactly.

    The graph gives a few candidates more than asked for; they are measured in float64 and
    ordered by distance, then number, as `ExactIndex` does, so a distance has the same bits
    in both. One thread, one seed and one shuffled order build the graph: the same points
    give the same graph, and a query the same answer alone and in any batch.

    `look_again` finds the points that a graph cannot reach, a few or a whole far state, and
    has them searched exactly beside it. Queries that float32 cannot hold, or for which the
    graph finds too few candidates, are searched exactly too.

    Works badly on points with many duplicates and where neighbours are much nearer to each
    other than 1e-7 of their spread: measure its recall, as `make_index` does. Builds in
    100 us a point.

    Parameters
    ----------
    exact : ExactIndex
        Over the same points, on the CPU.
    points : float array (N, D)
        N >= 1, finite.
    effort : Effort
    seed : int
        Of order and levels, 0 to 2**32 - 1.

    Raises
    ------
    MissingDependency
        Without the package hnswlib.

    Examples
    --------
    >>> points = np.linspace(0, 99, 100)[:, None]
    >>> index = HnswIndex(ExactIndex(points), points, Effort(16, 100, 32), seed=0)
    >>> index.search(np.array([[7.25]]), k=2)
    (array([[0.25, 0.75]]), array([[7, 8]]))
    """

    name = "hnsw"

    def __init__(self, exact: ExactIndex, points: NDArray[Any], effort: Effort, seed: int) -> None:
        self._exact = exact
        points = np.asarray(points, np.float64)
        self._middle = points.mean(axis=0)
        self._spread = float(np.sqrt(np.square(points - self._middle).mean())) or 1.0
        self._strays = np.empty(0, np.int64)
        self._beside: ExactIndex | None = None
        # points that came one state after the other would leave a graph in pieces
        order = np.random.default_rng(seed).permutation(len(points))
        self._graph = library().Index("l2", points.shape[1])
        self._graph.init_index(
            len(points), M=effort.links, ef_construction=effort.build, random_seed=seed
        )
        self._graph.add_items(self._scaled(points)[order].astype(np.float32), order, num_threads=1)
        self.aim(effort.search)

    def __len__(self) -> int:
        return len(self._exact)

    @property
    def strays(self) -> int:
        """How many points are searched exactly beside the graph."""
        return len(self._strays)

    def aim(self, search: int) -> None:
        """Change how many candidates are looked at for a query."""
        self._graph.set_ef(search)

    def search(self, queries: NDArray[Any], k: int) -> Found:
        """Return distances and numbers of the k nearest points, each (m, min(k, N))."""
        k = min(k, len(self))
        wanted = k + SPARE
        if wanted > len(self) - self.strays:
            return self._exact.search(queries, k)
        queries = np.asarray(queries, np.float64)
        scaled = self._scaled(queries)
        candidates = np.full((len(queries), wanted), -1)
        near = np.square(scaled).sum(axis=1) < FAR  # not a number is not
        candidates[near] = self._candidates(scaled[near].astype(np.float32), wanted)
        if self._beside is not None:
            beside = self._strays[self._beside.search(queries, wanted)[1]]
            candidates = np.concatenate([candidates, beside], axis=1)
        lost = candidates[:, 0] < 0
        if not lost.any():
            return self._exact.nearest_of(queries, candidates, k)
        distances, numbers = self._exact.nearest_of(queries, np.maximum(candidates, 0), k)
        distances[lost], numbers[lost] = self._exact.search(queries[lost], k)
        return distances, numbers

    def look_again(self, points: NDArray[Any]) -> bool:
        """Ask for every point and set aside those not found; False where they are too many.

        Parameters
        ----------
        points : float array (N, D)
            Those of the index.
        """
        every = np.arange(len(points))
        found = self._candidates(self._scaled(points).astype(np.float32), min(SPARE, len(points)))
        strays = np.flatnonzero((found != every[:, None]).all(axis=1))
        if len(strays) > STRAYS * len(points):
            return False
        for number in strays.tolist():
            self._graph.mark_deleted(number)  # no candidate is found twice
        self._strays = strays
        self._beside = ExactIndex(np.asarray(points)[strays]) if len(strays) else None
        return True

    def _scaled(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = (rows - self._middle) / self._spread
        return scaled

    def _candidates(self, rows: NDArray[np.float32], m: int) -> NDArray[np.int64]:
        """Return numbers (n, m) in no order; -1 in rows for which the graph has fewer."""
        if not len(rows):
            return np.empty((0, m), np.int64)
        try:
            numbers, _ = self._graph.knn_query(rows, k=m, num_threads=1)
        except RuntimeError:  # does not say which row it was
            if len(rows) == 1:
                return np.full((1, m), -1)
            halves = np.array_split(rows, 2)
            return np.concatenate([self._candidates(half, m) for half in halves])
        return np.asarray(numbers, np.int64)


def library() -> Any:
    """Import hnswlib, which compiles when it is installed and so may be absent.

    Raises
    ------
    MissingDependency
    """
    try:
        import hnswlib
    except ImportError as cause:
        raise MissingDependency(
            "detector.index = 'hnsw' needs the package hnswlib, which needs a C++ compiler: "
            'pip install "stream-ad[hnsw]", or choose detector.index: exact and train again'
        ) from cause
    return hnswlib
