"""What a machine is asked to do at any time: shifts, products, pauses, weekends, tool changes.

A pure function of time, so that any stretch of it is known without the past.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.recursion import Floats
from simulators.seeds import Purpose, generator, hashed

SECOND_NS = 1_000_000_000
HOUR_S = 3600
DAY_S = 24 * HOUR_S
WEEK_S = 7 * DAY_S
DAY_BEGINS_S = 6 * HOUR_S
SHIFT_S = 12 * HOUR_S
CHANGEOVER_S = 15 * 60
WORKDAYS = 5
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""

PRODUCTS = 4
NIGHT_PACE = 0.85

# In production, at a changeover, at rest.
_PAUSED_LOAD = np.array([np.nan, 0.20, 0.08])
_PAUSED_SPEED = np.array([np.nan, 0.20, 0.05])
_ACTIVITY = np.array([1.0, 0.5, 0.1])


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of a machine, one entry for each time.

    Parameters
    ----------
    load, speed : array (n,)
        Set-points, 0 at standstill, about 1 at full work.
    activity : array (n,)
        How busy the machine is: 1 in production, 0.1 on a quiet weekend. Noise follows it.
    wear : array (n,)
        Wear of the tool, 0 when new, towards 1 just before it is changed.
    """

    load: Floats
    speed: Floats
    activity: Floats
    wear: Floats


class WorkPlan:
    """The production plan of one machine, in UTC.

    Production runs from Monday 06:00 to Saturday 06:00 in day and night shifts of 12 hours, each
    with a product of its own (four in turn, the order changes) and a changeover of 15 minutes at
    its beginning. Tools wear with hours of production.

    Examples
    --------
    >>> monday = np.datetime64("2024-01-01T09:00", "ns").astype(np.int64)
    >>> saturday = np.datetime64("2024-01-06T09:00", "ns").astype(np.int64)
    >>> WorkPlan(seed=0, machine=0).at(np.array([monday, saturday])).activity.tolist()
    [1.0, 0.1]
    """

    def __init__(self, seed: int, machine: int) -> None:
        products = generator(seed, Purpose.PRODUCTS)
        self._load = products.uniform(0.55, 0.85, PRODUCTS)
        self._speed = products.uniform(0.50, 0.90, PRODUCTS)
        traits = generator(seed, Purpose.TRAITS, machine, 0)
        self._pace = traits.uniform(0.95, 1.05)
        self._tool_life_h = traits.uniform(30.0, 50.0)
        self._tool_age = traits.uniform()
        self._orders = int(traits.integers(1 << 62))

    def at(self, time: NDArray[np.int64]) -> Work:
        """Return the work asked at each `time` (nanoseconds since the epoch, UTC), shape (n,)."""
        second = time // SECOND_NS - DAY_BEGINS_S
        day, in_day = np.divmod(second, DAY_S)
        night = in_day >= SHIFT_S
        quiet = (day + EPOCH_WEEKDAY) % 7 >= WORKDAYS
        changeover = in_day % SHIFT_S < CHANGEOVER_S
        product = self._product(day * 2 + night)
        pace = self._pace * np.where(night, NIGHT_PACE, 1.0)
        state = np.where(quiet, 2, changeover)  # 0 production, 1 changeover, 2 quiet
        busy = state == 0
        return Work(
            load=np.where(busy, pace * self._load[product], _PAUSED_LOAD[state]),
            speed=np.where(busy, pace * self._speed[product], _PAUSED_SPEED[state]),
            activity=_ACTIVITY[state],
            wear=(_production_h(second) / self._tool_life_h + self._tool_age) % 1.0,
        )

    def _product(self, shift: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every product comes once in four shifts, in an order that changes."""
        round_, place = np.divmod(shift, PRODUCTS)
        first = hashed(self._orders, round_)
        stride = 1 + 2 * (first >> np.uint64(32) & np.uint64(1)).astype(np.int64)
        product: NDArray[np.int64] = place * stride + (first % np.uint64(PRODUCTS)).astype(np.int64)
        return product % PRODUCTS


def _production_h(second: NDArray[np.int64]) -> Floats:
    """Hours of production up to each second, counted from the first Monday of the epoch."""
    week, in_week = np.divmod(second + EPOCH_WEEKDAY * DAY_S, WEEK_S)
    per_week = WORKDAYS * DAY_S
    worked: Floats = (week * per_week + np.minimum(in_week, per_week)) / HOUR_S
    return worked
