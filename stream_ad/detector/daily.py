"""What the hour of the day explains: an offset per sensor, learned from the history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY = 86_400 * 1_000_000_000
BINS = 144  # of a day, ten minutes each
LEAST_DAYS = 3  # with readings: fewer cannot tell a day's course from chance
LEAST_GAIN = 0.05  # share of the variance, out of fold, that an hour has to explain
FOLDS = 5
STEADY = 0.75  # of the held-out stretches have to gain

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DailyCourse:
    """The usual course of the day of each sensor, in scaled units.

    Many machines have one: shifts, sun, load. Without it a quiet night at noon looks
    ordinary. A sensor takes part only if the course of the other days lowers the variance of
    held-out days by 5 % or more, in three of four such stretches at least, over three days
    with readings or more; and by as much as is right on average (a factor from 0 to 1).

    Hours are those of UTC: where clocks change, the course of a plant that lives by local
    time is an hour off for half of the year, until the next training.

    Parameters
    ----------
    course : float32 array (144, C)
        Per ten minutes of the day; 0 for a sensor that takes no part.
    period_ns : int
        Time between two slots of the windows.
    factor : float64 array (C,), optional
        Part of the course that is right, 0 for a sensor that takes no part; only for `again`.

    Examples
    --------
    >>> slot = np.arange(6 * 144)
    >>> x = np.sin(slot / 144 * 2 * np.pi).astype(np.float32).reshape(-1, 16, 1)
    >>> start = slot[::16] * (DAY // 144)
    >>> daily = DailyCourse.fit(x, start, DAY // 144)
    >>> bool(abs(x - daily.at(start, 16)).max() < 0.1)
    True
    """

    course: NDArray[np.float32]
    period_ns: int
    factor: Floats | None = None

    @classmethod
    def fit(
        cls, scaled: NDArray[np.float32], start: NDArray[np.int64], period_ns: int
    ) -> DailyCourse | None:
        """Learn from scaled windows (n, T, C), NaN = missing; None where no day has a course."""
        days, day = np.unique(start // DAY, return_inverse=True)
        if len(days) < LEAST_DAYS or period_ns * scaled.shape[1] > DAY:
            return None
        slots = _bins(start, scaled.shape[1], period_ns)
        # whole days are held out, in as many stretches: what an hour shares with the next one
        # is no course of the day
        factor, gain, steady = _out_of_fold(scaled, slots, day * FOLDS // len(days))
        used = np.where((gain >= LEAST_GAIN) & (steady >= STEADY), factor, 0.0)
        if not used.any():
            return None
        return cls((used * _course(scaled, slots)).astype(np.float32), period_ns, used)

    def again(self, scaled: NDArray[np.float32], start: NDArray[np.int64]) -> DailyCourse:
        """Return the course that other windows show, for the same sensors by the same part."""
        assert self.factor is not None, "of a course that was just fitted"
        slots = _bins(start, scaled.shape[1], self.period_ns)
        course = (self.factor * _course(scaled, slots)).astype(np.float32)
        return DailyCourse(course, self.period_ns, self.factor)

    def at(self, start: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Return the course under windows, float32 (n, T, C)."""
        return self.course[_bins(start, length, self.period_ns)]


def _bins(start: NDArray[np.int64], length: int, period_ns: int) -> NDArray[np.int64]:
    """Return the bin of the day of each slot, (n, T)."""
    time = start[:, None] % DAY + np.arange(length, dtype=np.int64) * period_ns
    return time % DAY * BINS // DAY


def _course(cells: NDArray[np.float32], slots: NDArray[np.int64]) -> Floats:
    """Return the mean per bin and sensor less the mean over all, smoothed over three bins."""
    there = np.isfinite(cells)
    total, count = (
        np.stack(
            [
                np.bincount(slots.ravel(), weights=part[..., c].ravel(), minlength=BINS)
                for c in range(cells.shape[2])
            ],
            axis=1,
        )
        for part in (np.where(there, cells, 0.0), there.astype(np.float64))
    )
    mean = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    total, count = (part + np.roll(part, 1, 0) + np.roll(part, -1, 0) for part in (total, count))
    # one cell more, at the mean: a bin that few days filled is trusted less
    course: Floats = (total - count * mean) / (count + 1)
    return course


def _out_of_fold(
    cells: NDArray[np.float32], slots: NDArray[np.int64], stretch: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """Return the best factor, 0 to 1, its gain, and how steady that is; each (C,).

    The gain is a share of the variance; steady is the share of the stretches in which the
    course of the others explains anything.
    """
    product, square, whole, better = (np.zeros(cells.shape[2]) for _ in range(4))
    count = np.maximum(np.isfinite(cells).sum(axis=(0, 1)), 1)
    mean = np.nansum(cells, axis=(0, 1), dtype=np.float64) / count  # no nanmean: it warns of none
    numbers = np.unique(stretch)
    for fold in numbers:
        held = stretch == fold
        told = _course(cells[~held], slots[~held])[slots[held]]
        x = cells[held] - mean
        there = np.isfinite(x)
        x, told = np.where(there, x, 0.0), np.where(there, told, 0.0)
        alike, size = (x * told).sum(axis=(0, 1)), (told * told).sum(axis=(0, 1))
        product, square, better = product + alike, square + size, better + (2 * alike > size)
        whole += (x * x).sum(axis=(0, 1))
    factor = np.clip(product / np.maximum(square, 1e-12), 0.0, 1.0)
    explained = 2 * factor * product - factor**2 * square
    return factor, explained / np.maximum(whole, 1e-12), better / len(numbers)
