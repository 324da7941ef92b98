"""Noise on windows of any kind, rows of tables too: several sensors go wrong at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.synthetic.cells import Bools, Values, known, medians, usable

SUBSET = 0.3  # share of the sensors that `subset_noise` takes
CANDIDATES, NEAREST = 256, 5  # windows that SMOTE looks at, and of which it takes one
ROWS = 1024  # windows whose neighbours are sought at a time


@dataclass(frozen=True, slots=True)
class Cloud:
    """Whole windows, and what to change them with; as `Course`, with ``spread`` (C,)."""

    values: Values
    spread: Values
    rng: np.random.Generator

    def noise(self, severity: float) -> Values:
        """Return independent Gaussian noise for every cell."""
        drawn = self.rng.standard_normal(self.values.shape, np.float32)
        drawn *= np.float32(severity) * self.spread
        return drawn


def subset_noise(c: Cloud, severity: float) -> tuple[Values, Bools]:
    """Lay noise over 30 % of each window's sensors, at least one."""
    heard = usable(c.values, c.spread)
    keys = np.where(heard, c.rng.random(heard.shape), 2.0)
    count = max(1, round(SUBSET * heard.shape[1]))
    touched = heard & (keys.argsort(axis=1).argsort(axis=1) < count)
    return c.values + c.noise(severity), touched


def gaussian(c: Cloud, severity: float) -> tuple[Values, Bools]:
    """Lay noise over all sensors."""
    return c.values + c.noise(severity), usable(c.values, c.spread)


def smote_noise(c: Cloud, severity: float) -> tuple[Values, Bools]:
    """Go a random part of the way to a near window, then lay noise over all sensors.

    The noise comes after: points between noisy points would fall among the normal ones.
    Near are the 5 nearest of 256 windows. Below severity 1 the way shrinks with it.
    """
    near = c.values[_near(c)]
    part = c.rng.random((len(near), 1, 1), np.float32) * np.float32(min(severity, 1.0))
    made = c.values + part * known(near - c.values) + c.noise(severity)
    return made, usable(c.values, c.spread)


def _near(c: Cloud) -> NDArray[np.int64]:
    """Return another window near each one, (n,); the window itself where there is no other."""
    n = len(c.values)
    level = medians(c.values).astype(np.float32)
    heard = np.isfinite(c.spread) & (c.spread > 0)
    spread = np.where(heard, c.spread, np.inf).astype(np.float32)

    def flat(rows: NDArray[np.int64]) -> Values:
        x = c.values[rows]
        apart = (np.where(np.isnan(x), level, x) - level) / spread
        return apart.reshape(len(rows), x.shape[1] * x.shape[2])

    candidates = np.sort(c.rng.choice(n, min(n, CANDIDATES), replace=False))
    others, which = flat(candidates), c.rng.integers(0, NEAREST, n)
    squares, found = (others**2).sum(axis=1), np.arange(n)
    for first in range(0, n if n > 1 else 0, ROWS):
        rows = np.arange(first, min(first + ROWS, n))
        distance = squares - 2 * flat(rows) @ others.T  # but for a term of the row alone
        distance[candidates == rows[:, None]] = np.inf
        order = distance.argsort(axis=1, kind="stable")
        found[rows] = candidates[order[np.arange(len(rows)), which[rows] % (len(candidates) - 1)]]
    return found


class Noise(NamedTuple):
    """How it is made, what severity 1 is, and where severity ends."""

    make: Callable[[Cloud, float], tuple[Values, Bools]]
    unit: str
    most: float = np.inf


# of any rows: several sensors
NOISE: Final[dict[str, Noise]] = {
    "subset_noise": Noise(subset_noise, "a standard deviation of one spread"),
    "gaussian": Noise(gaussian, "a standard deviation of one spread"),
    "smote_noise": Noise(smote_noise, "a standard deviation of one spread"),
}
