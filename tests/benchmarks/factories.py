"""Simulated factories without faults, each as a source of readings with a config for it.

======== ===================================================================================
steady   three machines for ten days, 8 sensors, a reading a minute, a window of 16 of them
         every 4; weekends, shifts, four products and worn tools as the simulator has them
rough    six machines for five days, 6 sensors, a reading in two minutes, up to four minutes
         late, sensors lost eight times as often
drifting the machines of *steady*, and from the first scored day on all their sensors creep
         away, each up or down: by a tenth of their standard deviation a day, more than
         which would take some of them out of the bound on weekends, when they are quiet
======== ===================================================================================

Two weeks before the scored days, or what ``shortened`` says, are the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simulators import Factory, Fault
from stream_ad.config import Config, parse_config
from stream_ad.transport.base import Batch
from stream_ad.windows import Readings

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Plan:
    """What one factory is like, whatever its seed.

    Parameters
    ----------
    name : str
    machines, days : int
        Scored machine-days are their product.
    sensors : int
    period_s : float
    hop : int
        Slots between the starts of two windows of 16.
    history_days : int
    disorder_s, losses_per_day : float
        As of `Factory`.
    creep : float
        How far every sensor moves in a scored day, in its standard deviations.
    """

    name: str
    machines: int
    days: int
    sensors: int = 8
    period_s: float = 60.0
    hop: int = 4
    history_days: int = 14
    disorder_s: float = 0.0
    losses_per_day: float = 0.2
    creep: float = 0.0

    @property
    def learned(self) -> Plan:
        """What decides over the history: plans equal in it share their detectors."""
        return replace(self, name="", days=0, creep=0.0)

    @property
    def history_s(self) -> int:
        """Length of the history."""
        return self.history_days * DAY_S

    def shortened(self, machines: int, days: int, history_days: int) -> Plan:
        """Return a smaller one of the kind."""
        return replace(self, machines=machines, days=days, history_days=history_days)

    def factory(self, seed: int) -> Factory:
        """Return the factory of a seed."""
        return Factory(
            self.machines,
            self.sensors,
            self.period_s,
            seed,
            disorder_s=self.disorder_s,
            losses_per_day=self.losses_per_day,
        )

    def config(self, seed: int, budget: float, detector: Mapping[str, Any]) -> Config:
        """Return the settings: defaults besides the grid, the budget and the detector's pair."""
        windows = {
            "sensors": list(self.factory(seed).layout.sensor_names),
            "period_s": self.period_s,
            "length": 16,
            "hop": self.hop,
            "disorder_s": self.disorder_s,
        }
        alarm = {"budget_per_machine_day": budget}
        return parse_config(
            {"windows": windows, "detector": {**detector, "seed": seed}, "alarm": alarm}
        )

    def source(self, seed: int) -> FactorySource:
        """Return history and scored days."""
        factory = self.factory(seed)
        span = self.history_s, self.days * DAY_S
        creeping = factory.layout.machine_ids if self.creep else ()
        faults = [Fault(m, "drift", *span, severity=self.creep * self.days) for m in creeping]
        return FactorySource(factory, sum(span), faults)


STEADY = Plan("steady", machines=3, days=10)
PLANS = (
    STEADY,
    Plan(
        "rough",
        machines=6,
        days=5,
        sensors=6,
        period_s=120.0,
        hop=2,
        disorder_s=240.0,
        losses_per_day=1.6,
    ),
    replace(STEADY, name="drifting", creep=0.1),
)


@dataclass(frozen=True, slots=True)
class FactorySource:
    """The readings of a factory in order of arrival.

    Parameters
    ----------
    factory : Factory
    duration_s : float
    faults : sequence of Fault
    suffix : str
        Added to the names of the machines: the same one can come in several variants.
    """

    factory: Factory
    duration_s: float
    faults: Sequence[Fault] = field(default_factory=list)
    suffix: str = ""

    def identity(self) -> str:
        """Return a name; nothing is resumed from it."""
        return f"factory {self.factory.seed}{self.suffix}"

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the readings, the first with an offset."""
        first = position
        for chunk in self.factory.readings(duration_s=self.duration_s, faults=self.faults):
            machine = (chunk.machine_id + self.suffix).astype(object)
            offset = np.arange(first, first + len(chunk))
            first += len(chunk)
            values = chunk.values.astype(np.float32)
            yield Batch(Readings(machine, chunk.time, values, offset), [], first)


@dataclass(frozen=True, slots=True)
class OneAfterAnother:
    """Several factories as if they stood in one file, all of one before the next."""

    sources: Sequence[FactorySource]

    def identity(self) -> str:
        """Return a name; nothing is resumed from it."""
        return ", ".join(source.identity() for source in self.sources)

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the readings of each, their offsets going on."""
        for source in self.sources:
            for batch in source.batches(position):
                position = batch.position
                yield batch
