"""What the slot of a window explains: where each window is a cycle of the machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_SHARE = 0.5  # of a sensor's variance that its mean course has to explain
FLOOR = 0.1  # of a sensor's mean variance around its course: no slot counts as quieter than that

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cycle:
    """The usual course of a cycle of each sensor, and how far it strays from it slot by slot.

    Where a window holds one cycle of a machine (a press stroke, a batch, a load cycle), a
    sensor runs through a course of its own, and strays far where a valve opens and hardly
    anywhere else. Without this the swing of the course is what counts as ordinary size. A
    sensor takes part whose mean course over the slots explains half of its variance or more;
    in rolling windows none does, since a slot is then no place in a cycle.

    ``gain * x + shift`` puts the mean of each slot at 0, where a missing cell is taken to lie,
    with nearly the same spread in all slots, as large as the mean one.

    Works badly where a cycle seldom starts at the start of its window: the course is blurred.

    Parameters
    ----------
    gain, shift : float32 array (T, C)
        1 and 0 for a sensor that takes no part.

    Examples
    --------
    >>> stroke = np.array([0, 8, 4, 0], np.float32)
    >>> x = np.stack([stroke - 1, stroke + 1])[:, :, None]
    >>> cycle = Cycle.fit(x)
    >>> cycle.off(x.copy())[:, :, 0].round(2)
    array([[-0.95, -0.95, -0.95, -0.95],
           [ 0.95,  0.95,  0.95,  0.95]], dtype=float32)
    >>> bool(np.allclose(cycle.on(cycle.off(x.copy())), x, atol=1e-5))
    True
    """

    gain: NDArray[np.float32]
    shift: NDArray[np.float32]

    @classmethod
    def fit(cls, scaled: NDArray[np.float32]) -> Cycle | None:
        """Learn from scaled windows (n, T, C), NaN = missing; None where there is no course."""
        course, stray = _moments(scaled)
        around, swing = stray.mean(axis=0), course.var(axis=0)
        part = swing > LEAST_SHARE * (swing + around)
        if not part.any():
            return None
        wide = stray + FLOOR * around
        # a sensor that never strays from its course keeps its unit
        gain = np.sqrt(np.divide(around, wide, out=np.ones_like(wide), where=wide > 0))
        return cls(
            np.where(part, gain, 1.0).astype(np.float32),
            np.where(part, -gain * course, 0.0).astype(np.float32),
        )

    def off(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the course off windows (n, T, C), in place; return them."""
        scaled *= self.gain
        scaled += self.shift
        return scaled

    def on(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return windows (n, T, C) with their course again."""
        return (level - self.shift) / self.gain


def _moments(cells: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return mean and variance of each slot and sensor over the windows, 0 where never seen."""
    there = np.isfinite(cells)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, cells, 0.0).sum(axis=0, dtype=np.float64) / count
    apart = np.where(there, cells - mean, 0.0)
    variance: Floats = np.square(apart).sum(axis=0) / count
    return mean, variance
