"""A generated plant for the benchmarks of speed and memory: of any size, written as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from stream_ad.config import Config, parse_config
from stream_ad.detector import Detector
from stream_ad.windows import Windows, WindowSpec

SINCE = 1_700_000_000  # epoch seconds of the first reading; one reading per second and machine
PERIODS = (37.0, 211.0, 1440.0)  # of the waves that all sensors mix, in seconds
FAULT_EVERY, FAULT_WINDOWS = 400, 6  # windows of a machine from fault to fault, and of one
DEAD_EVERY = 20_000  # rows
CHUNK_CELLS = 1 << 21


@dataclass(frozen=True, slots=True)
class Plant:
    """Machines whose sensors mix the same waves, with noise and now and then a fault.

    Parameters
    ----------
    machines, sensors, length : int
        Number of machines; C and T of their windows; hop = length.
    rough : bool
        Whether sensors fall silent for some windows and some rows have no readable time.
    seed : int
        Of the noise.
    """

    machines: int
    sensors: int
    length: int
    rough: bool = False
    seed: int = 0

    @property
    def config(self) -> Config:
        """The settings: defaults besides the grid."""
        names = [f"s{c}" for c in range(self.sensors)]
        return parse_config({"windows": {"sensors": names, "period_s": 1, "length": self.length}})

    @property
    def spec(self) -> WindowSpec:
        """The grid."""
        return WindowSpec.from_config(self.config.windows)

    def windows(self, each: int, *, faults: bool = True) -> Windows:
        """Return the first ``each`` windows of every machine, in order of start."""
        parts = self._parts(each * self.length)
        cells = np.concatenate(
            [self.cells(first, n, faults=faults).astype(np.float32) for first, n in parts]
        )
        turns = cells.reshape(each, self.length, self.machines, self.sensors)
        values = np.ascontiguousarray(turns.transpose(0, 2, 1, 3)).reshape(-1, *turns.shape[1::2])
        start = (SINCE + np.repeat(np.arange(each) * self.length, self.machines)) * 10**9
        return Windows(np.tile(self.names(), each), start, values, np.arange(len(values)))

    def detector(self, bank: int, machines: int = 1, index: str = "auto") -> Detector:
        """Fit ae and ares on the first machines; the bank holds so many different latents."""
        plant = replace(self, machines=machines, seed=self.seed + 1)
        past = plant.windows(2 * bank // machines, faults=False)
        detector = Detector(
            "ae", "ares", epochs=1, bank_windows=bank, index=index, device="cpu", seed=self.seed
        )
        detector.fit_windows(past, self.spec).set_budget(self.config.alarm)
        assert detector.report_["bank"] == bank
        return detector

    def write(self, path: Path, each: int) -> None:
        """Write a recording that closes ``each`` windows of every machine."""
        # the readings of one window more close the last one
        steps = (each + 1) * self.length
        with arrow_csv.CSVWriter(path, self._table(0, 1).schema) as writer:
            for first, n in self._parts(steps):
                writer.write_table(self._table(first, n))

    def names(self) -> NDArray[np.object_]:
        """Return the machines' ids, (M,)."""
        return np.array([f"machine-{m:02d}" for m in range(self.machines)], object)

    def cells(self, first: int, steps: int, *, faults: bool = True) -> NDArray[np.float64]:
        """Return the readings (steps, M, C) of a time that begins ``first`` steps in."""
        step = first + np.arange(steps)
        phase = 17.0 * np.arange(self.machines)[:, None]
        waves = np.sin(2 * np.pi * (step[:, None, None] + phase) / PERIODS)  # (steps, M, 3)
        mix = np.random.default_rng(0).normal(size=(len(PERIODS), self.sensors))
        noise = np.random.default_rng([self.seed, first])
        cells = waves @ mix + 0.3 * noise.standard_normal((steps, self.machines, self.sensors))
        cells = np.round(50 + 10 * cells, 3)
        if faults:
            window = step // self.length % FAULT_EVERY
            silent = window >= FAULT_EVERY - FAULT_WINDOWS
            off = (window >= FAULT_EVERY - 2 * FAULT_WINDOWS) & ~silent
            cells[off, :, 0] += 100
            if self.rough:
                cells[silent, :, -1] = np.nan
        return cells

    def _parts(self, steps: int) -> Iterator[tuple[int, int]]:
        """Cut a time into parts (first step, steps) whose cells fit into memory."""
        most = max(1, CHUNK_CELLS // (self.machines * self.sensors))
        for first in range(0, steps, most):
            yield first, min(most, steps - first)

    def _table(self, first: int, steps: int) -> pa.Table:
        cells = self.cells(first, steps).reshape(-1, self.sensors)
        seconds = np.repeat(SINCE + first + np.arange(steps), self.machines)
        time = pa.array(seconds).cast(pa.timestamp("s", "UTC")).cast(pa.string())
        if self.rough:
            row = first * self.machines + np.arange(len(seconds))
            time = pc.if_else(pa.array(row % DEAD_EVERY == DEAD_EVERY - 1), "soon", time)
        columns = {f"s{c}": pa.array(cells[:, c], from_pandas=True) for c in range(self.sensors)}
        return pa.table({"machine_id": np.tile(self.names(), steps), "time": time} | columns)
