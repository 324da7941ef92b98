"""The ceilings: the plainest loop that gives like scores, and the same with files.

What one would write in an afternoon for one detector, one file and no machine that ever
stops: no states, no grid, no alarm line, no incidents, no checkpoint, no doubtful input.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_ad.detector import Detector
from tests.benchmarks.generated import Plant

K = 10
BLOCKS = 64, 128, 256, 512, 1024
Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]
Found = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


class Bare:
    """Forward pass and search of a detector's own weights and bank, in float32.

    Where the detector searches with hnsw, hnswlib as it comes is tried beside exact search, with
    as many links and candidates: those that a recall of 98 % needs, also far from the bank.
    Of a scorer other than ``ares`` it gives the mean distance to the neighbours: less work than
    any such scorer has, so that no speed is easier to reach for it.

    Parameters
    ----------
    detector : Detector
    scaled : float32 array (n, T, C)
        Windows to choose the fastest search and block size with.
    """

    def __init__(self, detector: Detector, scaled: NDArray[np.float32]) -> None:
        parts = detector._fitted()
        self.scaler, self._model, scorer = parts.scaler, parts.model, parts.scorer
        self._bank = torch.from_numpy(scorer.bank.z)
        self._squares = self._bank.square().sum(1)
        self._columns = self._bank.T.contiguous()
        self._bank_error, self._alpha = scorer.bank.error, scorer.alpha
        self._by_equation = detector.scorer == "ares"
        self.search: Search
        self.searches: tuple[Search, ...] = (self._by_distance, self._by_product)
        if scorer.index.name == "hnsw":
            self._graph = _graph(scorer.bank.z, detector.card["index_check"])
            self.searches += (self._by_hnsw,)
        tried = [(self._seconds(scaled, s, b), s, b) for s in self.searches for b in BLOCKS]
        _, self.search, self.block = min(tried, key=lambda row: row[0])
        if self._by_equation:
            distance, near = self._bank_neighbours()
            self._reach = distance[:, -1]
            self._density = self._densities(distance, near)

    def found(self, scaled: NDArray[np.float32]) -> Found:
        """Return errors (n,), distances (n, K) and numbers of the nearest (n, K)."""
        n = len(scaled)
        error, distance = np.empty(n), np.empty((n, K))
        near = np.empty((n, K), np.int64)
        with torch.inference_mode():
            for first in range(0, n, self.block):
                rows = slice(first, first + self.block)
                out = self._model(torch.from_numpy(scaled[rows]))
                d, i = self.search(out.z, K)
                error[rows], distance[rows], near[rows] = out.error, d, i
        return error, distance, near

    def scores(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the ARES scores, or mean distances, (n,): the first ceiling."""
        error, distance, near = self.found(scaled)
        if not self._by_equation:
            mean: NDArray[np.float64] = distance.mean(axis=1)
            return mean
        rebuilt = error - np.median(self._bank_error[near], axis=1)
        lonely = self._density[near].mean(axis=1) / self._densities(distance, near)
        raw: NDArray[np.float64] = rebuilt + self._alpha * lonely
        return raw

    def replay(self, path: Path, out: Path, plant: Plant) -> int:
        """Read a recording, write its scores, return how many: the second ceiling."""
        table = arrow_csv.read_csv(path)
        values = np.empty((table.num_rows, plant.sensors), np.float32)
        for c in range(plant.sensors):
            values[:, c] = table.column(f"s{c}").to_numpy()
        # rows take turns between the machines: (windows, T, M, C) -> (windows * M, T, C)
        turns = values.reshape(-1, plant.length, plant.machines, plant.sensors)
        windows = turns.transpose(0, 2, 1, 3).reshape(-1, plant.length, plant.sensors)
        scores = self.scores(self.scaler.scale(windows))
        first = np.arange(table.num_rows).reshape(-1, plant.length, plant.machines)[:, 0].ravel()
        named = table.select(["machine_id", "time"]).take(pa.array(first))
        arrow_csv.write_csv(named.append_column("score", pa.array(scores)), out)
        return len(scores)

    def _by_distance(self, z: Tensor, k: int) -> tuple[Tensor, Tensor]:
        distance, near = torch.cdist(z, self._bank).topk(k, largest=False)
        return distance, near

    def _by_product(self, z: Tensor, k: int) -> tuple[Tensor, Tensor]:
        rough = torch.addmm(self._squares, z, self._columns, alpha=-2)
        square, near = rough.topk(k, largest=False)
        return (square + z.square().sum(1, keepdim=True)).clamp_(min=0).sqrt_(), near

    def _by_hnsw(self, z: Tensor, k: int) -> tuple[Tensor, Tensor]:
        near, square = self._graph.knn_query(z.numpy(), k=k, num_threads=1)
        return torch.from_numpy(square).sqrt_(), torch.from_numpy(near.astype(np.int64))

    def _seconds(self, scaled: NDArray[np.float32], search: Search, block: int) -> float:
        self.search, self.block = search, block
        seconds = []
        for _ in range(4):
            began = time.perf_counter()
            self.found(scaled)
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    def _bank_neighbours(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        near = torch.cat([self.search(z, K + 1)[1] for z in torch.split(self._bank, 1024)]).numpy()
        own = near == np.arange(len(near))[:, None]
        own[~own.any(axis=1), -1] = True
        near = near[~own].reshape(-1, K)
        bank = self._bank.double().numpy()
        return np.linalg.norm(bank[near] - bank[:, None], axis=2), near

    def _densities(
        self, distance: NDArray[np.float64], near: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        density: NDArray[np.float64] = 1 / np.maximum(distance, self._reach[near]).mean(axis=1)
        return density


def _graph(points: NDArray[np.float32], effort: dict[str, Any]) -> Any:
    import hnswlib

    graph = hnswlib.Index("l2", points.shape[1])
    graph.init_index(len(points), M=effort["links"], ef_construction=effort["build"])
    graph.add_items(points, num_threads=1)
    graph.set_ef(effort["candidates"])
    return graph
