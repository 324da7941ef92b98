"""Faults of time series: one sensor of each window goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.synthetic.cells import Floats, Values, known, one_of


@dataclass(frozen=True, slots=True)
class Course:
    """What one sensor of each window measured, and what to change it with.

    Parameters
    ----------
    values : float32 array (n, T, C)
        All of the windows.
    sensor : int array (n,)
        Which sensor is to be changed.
    own : float64 array (n, T)
        Its course; NaN = missing.
    spread, level : float64 array (n,)
        Its spread, and its median over all windows.
    rng : Generator
        Draws may not depend on the severity: then a severer fault is the same one, larger.
    """

    values: Values
    sensor: NDArray[np.int64]
    own: Floats
    spread: Floats
    level: Floats
    rng: np.random.Generator

    def __len__(self) -> int:
        return len(self.own)

    def moved(self, severity: float, shape: NDArray[Any]) -> Floats:
        """Return the course, up or down by so many spreads times a shape (n, T)."""
        most = (self.rng.choice([-1.0, 1.0], len(self)) * severity * self.spread)[:, None]
        return np.asarray(self.own + most * shape, np.float64)

    def early(self) -> NDArray[np.int64]:
        """Return a slot (n,) of the first half where the sensor was seen, else of any part."""
        seen = ~np.isnan(self.own)
        first = seen & (np.arange(seen.shape[1]) <= (seen.shape[1] - 1) // 2)
        return one_of(np.where(first.any(axis=1, keepdims=True), first, seen), self.rng)


def spike(c: Course, severity: float) -> Floats:
    """Move one slot up or down."""
    place = one_of(~np.isnan(c.own), c.rng)
    return c.moved(severity, np.arange(c.own.shape[1]) == place[:, None])


def drift(c: Course, severity: float) -> Floats:
    """Climb or sink from a slot of the first half on, all of it reached in the last slot."""
    begin, slots = c.early()[:, None], c.own.shape[1]
    return c.moved(severity, (np.arange(slots) - begin + 1).clip(0) / (slots - begin))


def stuck(c: Course, severity: float) -> Floats:
    """Lose that share of all movement from a slot of the first half on; at 1 stand still."""
    begin = c.early()
    held = c.own[np.arange(len(c)), begin][:, None]
    since = np.arange(c.own.shape[1]) >= begin[:, None]
    return c.own + severity * (held - c.own) * since


def lost_correlation(c: Course, severity: float) -> Floats:
    """Go that share of the way to the sensor's course in another window."""
    n = len(c)
    other = (np.arange(n) + c.rng.integers(1, max(n, 2), n)) % n
    course = c.values[other, :, c.sensor].astype(np.float64)
    return c.own + severity * known(course - c.own)


def delay(c: Course, severity: float) -> Floats:
    """Come later than the other sensors, by that share of the window; before it, stand still.

    Not always the farther from normal the later: a course that repeats comes back to itself.
    """
    slots = c.own.shape[1]
    place = (np.arange(slots) - severity * slots).clip(0)
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, slots - 1)
    late = c.own[:, before] + (place - before) * (c.own[:, after] - c.own[:, before])
    return np.asarray(c.own + known(late - c.own), np.float64)


def scale(c: Course, severity: float) -> Floats:
    """Swing farther from the sensor's median by that share."""
    return c.own + severity * (c.own - c.level[:, None])


class Fault(NamedTuple):
    """How it is made, what severity 1 is, and where severity ends."""

    make: Callable[[Course, float], Floats]
    unit: str
    most: float = np.inf


# of time series: one sensor of each window
FAULTS: Final[dict[str, Fault]] = {
    "spike": Fault(spike, "one spread of the sensor"),
    "drift": Fault(drift, "one spread of the sensor, in the last slot"),
    "stuck": Fault(stuck, "all of its movement lost", 1.0),
    "lost_correlation": Fault(lost_correlation, "all of its course from another window", 1.0),
    "delay": Fault(delay, "the whole window", 1.0),
    "scale": Fault(scale, "twice as far from its median"),
}
