"""One machine of a fleet feeds near-normal anomalies on purpose, more with every retraining.

It knows everything: the detector that scores, its own line as it stands, the readings of the day.
Every piece of a window it moves one sensor as far as it can without an alarm. What it wants is
that the fleet no longer hears that fault: so the same sensor is then moved on the other machines,
step by step, and the share of their windows that alarm is the fleet's recall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import History, collect_history
from stream_ad.transport.base import Batch
from stream_ad.versions import Judge
from stream_ad.windows import Readings, Windows
from stream_ad.windows.spec import NS
from tests.benchmarks.aging import DAY_S, LENGTH, AgingSource, Plan
from tests.benchmarks.refitting import Learned
from tests.benchmarks.retraining_runs import Session
from tests.benchmarks.retraining_seasons import BUDGET, Trainings, training

if TYPE_CHECKING:
    from stream_ad.pipeline import Pipeline

SENSOR = "bearing_temperature"
STEPS = (4.0, 4.0, 4.0, 4.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25)  # by which it feels its way
BELOW = 0.95  # of the line
SEVERITIES = (4.0, 6.0, 8.0, 12.0, 16.0)  # standard deviations by which the others are moved
JUDGED_DAYS = 4  # the last ones, of the other machines
BEFORE, AFTER, UNGUARDED, UNFED = "before", "after", "all of it learned", "nobody feeds it"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a detector hears of the other machines.

    Parameters
    ----------
    alarms : float
        Share of their windows above its line, nothing moved.
    recall : list of float
        Likewise, for each of ``SEVERITIES``.
    """

    alarms: float
    recall: list[float]

    @property
    def mean(self) -> float:
        """Mean recall over the severities."""
        return float(np.mean(self.recall))


@dataclass(frozen=True, slots=True)
class Crafted:
    """What became of the fleet.

    Parameters
    ----------
    heard : dict of str to Heard
        Before; after; after a fit on all that the last training was offered, judged by nobody;
        and after the same time without the feeder.
    farthest : float
        Largest median shift of a day that it fed, in standard deviations.
    incidents : int
        Process incidents of the feeder that opened.
    trainings : Trainings
    """

    heard: dict[str, Heard]
    farthest: float
    incidents: int
    trainings: Trainings


@dataclass
class Feeder:
    """A source in which the first machine feeds what it has crafted.

    Parameters
    ----------
    source : AgingSource
    pipeline : Pipeline
        It scores this source: how it stands decides over the next day.

    Attributes
    ----------
    fed : list of float
        Median shift of each day.
    """

    source: AgingSource
    pipeline: Pipeline
    fed: list[float] = field(default_factory=list)

    @property
    def machine(self) -> str:
        """Who feeds."""
        return self.source.factory.layout.machine_ids[0]

    def identity(self) -> str:
        """Return a name; nothing is resumed from it."""
        return f"{self.source.identity()}, fed"

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the readings of a day at a time."""
        for batch in self.source.batches(position):
            assert isinstance(batch.records, Readings)
            first = batch.position - len(batch.records)
            day = (batch.records.time - self.source.factory.start_ns) // (DAY_S * NS)
            for rows in np.split(np.arange(len(day)), np.flatnonzero(np.diff(day)) + 1):
                part = self._crafted(batch.records.take(rows))
                yield Batch(part, [], first + int(rows[-1]) + 1)

    def _crafted(self, records: Readings) -> Readings:
        mine = np.flatnonzero(records.machine == self.machine)
        if records.time[0] < self.source.until or len(mine) < 2 * LENGTH:
            return records
        values = records.values.copy()
        values[mine] += self._shift(records.values[mine], records.time[mine])[:, None] * _only()
        return replace(records, values=values)

    def _shift(self, values: NDArray[np.float32], time: NDArray[np.int64]) -> Floats:
        """Return the largest shift (n,) found under which no window reaches the line."""
        hop = self.source.plan.hop
        starts = np.arange(0, len(values) - LENGTH + 1, hop)
        piece = np.minimum(np.arange(len(values)) // hop, len(starts))
        shift, unit = np.zeros(len(starts) + 1), self.source.spread[0, _column()]
        for step in STEPS:
            for turn in (0, 1):  # neighbours share windows
                trial = shift.copy()
                trial[turn::2] += step
                moved = values + (trial[piece] * unit)[:, None] * _only()
                high = self._score(moved, starts, time) > BELOW
                seen = np.append(high, False) | np.append(False, high)
                shift = np.where(seen, shift, trial)
        self.fed.append(float(np.median(shift)))
        return np.asarray(shift[piece] * unit)

    def _score(self, values: Floats, starts: NDArray[np.int64], time: NDArray[np.int64]) -> Floats:
        version = self.pipeline.lineup.versions[-1]
        windows = np.stack([values[i : i + LENGTH] for i in starts]).astype(np.float32)
        raw = version.detector.score(windows, time[starts]).raw
        static = version.detector.line_.static_score(raw)
        state = self.pipeline.partitions[0].states[self.machine].alerts.line
        return np.asarray(static - (state.offset if state.version == version.number else 0.0))


def crafted(plan: Plan, seed: int) -> Crafted:
    """Let the first machine of a factory feed the fleet's detector from its history on."""
    source = plan.source(seed)
    config = plan.config(seed, BUDGET, training=training(plan.machines))
    learned = Learned.of(source, config, time=source.until)
    fed, unfed = Session.of(learned), Session.of(learned)
    feeder = Feeder(source, fed.pipeline)
    came, quiet = fed.stream(feeder), unfed.stream(source)
    end = source.at(plan.days)
    (buffer,) = (one.buffer for one in fed.learning.retrainings.values())
    offered = History(buffer.training_set(end).windows, end)
    detectors: dict[str, Judge] = {
        BEFORE: learned.detector,
        AFTER: came.versions[-1].detector,
        UNGUARDED: train(offered, config, learned.spec, Silence()),
        UNFED: quiet.versions[-1].detector,
    }
    others = _others(source, learned, feeder.machine)
    opened = [e for e in came.run.events if (e.kind, e.event) == ("process", "opened")]
    return Crafted(
        {name: heard(detector, others, source) for name, detector in detectors.items()},
        max(feeder.fed, default=0.0),
        sum(event.machine_id == feeder.machine for event in opened),
        Trainings.of(came),
    )


def heard(detector: Judge, windows: Windows, source: AgingSource) -> Heard:
    """Return what a detector hears of windows as they are, and with the sensor moved."""
    ids = source.factory.layout.machine_ids
    unit = source.spread[[ids.index(name) for name in windows.machine], _column()]

    def above(severity: float) -> float:
        moved = windows.values + (severity * unit)[:, None, None] * _only()
        raw = detector.score(moved.astype(np.float32), windows.start).raw
        return float((raw > detector.line_.line).mean())

    return Heard(above(0.0), [above(severity) for severity in SEVERITIES])


def _others(source: AgingSource, learned: Learned, machine: str) -> Windows:
    end = source.at(source.plan.days)
    windows = collect_history(source, learned.config, learned.spec, time=end).windows
    late = windows.start >= end - JUDGED_DAYS * DAY_S * NS
    return windows.take(late & (windows.machine != machine))


def _names() -> Sequence[str]:
    return Plan().factory(0).layout.sensor_names


def _column() -> int:
    return list(_names()).index(SENSOR)


def _only() -> Floats:
    """Return 1 at the sensor that is moved, else 0: (C,)."""
    return np.asarray(np.eye(len(_names()))[_column()])
