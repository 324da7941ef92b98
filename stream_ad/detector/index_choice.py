"""Which index a bank gets, and whether it may be trusted: measured against exact search."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.detector.hnsw import Effort, HnswIndex, library
from stream_ad.detector.index import SPARE, ExactIndex, Index
from stream_ad.errors import MissingDependency

LARGE = 10_000  # points up to which exact search takes no longer than the graph
RECALL = 0.98
ASKED = 256  # points asked for, and as many queries near to points and far from them
GRAPHS = (16, 100), (32, 200)  # links of a point, candidates for them
EFFORTS = 2, 4, 8, 16  # candidates of a query, in multiples of those it returns

Checked = dict[str, Any]


def check_index(kind: str) -> None:
    """Raise `MissingDependency` for an index asked for by name that cannot be built here."""
    if kind == "hnsw":
        library()


def make_index(
    kind: str, points: NDArray[Any], device: torch.device, *, k: int, seed: int
) -> tuple[Index, Checked]:
    """Build an index and measure what it finds.

    ``auto`` is exact search up to 10,000 points, on a GPU and without hnswlib, else the
    graph. A graph is asked for points of its own, for others near them, as far as their
    k-th neighbour, and for others far off, by the spread of all. Of none of the three may
    it find less than 98 % of what exact search finds: candidates, then links, are raised
    until it holds; where it never does, or more than 1 % of the points cannot be reached,
    exact search takes over.

    Takes 0.2 ms a point at 100,000 points, three times that when links have to be raised.

    Parameters
    ----------
    kind : str
        ``exact``, ``hnsw`` or ``auto``.
    points : float array (N, D)
        N >= 1, finite.
    device : torch.device
        Where to search exactly; the graph is always on the CPU.
    k : int
        Neighbours that will be asked for.
    seed : int
        Of the graph and of the queries that test it.

    Returns
    -------
    Index
    dict
        For the card: ``why``; of a graph that was tried ``recall``, ``links``, ``build`` and
        ``candidates``; of one that scores ``beside``, the points searched exactly beside it.

    Raises
    ------
    MissingDependency
        For ``hnsw`` without the package hnswlib.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> points, cpu = rng.normal(size=(300, 4)), torch.device("cpu")
    >>> index, checked = make_index("auto", points, cpu, k=10, seed=0)
    >>> index.name, checked
    ('exact', {'why': '300 latents; hnsw is for more than 10,000'})
    >>> index, checked = make_index("hnsw", points, cpu, k=10, seed=0)
    >>> index.name, checked["recall"] >= 0.98
    ('hnsw', True)
    """
    why = _why_exact(kind, len(points), device)
    if why:
        return ExactIndex(points, device), {"why": why}
    exact = ExactIndex(points)
    index, checked = _graph(exact, points, k, seed)
    if index is not None:
        return index, checked
    return ExactIndex(points, device), checked


def _why_exact(kind: str, n: int, device: torch.device) -> str:
    """Return why search is exact from the start; nothing where a graph is wanted."""
    if kind == "exact":
        return "asked for"
    if kind == "hnsw":
        return ""
    if n <= LARGE:
        return f"{n:,} latents; hnsw is for more than {LARGE:,}"
    if device.type != "cpu":
        return f"on {device.type} exact search is quick"
    try:
        library()
    except MissingDependency:
        return f"{n:,} latents; hnsw would be quicker, but hnswlib is not installed"
    return ""


def _graph(
    exact: ExactIndex, points: NDArray[Any], k: int, seed: int
) -> tuple[HnswIndex | None, Checked]:
    """Return the cheapest graph that finds enough, if there is one, and what was measured."""
    asked = _asked(exact, points, k, seed)
    checked: Checked = {}
    for links, build in GRAPHS:
        index = HnswIndex(exact, points, Effort(links, build, EFFORTS[0]), seed)
        for times in EFFORTS:
            candidates = times * (k + SPARE)
            index.aim(candidates)
            recall = min(_recall(index, queries, limit, k) for queries, limit in asked)
            measured = {"recall": recall, "links": links, "build": build, "candidates": candidates}
            checked = max(checked, measured, key=lambda one: one.get("recall", 0.0))
            if recall >= RECALL and index.look_again(points):
                recall = min(_recall(index, queries, limit, k) for queries, limit in asked)
                why = f"finds at least {RECALL:.0%} of the neighbours"
                return index, measured | {"recall": recall, "beside": index.strays, "why": why}
    short = checked.get("recall", 0.0) < RECALL
    why = f"finds less than {RECALL:.0%} of the neighbours" if short else "cannot reach all latents"
    return None, checked | {"why": f"hnsw {why}"}


def _asked(
    exact: ExactIndex, points: NDArray[Any], k: int, seed: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return queries, each kind (n, D) with how far off its k-th neighbours are, (n, 1)."""
    rng = np.random.default_rng(seed)
    n, dimensions = points.shape
    some = np.asarray(points[rng.permutation(n)[:ASKED]], np.float64)
    reach = exact.search(some, k)[0][:, -1:] / np.sqrt(dimensions)
    steps = 0.0, reach, np.asarray(points, np.float64).std(axis=0)
    kinds = [some + step * rng.standard_normal(some.shape) for step in steps]
    return [(queries, exact.search(queries, k)[0][:, -1:]) for queries in kinds]


def _recall(
    index: Index, queries: NDArray[np.float64], limit: NDArray[np.float64], k: int
) -> float:
    """Return the share of found points that lie no farther than the true k-th neighbour."""
    return float((index.search(queries, k)[0] <= limit).mean())
