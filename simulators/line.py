"""One machine with its faults and its line to the outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.delivery import ChangeReports, Losses
from simulators.effects import Effect
from simulators.faults import Fault
from simulators.machine import BLOCK, Machine
from simulators.seeds import Purpose, generator
from simulators.stream import Chunk, Layout


class Line:
    """The readings of one machine as they leave it, block after block.

    Parameters
    ----------
    layout : Layout
        Names, sensors (C) and period of the factory.
    number, seed, start_ns : int
        Position of the machine, seed of the factory, time of its first slot.
    disorder_s, losses_per_day : float
        As in `Factory`.
    on_change : array (k,)
        Positions of the sensors that report only changes.
    """

    def __init__(
        self,
        layout: Layout,
        number: int,
        seed: int,
        start_ns: int,
        *,
        disorder_s: float,
        losses_per_day: float,
        on_change: NDArray[np.intp],
    ) -> None:
        self._layout, self._number = layout, number
        self._machine = Machine(seed, number, layout.sensors, start_ns, layout.period_s)
        self._effects: list[Effect] = []
        self._slot = 0
        self._scale = 10.0 ** np.array([sensor.decimals for sensor in layout.sensors])
        self._changes = ChangeReports(on_change, self._machine.spread[on_change])
        self._losses = Losses(seed, number, len(layout.sensors), losses_per_day)
        self._delays = generator(seed, Purpose.DELAYS, number)
        self._longest_ns = round(disorder_s * 1e9)

    def befall(self, fault: Fault, columns: NDArray[np.intp]) -> None:
        """Let a fault happen to the sensors at `columns`; faults must come in order of start."""
        self._effects.append(Effect(fault, self._machine, columns))

    def next_readings(self, time: NDArray[np.int64]) -> tuple[Chunk, NDArray[np.int64]]:
        """Return the readings of the next block at `time` (n <= BLOCK), and when each arrives."""
        block = self._machine.next_block()
        fault = np.zeros(BLOCK, dtype=np.int8)
        for effect in self._effects:
            effect.apply(self._slot, block, fault)
        self._slot += BLOCK
        n = len(time)
        # Rounded to the sensor's resolution, a value is the same number in every file format.
        values = np.rint(block.values[:n] * self._scale) / self._scale
        self._changes.silence(values)
        values[self._losses.at(time)] = np.nan
        machine = np.full(n, self._number, dtype=np.int32)
        delay = self._delays.integers(self._longest_ns, size=n, endpoint=True)
        return Chunk(self._layout, machine, time, values, fault[:n]), time + delay
