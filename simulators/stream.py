"""Rows on their way out: what a stream consists of, and one piece of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.faults import FAULT_KINDS
from simulators.sensors import Sensor


@dataclass(frozen=True, slots=True)
class Layout:
    """What all rows of a stream have in common.

    Parameters
    ----------
    machine_ids : tuple of str
        Names of the machines; a row holds a position in it.
    sensors : tuple of Sensor
        The columns of the values (C).
    period_s : float
        Seconds between two readings of one machine.
    """

    machine_ids: tuple[str, ...]
    sensors: tuple[Sensor, ...]
    period_s: float

    @property
    def sensor_names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(sensor.name for sensor in self.sensors)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive readings of a stream, in the order of their arrival.

    Parameters
    ----------
    layout : Layout
        Names of machines and sensors.
    machine : array (n,) of int
        Position of the machine in `layout.machine_ids`.
    time : array (n,) of int64
        When it was measured: nanoseconds since the epoch, UTC.
    values : array (n, C) of float
        In the sensors' units; NaN = lost, or not reported.
    fault : array (n,) of int8
        0 = healthy, else 1 + position in `FAULT_KINDS`.
    """

    layout: Layout
    machine: NDArray[np.int32]
    time: NDArray[np.int64]
    values: NDArray[np.float64]
    fault: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Chunk:
        machine, time = self.machine[rows], self.time[rows]
        return Chunk(self.layout, machine, time, self.values[rows], self.fault[rows])

    @property
    def label(self) -> NDArray[np.int8]:
        """1 where a fault changed the reading, else 0: (n,)."""
        return (self.fault > 0).astype(np.int8)

    @property
    def machine_id(self) -> NDArray[np.str_]:
        """Names of the machines: (n,)."""
        return np.array(self.layout.machine_ids)[self.machine]

    @property
    def fault_kind(self) -> NDArray[np.str_]:
        """Kind of the fault, empty where the machine is healthy: (n,)."""
        return np.array(("", *FAULT_KINDS))[self.fault]


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Put chunks of one layout together, in their order."""
    return Chunk(
        chunks[0].layout,
        np.concatenate([chunk.machine for chunk in chunks]),
        np.concatenate([chunk.time for chunk in chunks]),
        np.concatenate([chunk.values for chunk in chunks]),
        np.concatenate([chunk.fault for chunk in chunks]),
    )


def cut(chunks: Iterable[Chunk], rows: int) -> Iterator[Chunk]:
    """Yield the same rows in chunks of exactly `rows`, the last one shorter."""
    waiting: list[Chunk] = []
    count = 0
    for chunk in chunks:
        waiting.append(chunk)
        count += len(chunk)
        if count < rows:
            continue
        whole = joined(waiting)
        full = count - count % rows
        yield from (whole[at : at + rows] for at in range(0, full, rows))
        waiting, count = [whole[full:]], count - full
    if count:
        yield joined(waiting)
