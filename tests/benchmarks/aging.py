"""A simulated factory that ages: seasons, worn tools, changes for good, and faults.

All machines share the seasons and the changes; the faults are each machine's own. Tools wear as
the simulator has it. A *change* is what an operator would call the new normal: from one moment on
several sensors of all machines show another level and another gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators import FAULT_KINDS, Factory, Fault
from simulators.machine import Machine
from stream_ad.config import Config, parse_config
from stream_ad.transport.base import Batch
from stream_ad.windows import Readings
from stream_ad.windows.spec import NS

DAY_S = 86_400
LENGTH = 16  # slots of a window
TURNS = 5  # faults drawn for each one taken

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Shift(NamedTuple):
    """What a change does to a sensor: level in its standard deviations, gain of its values."""

    level: float
    gain: float


@dataclass(frozen=True, slots=True)
class Change:
    """A genuine change of all machines, ``day`` days after the first reading."""

    day: float
    shifts: Mapping[str, Shift]


CHANGES = (
    Change(
        29.4,
        {
            "motor_current": Shift(3.0, 1.1),
            "power": Shift(3.0, 1.1),
            "bearing_temperature": Shift(4.0, 1.0),
        },
    ),
    Change(
        44.6,
        {
            "pressure": Shift(-4.0, 1.0),
            "flow": Shift(-2.0, 0.9),
            "vibration": Shift(2.0, 1.2),
            "coolant_temperature": Shift(4.0, 1.0),
        },
    ),
)


class Event(NamedTuple):
    """A fault as a span of time ``[start, end)`` of one machine, in ns."""

    machine: str
    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the factory is like, whatever its seed.

    Parameters
    ----------
    machines, days, history_days : int
        Days are those of the whole stream; the first ones are history.
    period_s : float
    hop : int
        Slots between the starts of two windows of 16.
    season_sd, season_days : float
        Height and length of the wave on every sensor, in its standard deviations and in days.
    faults : int
        Of each kind on each machine, spread over the time after its history.
    changes : sequence of Change
    routine : mapping of str to Shift
        What a harmless routine of a few hours does to the sensors.
    """

    machines: int = 20
    days: int = 60
    history_days: int = 14
    period_s: float = 240.0
    hop: int = 8
    season_sd: float = 0.5
    season_days: float = 60.0
    faults: int = 1
    changes: Sequence[Change] = CHANGES
    routine: Mapping[str, Shift] = field(default_factory=dict)

    def factory(self, seed: int) -> Factory:
        """Return the factory of a seed, as young as it ever is."""
        return Factory(self.machines, 8, self.period_s, seed)

    def source(self, seed: int) -> AgingSource:
        """Return the whole stream of a seed."""
        factory = self.factory(seed)
        return AgingSource(self, factory, [*self._faults(factory)])

    def config(self, seed: int, budget: float, **sections: Mapping[str, Any]) -> Config:
        """Return the settings: defaults besides the grid, the budget and some sections."""
        windows = {
            "sensors": list(self.factory(seed).layout.sensor_names),
            "period_s": self.period_s,
            "length": LENGTH,
            "hop": self.hop,
        }
        alarm = {"budget_per_machine_day": budget}
        detector = {"seed": seed} | dict(sections.pop("detector", {}))
        return parse_config(
            {"windows": windows, "alarm": alarm, "detector": detector} | dict(sections)
        )

    def _faults(self, factory: Factory) -> Iterator[Fault]:
        """Draw more than needed on each machine, and take each kind in a turn of its own."""
        span, clean = self.days * DAY_S, self.history_days * DAY_S
        for number, machine in enumerate(factory.layout.machine_ids if self.faults else ()):
            alone = Factory(1, 8, self.period_s, 1000 * factory.seed + number)
            drawn = alone.schedule(TURNS * self.faults * len(FAULT_KINDS), span, clean)
            for place, kind in enumerate(FAULT_KINDS):
                of_kind = [fault for fault in drawn if fault.kind == kind]
                first = (number + 2 * place) % TURNS
                for fault in of_kind[first::TURNS]:
                    yield replace(fault, machine_id=machine)


@dataclass(frozen=True)
class AgingSource:
    """The readings of such a factory in order of arrival.

    Parameters
    ----------
    plan : Plan
    factory : Factory
    faults : sequence of Fault
    routines : sequence of Event
        When a machine goes through the plan's routine.
    """

    plan: Plan
    factory: Factory
    faults: Sequence[Fault]
    routines: Sequence[Event] = ()

    @property
    def until(self) -> int:
        """End of the history in ns."""
        return self.at(self.plan.history_days)

    def at(self, day: float) -> int:
        """Return the time so many days after the first reading, in ns."""
        return self.factory.start_ns + round(day * DAY_S) * NS

    def events(self) -> list[Event]:
        """Return the faults by start."""
        period_ns = round(self.plan.period_s * NS)

        def event(fault: Fault) -> Event:
            first, last = (
                self.factory.start_ns + slot * period_ns for slot in fault.slots(self.plan.period_s)
            )
            return Event(fault.machine_id, fault.kind, first, last)

        return sorted(map(event, self.faults), key=lambda e: (e.start, e.machine))

    def identity(self) -> str:
        """Return a name; nothing is resumed from it."""
        return f"aging factory {self.factory.seed}"

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the readings, the first with an offset."""
        first = position
        span = self.plan.days * DAY_S
        for chunk in self.factory.readings(duration_s=span, faults=self.faults):
            values = self._aged(chunk.machine, chunk.time, chunk.values)
            machine, offset = chunk.machine_id.astype(object), np.arange(first, first + len(chunk))
            first += len(chunk)
            yield Batch(Readings(machine, chunk.time, values.astype(np.float32), offset), [], first)

    def _aged(self, machine: NDArray[np.int32], time: NDArray[np.int64], values: Floats) -> Floats:
        """Return values (n, C) as the seasons and the changes so far leave them."""
        unit = self.spread[machine]
        day = (time - self.factory.start_ns) / (DAY_S * NS)
        wave = np.sin(2 * math.pi * day[:, None] / self.plan.season_days + self._phase)
        aged = values + self.plan.season_sd * unit * wave
        for change in self.plan.changes:
            self._shift(aged, time >= self.at(change.day), change.shifts, unit)
        ids = np.array(self.factory.layout.machine_ids)[machine]
        for routine in self.routines:
            busy = (ids == routine.machine) & (time >= routine.start) & (time < routine.end)
            self._shift(aged, busy, self.plan.routine, unit)
        return aged

    def _shift(self, values: Floats, rows: Bools, by: Mapping[str, Shift], unit: Floats) -> None:
        for name, (level, gain) in by.items():
            c = self.factory.layout.sensor_names.index(name)
            values[rows, c] = gain * values[rows, c] + level * unit[rows, c]

    @cached_property
    def _phase(self) -> Floats:
        count = len(self.factory.layout.sensor_names)
        return np.random.default_rng([self.factory.seed, count]).uniform(0, 2 * math.pi, count)

    @cached_property
    def spread(self) -> Floats:
        """Standard deviations in steady production (machines, C)."""
        factory, layout = self.factory, self.factory.layout
        return np.array(
            [
                Machine(factory.seed, i, layout.sensors, factory.start_ns, layout.period_s).spread
                for i in range(len(layout.machine_ids))
            ]
        )
