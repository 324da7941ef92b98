"""One aging factory, four times: never retrained, and retrained with and without an operator.

What is learned from and when was picked on seeds 11 to 14: a training every other day on about
twelve days, the latest first, in which a label of a new normal is learned within a day or two;
incidents that nobody labels lapse after five days. After seven the false ones, which stay out as
long, leave so little of what is rare and normal that lines lie too low; after three they lie
higher, and less is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from stream_ad.evaluation.outputs import Run
from stream_ad.transport.base import Batch
from stream_ad.windows import Readings
from tests.benchmarks.aging import DAY_S, AgingSource, Plan
from tests.benchmarks.refitting import Learned
from tests.benchmarks.retraining_judging import (
    LABEL_NS,
    Count,
    by_kind,
    count,
    drowned,
    found,
    phases,
    weeks,
)
from tests.benchmarks.retraining_operator import AfterChanges, Says, nothing
from tests.benchmarks.retraining_runs import Retrained, Session

BUDGET = 1.0  # incidents a machine-day
NEVER, WITH, WITHOUT = "never retrained", "retrained, labels", "retrained, no label"
RUNS = (NEVER, WITH, WITHOUT)
REFUSED_FOR_DAYS = 5  # so long after the first change it is shown what the gate refuses


def training(machines: int) -> dict[str, Any]:
    """Return what is learned from, and when."""
    return {
        "every_s": 2 * DAY_S,
        "buffer_windows": 540 * machines,  # twelve days of them
        "half_life_s": 10 * DAY_S,
        "labelled_windows": 150 * machines,
        "quarantine_s": 5 * DAY_S,
    }


class Worth(NamedTuple):
    """What a run was worth.

    Parameters
    ----------
    weeks, phases : list of Count
    kinds : mapping of str to (int, int)
        Faults found of a kind, and how many there were, those not drowned.
    apart : (int, int)
        Faults that only this run found of those not drowned, and that only the one found that
        was never retrained.
    """

    weeks: list[Count]
    phases: list[Count]
    kinds: Mapping[str, tuple[int, int]]
    apart: tuple[int, int]


class Trainings(NamedTuple):
    """How many trainings there were, and what became of them."""

    tried: int
    promoted: int
    accepted: int
    refusals: list[str]

    @classmethod
    def of(cls, retrained: Retrained) -> Trainings:
        """Count those of a run."""
        made = [one for one in retrained.tried if "version" in one]
        accepted = sum(bool(one["accepted"]) for one in made)
        return cls(len(retrained.tried), len(made), accepted, retrained.refusals)


@dataclass(frozen=True, slots=True)
class Seasons:
    """What one seed came to.

    Parameters
    ----------
    week_names, phase_names : list of str
    worth : mapping of str to Worth
        By run.
    trainings : mapping of str to Trainings
        By run that is retrained.
    only_normal : Trainings
        Of one in which the incidents of the first change are labelled normal, and nobody says
        that it is the new normal.
    """

    week_names: list[str]
    phase_names: list[str]
    worth: Mapping[str, Worth]
    trainings: Mapping[str, Trainings]
    only_normal: Trainings


def seasons(plan: Plan, seed: int) -> Seasons:
    """Run all four over the factory of a seed."""
    source = plan.source(seed)
    whole = Learned.of(source, plan.config(seed, BUDGET), time=source.until)
    never = whole.carry(source).run
    config = plan.config(seed, BUDGET, training=training(plan.machines))
    learned = replace(whole, config=config)
    spoken = Session.of(learned, _operator(source, learned)).stream(source)
    silent = Session.of(learned, nothing).stream(source)
    only = _operator(source, learned, new_normal=False)
    shown = Session.of(learned, only).stream(_Beginning(source, _refused_until(source)))
    runs = {NEVER: never, WITH: spoken.run, WITHOUT: silent.run}
    return Seasons(
        [week.name for week in weeks(source)],
        [phase.name for phase in phases(source)],
        {name: _worth(run, never, source, learned) for name, run in runs.items()},
        {WITH: Trainings.of(spoken), WITHOUT: Trainings.of(silent)},
        Trainings.of(shown),
    )


def _operator(source: AgingSource, learned: Learned, *, new_normal: bool = True) -> Says:
    changes = [source.at(change.day) for change in source.plan.changes]
    return AfterChanges(changes, LABEL_NS, learned.spec.window_ns, new_normal=new_normal)


def _refused_until(source: AgingSource) -> int:
    return source.at(source.plan.changes[0].day + REFUSED_FOR_DAYS)


def _worth(run: Run, never: Run, source: AgingSource, learned: Learned) -> Worth:
    events = source.events()
    clear = ~drowned(never, events)
    ours, theirs = (clear & found(one, events) for one in (run, never))
    return Worth(
        count(run, events, clear, weeks(source), learned.spec),
        count(run, events, clear, phases(source), learned.spec),
        by_kind(run, events, clear),
        (int((ours & ~theirs).sum()), int((theirs & ~ours).sum())),
    )


@dataclass(frozen=True, slots=True)
class _Beginning:
    """A source until a time in ns, in whole batches."""

    source: AgingSource
    until: int

    def identity(self) -> str:
        return self.source.identity()

    def batches(self, position: int = 0) -> Iterator[Batch]:
        for batch in self.source.batches(position):
            assert isinstance(batch.records, Readings)
            if batch.records.time[0] >= self.until:
                return
            yield batch
