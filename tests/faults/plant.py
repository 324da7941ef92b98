"""The plant whose readings the fault tests send: seeded, disturbed, and with faults of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from simulators.factory import Factory
from simulators.faults import Fault
from simulators.records import reading_records
from simulators.stream import Chunk

PERIOD_S = 60
LENGTH, HOP = 16, 8
# Readings are late beyond what the windows wait for, as the delay on the way may be longer.
DELAY_S, DISORDER_S = 150.0, 100.0
ON_CHANGE = "flow"
FAULTY, SEVERITY = "pressure", 12.0
FAULT_SLOTS = (60, 140)
SLOTS_PER_FAULT = 250
SILENT_MACHINES = (4, 17, 30)
SILENT_SHARE = 0.15
HISTORY_MACHINES = 20


class Reading(NamedTuple):
    """A machine's name and its record as JSON."""

    machine: str
    value: bytes


@dataclass(frozen=True)
class Plant:
    """Machines that are recorded healthy first, and then send live.

    Live, each machine has a fault about every 250 readings, three fall silent in the middle of
    a window and resume, one sensor reports only changes, and some readings come too late.

    Parameters
    ----------
    steps : int
        Live readings of each machine.
    seed : int
        Of everything.
    machines : int
        How many.
    history_steps : int
        Readings of each machine before that, of which some machines' are the history.
    """

    steps: int
    seed: int
    machines: int = 40
    history_steps: int = 960

    @cached_property
    def factory(self) -> Factory:
        """The simulated factory behind it."""
        return Factory(
            self.machines, 6, PERIOD_S, self.seed, disorder_s=DELAY_S, on_change=[ON_CHANGE]
        )

    def settings(self) -> dict[str, Any]:
        """Return the sections of a config file that say how to read and score the plant."""
        sensors = []
        for sensor in self.factory.layout.sensors:
            patient = {"max_gap_s": float("inf")} if sensor.name == ON_CHANGE else {}
            sensors.append({"name": sensor.name, "unit": sensor.unit} | patient)
        windows = {"period_s": PERIOD_S, "length": LENGTH, "hop": HOP, "disorder_s": DISORDER_S}
        return {
            "input": {"format": "reading"},
            "windows": {"sensors": sensors} | windows,
            "detector": {"epochs": 10, "bank_windows": 500, "device": "cpu"},
        }

    def write_history(self, path: Path) -> None:
        """Write the healthy past of some machines as a recording of JSON lines."""
        with path.open("wb") as file:
            for chunk in self._chunks():
                past = chunk[(chunk.time < self._live_from) & (chunk.machine < HISTORY_MACHINES)]
                file.writelines(orjson.dumps(r) + b"\n" for r in reading_records(past))

    def readings(self) -> Iterator[Reading]:
        """Yield the live readings of all machines in order of arrival."""
        for chunk in self._chunks():
            live = chunk[(chunk.time >= self._live_from) & ~self._silent(chunk)]
            for record in reading_records(live):
                yield Reading(record["machine_id"], orjson.dumps(record))

    def _chunks(self) -> Iterator[Chunk]:
        return self.factory.readings(self.history_steps + self.steps, faults=self._faults())

    @property
    def _live_from(self) -> int:
        return self._time(0)

    def _time(self, step: int) -> int:
        return self.factory.start_ns + (self.history_steps + step) * PERIOD_S * 10**9

    def _faults(self) -> list[Fault]:
        rng = np.random.default_rng(self.seed)
        count = max(1, round(self.steps / SLOTS_PER_FAULT))
        stretch, faults = self.steps // count, []
        for machine in self.factory.layout.machine_ids:
            for number in range(count):
                slots = min(int(rng.integers(*FAULT_SLOTS)), stretch // 2)
                first = number * stretch + int(rng.integers(stretch - slots))
                start_s = (self.history_steps + first) * PERIOD_S
                faults.append(self._fault(machine, start_s, slots * PERIOD_S))
        return faults

    @staticmethod
    def _fault(machine: str, start_s: int, duration_s: int) -> Fault:
        return Fault(machine, "spike", start_s, duration_s, (FAULTY,), SEVERITY)

    def _silent(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Return which rows (n,) were never sent: three machines, one after the other."""
        silent = np.zeros(len(chunk), bool)
        span = round(self.steps * SILENT_SHARE)
        for turn, machine in enumerate(SILENT_MACHINES):
            # whole windows later and half a hop on: the silence begins within a window
            first = round(self.steps * (0.2 + 0.2 * turn)) // HOP * HOP + HOP // 2
            within = (chunk.time >= self._time(first)) & (chunk.time < self._time(first + span))
            silent |= within & (chunk.machine == machine)
        return silent
