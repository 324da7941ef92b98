"""What a tenth of unlabelled anomalies in what is learned costs.

A detector learns two weeks of a factory twice: as they were, and with every tenth window taken
from a factory that is the same but for faults of all kinds, which nobody has told of. Both are
held against the labels of the week after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import Factory, Fault
from stream_ad.evaluation.metrics import auc_roc
from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import History, collect_history
from stream_ad.windows import Windows, WindowSpec
from tests.benchmarks.aging import DAY_S, AgingSource, Event, Plan
from tests.benchmarks.retraining_seasons import BUDGET

SHARE = 0.1
ROBUST, USUAL = "ncae + joined", "linear + joined (default)"
MEMBERS: Mapping[str, Mapping[str, str]] = {
    ROBUST: {"model": "ncae"},
    USUAL: {},
    "ncae + ares": {"model": "ncae", "scorer": "ares"},
}
MANY = 21  # faults drawn on a machine in its history: more than a tenth of its time

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mixed:
    """AUC-ROC of one member after learning clean windows, and after learning mixed ones."""

    clean: float
    mixed: float

    @property
    def cost(self) -> float:
        """Points lost."""
        return 100 * (self.clean - self.mixed)


def mixed(
    plan: Plan, seed: int, members: Mapping[str, Mapping[str, Any]] = MEMBERS
) -> dict[str, Mixed]:
    """Fit each member twice."""
    source = plan.source(seed)
    config = plan.config(seed, BUDGET)
    spec = WindowSpec.from_config(config.windows)
    clean, poisoned = windows(source, spec)
    early = clean.start + spec.window_ns <= source.until
    judged = clean.take(clean.start >= source.until)
    label = overlap(judged, source.events(), spec).astype(np.float64)

    def auc(learned: Windows, settings: Mapping[str, Any]) -> float:
        chosen = plan.config(seed, BUDGET, detector=settings)
        detector = train(History(learned.take(early), source.until), chosen, spec, Silence())
        found = auc_roc(label, detector.score(judged.values, judged.start).raw)
        return float("nan") if found is None else found

    return {name: Mixed(auc(clean, s), auc(poisoned, s)) for name, s in members.items()}


def windows(source: AgingSource, spec: WindowSpec) -> tuple[Windows, Windows]:
    """Return the windows of a source, and the same with a tenth of its history out of order."""
    plan, config = source.plan, source.plan.config(source.factory.seed, BUDGET)
    faulty = replace(source, faults=[*_faults(plan, source.factory)])
    end = source.at(plan.days)
    clean, other = (collect_history(s, config, spec, time=end).windows for s in (source, faulty))
    assert np.array_equal(clean.start, other.start)
    assert np.array_equal(clean.machine, other.machine)
    early = clean.start + spec.window_ns <= source.until
    events = faulty.events()
    taken = np.zeros(len(clean), bool)
    for i in np.random.default_rng(source.factory.seed).permutation(len(events)):
        if taken[early].mean() >= SHARE:
            break
        taken |= early & overlap(clean, [events[i]], spec)
    values = np.where(taken[:, None, None], other.values, clean.values)
    return clean, replace(clean, values=values)


def overlap(windows: Windows, events: Sequence[Event], spec: WindowSpec) -> Bools:
    """Return which windows (n,) overlap one of some events."""
    found = np.zeros(len(windows), bool)
    for event in events:
        late = windows.start + spec.window_ns > event.start
        found |= (windows.machine == event.machine) & (windows.start < event.end) & late
    return found


def _faults(plan: Plan, factory: Factory) -> Iterator[Fault]:
    for number, machine in enumerate(factory.layout.machine_ids):
        alone = Factory(1, 8, plan.period_s, 1000 * factory.seed + 500 + number)
        for fault in alone.schedule(MANY, plan.history_days * DAY_S, 0.0):
            yield replace(fault, machine_id=machine)
