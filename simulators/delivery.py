"""From the machine to the reader: losses, silence while nothing changes, and late arrival."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.recursion import Floats
from simulators.seeds import Purpose, generator
from simulators.stream import Chunk, joined

DAY_NS = 86_400 * 10**9
LOSS_S = (300.0, 7200.0)
"""Shortest and longest loss of a sensor, seconds; none is longer than a day."""


class Losses:
    """Spans in which a sensor delivers nothing, drawn day by day.

    Parameters
    ----------
    seed, machine, sensors : int
        Seed of the factory, position of the machine, number of sensors (C).
    per_day : float
        Expected number of losses a day, >= 0.
    """

    def __init__(self, seed: int, machine: int, sensors: int, per_day: float) -> None:
        self._key = (seed, machine)
        self._sensors = sensors
        self._per_day = per_day
        self._days: dict[int, list[tuple[int, int, int]]] = {}

    def at(self, time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which cells (n, C) are lost at the ascending times (n,)."""
        lost = np.zeros((len(time), self._sensors), dtype=bool)
        if self._per_day == 0:
            return lost
        # A loss may reach into the next day.
        days = range(int(time[0] // DAY_NS) - 1, int(time[-1] // DAY_NS) + 1)
        self._days = {
            day: self._days[day] if day in self._days else self._of_day(day) for day in days
        }
        for losses in self._days.values():
            for sensor, start, end in losses:
                low, high = np.searchsorted(time, (start, end))
                lost[low:high, sensor] = True
        return lost

    def _of_day(self, day: int) -> list[tuple[int, int, int]]:
        seed, machine = self._key
        # Days before 1970 have their own numbers too.
        rng = generator(seed, Purpose.LOSSES, machine, abs(day), int(day < 0))
        count = rng.poisson(self._per_day)
        sensor = rng.integers(self._sensors, size=count)
        start = day * DAY_NS + rng.integers(DAY_NS, size=count)
        end = start + (rng.uniform(*LOSS_S, size=count) * 1e9).astype(np.int64)
        return list(zip(sensor.tolist(), start.tolist(), end.tolist(), strict=True))


class ChangeReports:
    """Report-by-exception: some sensors speak only when their value has moved.

    Parameters
    ----------
    columns : array (k,)
        Positions of those sensors.
    step : array (k,)
        How far the value moves between two reports, in its unit.
    """

    def __init__(self, columns: NDArray[np.intp], step: Floats) -> None:
        self._columns = columns
        self._step = step
        self._level = np.full((1, len(columns)), np.nan)

    def silence(self, values: Floats) -> None:
        """Blank the values (n, C) that are not reported, in place."""
        level = np.floor(values[:, self._columns] / self._step)
        still = level == np.vstack([self._level, level[:-1]])
        self._level = level[-1:]
        reported = values[:, self._columns]
        reported[still] = np.nan
        values[:, self._columns] = reported


class Queue:
    """Readings on their way, each up to `disorder_s` long; they leave in order of arrival."""

    def __init__(self) -> None:
        self._chunk: Chunk | None = None
        self._arrival = np.empty(0, dtype=np.int64)

    def put(self, chunk: Chunk, arrival: NDArray[np.int64]) -> None:
        """Add readings that arrive at `arrival` (n,), nanoseconds since the epoch."""
        self._chunk = chunk if self._chunk is None else joined([self._chunk, chunk])
        self._arrival = np.concatenate([self._arrival, arrival])

    def take(self, until: int | None = None) -> Chunk:
        """Return what arrives before `until` (all, when None); nothing earlier may be put later."""
        assert self._chunk is not None
        order = np.lexsort((self._chunk.machine, self._arrival))
        here = len(order)
        if until is not None:
            here = int(np.searchsorted(self._arrival[order], until))
        taken, left = self._chunk[order[:here]], order[here:]
        self._chunk, self._arrival = self._chunk[left], self._arrival[left]
        return taken
