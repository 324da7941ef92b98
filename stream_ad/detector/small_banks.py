"""Distances to many small banks of rows: evidence that a few anomalies in a history spoil little.

Many banks, each so small that most hold none of the rare anomalies of a history, together
tell a row that lies far from the rest even where its like was learned from; one large bank
would find it that like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_ad.detector.blocks import blocks, one_thread
from stream_ad.detector.scaling import KNEE

LINES = ("scaled", "ranges")  # what the differences of a line's banks are taken in
SIZES = (16, 32, 64, 128, 256, 512)  # rows of a bank, in turn
BANKS = 96  # of each line; beyond, ranks move by less than between two seeds
UPPER = 0.2  # share of a line's banks that are heard: those in which a row lies farthest off
LEAST, PART = 8, 8  # a bank holds at most an eighth of the rows, or eight: else all are alike
SENSORS = (0.3, 0.8)  # share of them that a bank looks at
POOL = 2_500  # rows that banks are drawn from: bounds time and memory
NEAR = 0.01  # of the usual distance: anything closer is as good as equal

HEARD = round(UPPER * BANKS)

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SmallBanks:
    """How far a row lies from the nearest of a few rows of the history, over many draws.

    Each bank is a random draw of 16 to 512 rows and of 30 to 80 % of the sensors (Lazarevic &
    Kumar 2005: where few sensors tell, distances over all of them hide it). Its distance is the
    sum of absolute differences, and what it says is ``log(distance to the nearest row / usual
    distance + 0.01)`` (of banks of few rows: Sugiyama & Borgwardt 2013).

    A line is the mean over the fifth of its banks that say the most. A bank that drew an anomaly
    vouches for all of its kind; where one row in a hundred is one, most banks of 64 rows hold
    none, and these are the banks that are heard. A mean over all banks listens to those that are
    spoiled as much. Of normal rows all banks say about the same, so little is lost by it.

    - *scaled*: differences of the scaled values: the middle half of a sensor's values is its
      unit, and one wild value in the history changes nothing;
    - *ranges*: differences in shares of each sensor's range: the longer the tail that a sensor
      had in the history, the less it counts.

    A missing value is taken as the median of its sensor.

    Works badly where anomalies are as frequent as the rarest kind of normal: no distance
    tells the two apart.

    Parameters
    ----------
    rows : float32 array (R, C)
        Scaled rows that the banks are made of, R at most 2,500; no NaN.
    members : int64 array (B, M)
        Which rows each bank holds, then -1.
    weights : float32 array (B, C)
        What a bank multiplies each sensor's difference by; 0 where it does not look.
    usual : float64 array (B,)
        Median distance of the other rows, above 0.
    line : int64 array (B,)
        Place in ``LINES``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 1, 3)).astype(np.float32)
    >>> banks = SmallBanks.fit(x, seed=0)
    >>> amounts, sensors = banks(np.array([[[0, 0, 0]], [[0, 9, 0]]], np.float32))
    >>> amounts.shape, bool((amounts[1] > amounts[0]).all())
    ((2, 2), True)
    >>> sensors.shape, sensors[1].argmax(axis=1)
    ((2, 2, 3), array([1, 1]))
    """

    lines: ClassVar[tuple[str, ...]] = LINES

    rows: Floats32
    members: Ints
    weights: Floats32
    usual: Floats
    line: Ints
    _viewers: dict[torch.device, BanksViewer] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the arrays."""
        return tuple(part.name for part in fields(cls) if part.init)

    def expected(self, length: int, sensors: int) -> dict[str, tuple[Shape, Shape]]:
        """Return the shape of each array and the one wanted for windows (length, sensors)."""
        banks, cells = len(self.line), length * sensors
        wanted = {
            "rows": (len(self.rows), cells),
            "members": (banks, *self.members.shape[1:]),
            "weights": (banks, cells),
        }
        return {
            f"views.{name}": (getattr(self, name).shape, wanted.get(name, (banks,)))
            for name in self.names()
        }

    @classmethod
    def fit(cls, x: Floats32, seed: int, sure: NDArray[np.bool_] | None = None) -> Self:  # noqa: ARG003
        """Draw banks from scaled windows of one slot (n, 1, C), n >= 2; NaN = missing.

        Those that are ``sure`` (n,) are drawn like any other: banks are small, and many.
        """
        rng = np.random.default_rng(seed)
        rows = np.nan_to_num(x.reshape(len(x), -1))
        rows = rows[np.sort(rng.permutation(len(rows))[:POOL])]
        sizes = [SIZES[bank % len(SIZES)] for bank in range(BANKS)] * len(LINES)
        drawn = [_drawn(rng, rows, size) for size in sizes]
        width = max(len(chosen) for chosen, _ in drawn)
        members = np.array([np.pad(c, (0, width - len(c)), constant_values=-1) for c, _ in drawn])
        line = np.repeat(np.arange(len(LINES)), BANKS)
        weights = np.array([looks for _, looks in drawn]) * _weights(rows)[line]
        banks = cls(rows, members, weights.astype(np.float32), np.ones(len(drawn)), line)
        return replace(banks, usual=np.array([*banks._usual()]))

    def __call__(self, x: Floats32) -> tuple[Floats, Floats]:
        """Return how far each line sees windows lie, and each sensor's part in it.

        Parameters
        ----------
        x : float32 array (n, 1, C)

        Returns
        -------
        float64 array (n, 2)
            At least ``log(0.01)``; about 0 is usual.
        float64 array (n, 2, C), at least 0
            Mean over the banks of the difference to the nearest row, in usual distances.
        """
        view, n = self.on(torch.device("cpu")), len(x)
        amounts, parts = np.empty((n, len(LINES))), np.empty((n, len(LINES), x.shape[2]))
        with one_thread(), torch.inference_mode():
            for rows, block in blocks(x):
                whole, each = view(torch.tensor(block))
                used = rows.stop - rows.start
                amounts[rows], parts[rows] = whole[:used].numpy(), each[:used].numpy()
        return amounts, parts

    def on(self, device: torch.device) -> BanksViewer:
        """Return what looks at blocks on a device."""
        if device not in self._viewers:
            self._viewers[device] = BanksViewer(self, device)
        return self._viewers[device]

    def _usual(self) -> Iterator[float]:
        """Return what each bank sees of the rows that it does not hold, half of them nearer."""
        viewer = BanksViewer(self, torch.device("cpu"))
        with one_thread(), torch.inference_mode():
            for bank, distances in enumerate(viewer.distances(torch.tensor(self.rows))):
                others = np.delete(distances.numpy(), self.members[bank][self.members[bank] >= 0])
                yield float(np.median(others)) or float(others.mean()) or 1.0


class BanksViewer:
    """What the banks say of blocks of scaled windows on one device; see `SmallBanks`."""

    def __init__(self, banks: SmallBanks, device: torch.device) -> None:
        # torch's own memory throughout: one alignment whatever the arrays came from
        self._looks = [torch.tensor(np.flatnonzero(w), device=device) for w in banks.weights]
        self._weights = [torch.tensor(w[w > 0], device=device) for w in banks.weights]
        spaces = _spaces(torch.tensor(banks.rows, device=device))
        self._lines = banks.line.tolist()
        self._usual = banks.usual.tolist()
        self._banks = [
            self._seen(spaces, bank)[torch.tensor(held[held >= 0], device=device)]
            for bank, held in enumerate(banks.members)
        ]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return amounts (B, 2) and the sensors' parts (B, 2, C) of a block (B, 1, C)."""
        flat = x.flatten(1).nan_to_num()
        spaces = _spaces(flat)
        said = flat.new_zeros(len(self._banks), len(flat), dtype=torch.float64)
        parts = flat.new_zeros(len(LINES), *flat.shape, dtype=torch.float64)
        for bank, (line, usual) in enumerate(zip(self._lines, self._usual, strict=True)):
            seen = self._seen(spaces, bank)
            distance, nearest = torch.cdist(seen, self._banks[bank], p=1).min(1)
            said[bank] = (distance.double() / usual + NEAR).log()
            apart = (seen - self._banks[bank][nearest]).abs().double() / usual
            parts[line][:, self._looks[bank]] += apart
        heard = said.reshape(len(LINES), BANKS, len(flat)).topk(HEARD, dim=1).values
        return heard.mean(1).T, parts.transpose(0, 1) / BANKS

    def distances(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the distances (n,) of scaled rows (n, C) to each bank."""
        spaces = _spaces(rows)
        for bank, held in enumerate(self._banks):
            yield torch.cdist(self._seen(spaces, bank), held, p=1).amin(1)

    def _seen(self, spaces: tuple[Tensor, Tensor], bank: int) -> Tensor:
        """Return what a bank sees of rows."""
        return spaces[self._lines[bank]][:, self._looks[bank]] * self._weights[bank]


def _spaces(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return scaled rows (n, C) as they are, and as they were before the squash."""
    return rows, KNEE * (rows / KNEE).sinh()


def _weights(rows: Floats32) -> Floats:
    """Return what differences are multiplied by in each of the lines, (2, C).

    A sensor that stands still keeps the unit of the scaler, in which its moves show.
    """
    ranges = np.ptp(_spaces(torch.tensor(rows))[1].double().numpy(), axis=0)
    return np.array([np.ones(rows.shape[1]), 1 / np.where(ranges > 0, ranges, 1.0)])


def _drawn(rng: np.random.Generator, rows: Floats32, size: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Draw which rows a bank holds and which sensors it looks at."""
    n, sensors = rows.shape
    size = min(size, max(LEAST, n // PART), n - 1)
    looked_at = max(1, round(rng.uniform(*SENSORS) * sensors))
    looks = np.zeros(sensors, bool)
    looks[rng.choice(sensors, looked_at, replace=False)] = True
    return rng.choice(n, size, replace=False), looks
