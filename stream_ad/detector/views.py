"""Plain statistics of a window that say what a reconstruction may miss."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stream_ad.detector.blocks import BLOCK, blocks, one_thread
from stream_ad.detector.coreset import thin
from stream_ad.detector.index import ExactIndex

VIEWS = ("level", "prediction", "dispersion")
SHORTEST = 4  # slots of a window below which it has no halves to compare
SHRINK = 0.1  # of correlations towards none: histories are short
FLOOR = 1e-4  # variance in scaled units below which a sensor stands still
FIFTHS, WALK = 5, 5.0  # of a history; as far as its mean walks over all of them it may walk again
RIDGE = 0.1  # of the mean variance of what is predicted from
QUIET = 0.1  # added to a standard deviation before its logarithm: finite when all stands still
LEVELS = 100  # of the history that are compared with: among more, a drift looks odder than it is
DISPERSIONS = 1_000  # likewise; these do not drift
NEAREST = 3  # of them; a kind of normal may have few windows
LANES = 16  # numbers that processors take at once; see `Plane`

Floats = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plane:
    """A linear map ``(x - centre) @ matrix`` that gives the same bits for any batching.

    The matrix is padded with zeros up to whole lanes of a processor: a product of few columns
    adds in another order in the last rows of a block than in the others.
    """

    centre: Tensor  # (I,)
    matrix: Tensor  # (I, O) padded

    @classmethod
    def of(cls, centre: Floats, matrix: Floats, device: torch.device) -> Plane:
        """Put the two on a device."""
        wide = np.pad(matrix, [(0, -side % LANES) for side in matrix.shape])
        return cls(torch.tensor(centre, device=device), torch.tensor(wide, device=device))

    def __call__(self, x: Tensor, width: int) -> Tensor:
        """Map rows (B, I) to (B, width); what is NaN lies at the centre."""
        spare = len(self.matrix) - x.shape[1]
        apart = _known(x - self.centre, x)
        mapped: Tensor = nn.functional.pad(apart, (0, spare)) @ self.matrix
        return mapped[:, :width]


class Compared:
    """Rows of a history that others are compared with: the nearest of them, in a metric.

    Parameters
    ----------
    rows : float64 array (m, C)
    metric : Plane
        What rows pass through before their distances are taken.
    """

    def __init__(self, rows: Floats, metric: Plane, device: torch.device) -> None:
        # torch's own memory: a matrix product may add in another order at another alignment
        self._rows = torch.tensor(rows, device=device)
        self._metric = metric
        self._index = ExactIndex(metric(self._rows, rows.shape[1]).cpu().numpy(), device)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean distances (B,) to the nearest rows, and the means of those, (B, C)."""
        placed = self._metric(x, x.shape[1]).cpu().numpy()
        distances, numbers = self._index.search(placed, NEAREST)
        near = torch.from_numpy(numbers).to(x.device)
        amount = torch.from_numpy(distances).to(x.device).mean(1)
        return amount, self._rows[near].mean(1)


@dataclass(frozen=True, slots=True)
class Views:
    """How far level, course and liveliness of a window lie from those of the history.

    Of a scaled window, a missing cell taken as its sensor's mean over the others:

    - *level*: the mean of the later half of its slots. Its mean distance to the 3 nearest
      of the history, in the metric of Mahalanobis: what moves together in the history is
      odd where it moves apart. The covariance is widened by the walk of the level over the
      fifths of the history, since what walked there may walk on;
    - *prediction*: the mean of the last eighth of the slots as a ridge regression foretells it
      from those before (last, second-last, mean of a quarter and of a half): the largest
      residual of a sensor, in its standard deviations;
    - *dispersion*: the logarithms of the sensors' standard deviations. Their mean distance to
      the 3 nearest of the history.

    Neighbours, and not one middle: a machine has several kinds of normal, and what lies
    between them is none. The covariance is shrunk by a tenth towards no correlation. Of a
    longer history 100 levels and 1,000 dispersions are compared with.

    A sensor without any cell takes the mean of the history in all of them, one with a single
    cell in its dispersion: ordinary, unless it switches between levels far apart. Windows of
    fewer than four slots have a level only.

    Parameters
    ----------
    level_centre, level_spread : float64 array (C,)
    level_white : float64 array (C, C)
        ``white @ white.T`` is the inverse covariance.
    level_rows : float64 array (m, C)
        Levels of the history.
    ahead_centre : float64 array (4 C,), or (0,) for windows too short
    ahead_matrix : float64 array (4 C, C), or (0, C)
    ahead_middle, ahead_spread : float64 array (C,)
        Mean of what is foretold; standard deviation of the residual.
    lively_centre, lively_spread : float64 array (C,)
    lively_rows : float64 array (l, C)
        Log dispersions of the history.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 8, 2)).astype(np.float32)
    >>> views = Views.fit(x)
    >>> high = np.zeros((1, 8, 2), np.float32) + 9
    >>> amounts, sensors = views(high)
    >>> amounts.shape, sensors.shape, bool((amounts[0, :1] > views(x)[0][:, 0].max()).all())
    ((1, 3), (1, 3, 2), True)
    """

    lines: ClassVar[tuple[str, ...]] = VIEWS

    level_centre: Floats
    level_spread: Floats
    level_white: Floats
    level_rows: Floats
    ahead_centre: Floats
    ahead_matrix: Floats
    ahead_middle: Floats
    ahead_spread: Floats
    lively_centre: Floats
    lively_spread: Floats
    lively_rows: Floats
    _viewers: dict[torch.device, Viewer] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the arrays."""
        return tuple(part.name for part in fields(cls) if part.init)

    def expected(self, length: int, sensors: int) -> dict[str, tuple[Shape, Shape]]:
        """Return the shape of each array and the one wanted for windows (length, sensors)."""
        course = 4 * sensors if length >= SHORTEST else 0
        wanted = {"ahead_centre": (course,), "ahead_matrix": (course, sensors)}
        wanted |= {"level_white": (sensors, sensors)}
        wanted |= {
            rows: (len(getattr(self, rows)), sensors) for rows in ("level_rows", "lively_rows")
        }
        return {
            f"views.{name}": (getattr(self, name).shape, wanted.get(name, (sensors,)))
            for name in self.names()
        }

    @classmethod
    def fit(
        cls,
        x: NDArray[np.float32],
        seed: int = 0,  # noqa: ARG003 - draws nothing
        sure: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Learn from scaled windows (n, T, C), n >= 2; NaN = missing.

        Of those that are ``sure`` (n,), since somebody has called them normal, some are always
        among the rows that others are compared with.
        """
        parts = [_summaries(torch.from_numpy(x[i : i + BLOCK])) for i in range(0, len(x), BLOCK)]
        level, ending, before, lively = (
            _filled(torch.cat(part).numpy()) for part in zip(*parts, strict=True)
        )
        centre, middle = before.mean(axis=0), ending.mean(axis=0)
        apart = before - centre
        square = apart.T @ apart / len(x)
        mean_variance = float(np.trace(square)) / max(len(square), 1)
        square += np.eye(len(square)) * RIDGE * max(mean_variance, FLOOR)
        matrix = np.linalg.solve(square, apart.T @ (ending - middle) / len(x))
        residual = ending - middle - apart @ matrix
        level_white = _white(level)
        return cls(
            *_spread(level),
            level_white,
            level[thin((level @ level_white).astype(np.float32), LEVELS, sure)],
            centre,
            matrix,
            middle + residual.mean(axis=0),
            np.sqrt(residual.var(axis=0) + FLOOR),
            *_spread(lively),
            lively[thin(lively.astype(np.float32), DISPERSIONS, sure)],
        )

    def __call__(self, x: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Return how far each view of windows lies off, and each sensor's part in it.

        Parameters
        ----------
        x : float32 array (n, T, C)

        Returns
        -------
        float64 array (n, 3), at least 0
        float64 array (n, 3, C), at least 0
            Squared deviations in the sensor's own standard deviations: of level and
            dispersion from the mean of the nearest ones, of what came from what was foretold.
        """
        view = self.on(torch.device("cpu"))
        n, _, sensors = x.shape
        amounts, parts = np.empty((n, len(VIEWS))), np.empty((n, len(VIEWS), sensors))
        with one_thread(), torch.inference_mode():
            for rows, block in blocks(x):
                whole, each = view(torch.from_numpy(block))
                used = rows.stop - rows.start
                amounts[rows], parts[rows] = whole[:used].numpy(), each[:used].numpy()
        return amounts, parts

    def on(self, device: torch.device) -> Viewer:
        """Return what computes the views of blocks on a device."""
        if device not in self._viewers:
            self._viewers[device] = Viewer(self, device)
        return self._viewers[device]


class Viewer:
    """The views of blocks of scaled windows on one device; see `Views`."""

    def __init__(self, views: Views, device: torch.device) -> None:
        own = np.eye(len(views.lively_centre))
        with one_thread(), torch.inference_mode():
            white = Plane.of(views.level_centre, views.level_white, device)
            self._level = Compared(views.level_rows, white, device)
            plain = Plane.of(views.lively_centre, own, device)
            self._lively = Compared(views.lively_rows, plain, device)
        self._ahead = Plane.of(views.ahead_centre, views.ahead_matrix, device)
        self._middle, self._off, self._calm, self._alive = (
            torch.from_numpy(part).to(device)
            for part in (
                views.ahead_middle,
                views.ahead_spread,
                views.level_spread,
                views.lively_spread,
            )
        )

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return amounts (B, 3) and the sensors' parts (B, 3, C) of a block (B, T, C)."""
        level, ending, before, lively = _summaries(x)
        sensors = level.shape[1]
        foretold = self._middle + self._ahead(before, sensors)
        residual = _known((ending - foretold) / self._off, ending)
        off, usual = self._level(level)
        odd, busy = self._lively(lively)
        steady = _known((level - usual) / self._calm, level)
        alive = _known((lively - busy) / self._alive, lively)
        parts = torch.stack([steady, residual, alive], 1).square()
        whole = torch.stack([off, residual.abs().amax(1), odd], 1)
        if x.shape[1] < SHORTEST:
            whole[:, 1:], parts[:, 1:] = 0, 0
        return whole, parts


def _summaries(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return level and ending (B, C), course before it (B, 4 C), log dispersion (B, C), float64.

    NaN where a sensor has no cell; of the dispersion also where it has only one.
    """
    x = x.double()
    seen = x.isfinite()
    count = seen.sum(1)
    mean = x.nan_to_num().sum(1) / count
    # a gap is neither a step nor a lull: it takes the mean of what its sensor shows around it
    x = torch.where(seen, x, mean.unsqueeze(1))
    slots = x.shape[1]
    end = max(slots // 8, 1)
    before = x[:, : max(slots - end, 1)]
    quarter, half = before[:, -max(slots // 4, 1) :], before[:, -max(slots // 2, 1) :]
    course = [before[:, -1], before[:, -2:][:, 0], quarter.mean(1), half.mean(1)]
    spread = ((x - mean.unsqueeze(1)).square().sum(1) / count).sqrt()
    lively = (spread + QUIET).log().masked_fill(count < 2, torch.nan)
    told = torch.cat(course, 1) if slots >= SHORTEST else x.new_zeros(len(x), 0)
    return x[:, slots // 2 :].mean(1), x[:, -end:].mean(1), told, lively


def _known(apart: Tensor, x: Tensor) -> Tensor:
    """Return how far x lies off, 0 where it is NaN."""
    return torch.where(x.isnan(), 0.0, apart)


def _filled(rows: Floats) -> Floats:
    """Put the mean of its column in the place of each NaN; 0 in a column of nothing else."""
    there = np.isfinite(rows)
    mean = np.where(there, rows, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, rows, mean)


def _walk(rows: Floats) -> Floats:
    """Return how far the mean of rows in time order walks from a fifth to the next, (C, C)."""
    fifths = np.array([part.mean(axis=0) for part in np.array_split(rows, FIFTHS)[: len(rows)]])
    steps = np.diff(fifths, axis=0)
    walk: Floats = steps.T @ steps / max(len(steps), 1)
    return walk


def _spread(rows: Floats) -> tuple[Floats, Floats]:
    """Return centre and standard deviation per column."""
    return rows.mean(axis=0), np.sqrt(rows.var(axis=0) + FLOOR)


def _white(rows: Floats) -> Floats:
    """Return a matrix (C, C) that whitens rows, and what walks as they do."""
    apart = rows - rows.mean(axis=0)
    covariance = apart.T @ apart / len(rows)
    own = np.diag(covariance)
    regular = (1 - SHRINK) * covariance + SHRINK * np.diag(own + 1e-3 * own.mean())
    regular += FLOOR * np.eye(len(own)) + WALK * _walk(rows)
    values, vectors = np.linalg.eigh(regular)
    white: Floats = vectors / np.sqrt(values)
    return white
