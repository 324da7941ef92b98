"""The figures of the benchmark of retraining beside their targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tests.benchmarks.retraining_crafted import AFTER, BEFORE, UNFED, UNGUARDED
from tests.benchmarks.retraining_judging import share
from tests.benchmarks.retraining_labels import LABELLED, UNLABELLED, Effect
from tests.benchmarks.retraining_mixed import ROBUST
from tests.benchmarks.retraining_parts import Found
from tests.benchmarks.retraining_seasons import BUDGET, NEVER, RUNS, WITH, WITHOUT, Seasons
from tests.benchmarks.retraining_tables import pooled, recall, settled
from tests.benchmarks.slopes import TOUCHED, Ramp, Refitted, smallest
from tests.benchmarks.table import Figure

LEAST_EXPECTED = 50  # false incidents in every settled phase of a seed
OVER_ASKED = (0.5, 2.0)
MOST_COST = 2.0  # points of AUC-ROC
MOST_LOST = 0.2  # recall of one fault in one sensor: what the gate allows of one kind
COME_BACK = 0.25  # of spans of three hours and of windows; by chance about one in ten
RETRAINS = 3
NEW_NORMAL = "--new-normal"


def figures(found: Found, changes: int) -> Iterator[Figure]:
    """Yield everything that is judged, and what it is to be read beside."""
    yield from _seasons([*found.seasons.values()], changes)
    yield from _ramps([*found.ramps.values()])
    yield from _mixed(found)
    yield from _crafted(found)
    yield from _labels([*found.normal.values()], [*found.anomalies.values()])


def _seasons(seeds: Sequence[Seasons], changes: int) -> Iterator[Figure]:
    for name, one, asked in settled(seeds):
        key = name.replace(" ", "_")
        low, high = one.interval(BUDGET)
        yield Figure(f"{key}.expected", asked, LEAST_EXPECTED, form=".1f")
        yield from _within(f"{key}.over_asked", one.over_asked(BUDGET), OVER_ASKED)
        yield Figure(f"{key}.over_asked.low", low, form=".2f")
        yield Figure(f"{key}.over_asked.high", high, form=".2f")
    gained = recall(seeds, WITH, "clear_found") - recall(seeds, NEVER, "clear_found")
    yield Figure("recall.gained", gained, 0.0, form=".3f")
    for number, key in enumerate(("recall.only_retrained", "recall.only_never")):
        apart = sum(one.worth[WITH].apart[number] for one in seeds)
        yield Figure(key, apart, form=".0f")
    for run in RUNS:
        key = run.replace(",", "").replace(" ", "_")
        for what in ("clear_found", "found", "told"):
            yield Figure(f"recall.{what}.{key}", recall(seeds, run, what), form=".3f")
    yield Figure("benign.drift_incidents", _benign(seeds), 0, "exactly", form=".0f")
    accepted = min(one.trainings[WITH].accepted for one in seeds)
    yield Figure("new_normal.accepted", accepted, changes, "exactly", correctness=True)
    refused = min(
        sum(
            NEW_NORMAL in s
            for run in (one.only_normal, one.trainings[WITHOUT])
            for s in run.refusals
        )
        for one in seeds
    )
    yield Figure("new_normal.refused", refused, 1, correctness=True)


def _benign(seeds: Sequence[Seasons]) -> int:
    """Count incidents of kind drift while seasons and wear alone moved anything."""
    names, found = seeds[0].phase_names, pooled(seeds, "phases")[WITH]
    calm = [one for name, one in zip(names, found, strict=True) if not name[-1].isdigit()]
    return sum(one.drifts for one in calm)


def _ramps(parts: Sequence[Refitted]) -> Iterator[Figure]:
    found = sum(parts[1:], parts[0])
    for touched in TOUCHED:
        if not any(ramp.touched == touched for ramp in found.often):
            continue
        key = touched.replace(" ", "_")
        yield Figure(f"detection_limit.{key}.never", smallest(found.never, touched), form=".2f")
        steepest = max(ramp.slope for ramp in found.often)
        limit = smallest(found.often, touched)
        yield Figure(f"detection_limit.{key}", limit, steepest, "at most", ".2f", correctness=True)
    through = [ramp for ramp in found.often if _beyond(ramp, found)]
    told = share(sum(ramp.told for ramp in through), len(through))
    yield Figure("slow_fault.through_three_retrains", len(through), 1, correctness=True)
    yield Figure("slow_fault.told", told, 1.0, correctness=True)


def _beyond(ramp: Ramp, found: Refitted) -> bool:
    """Whether a ramp is beyond the limit of a line alone, and three versions learned from it."""
    return ramp.refits >= RETRAINS and ramp.slope >= smallest(found.never, ramp.touched)


def _mixed(found: Found) -> Iterator[Figure]:
    for name in next(iter(found.mixed.values())):
        cost = float(np.mean([members[name].cost for members in found.mixed.values()]))
        key = name.split(" (")[0].replace(" + ", "_")
        target = MOST_COST if name == ROBUST else None
        yield Figure(f"mixed.{key}.cost", cost, target, "at most", form=".2f")
        for which in ("clean", "mixed"):
            auc = np.mean([getattr(members[name], which) for members in found.mixed.values()])
            yield Figure(f"mixed.{key}.{which}", float(auc), form=".4f")


def _crafted(found: Found) -> Iterator[Figure]:
    heard = [one.heard for one in found.crafted.values()]
    means = {
        name: float(np.mean([one[name].mean for one in heard]))
        for name in (BEFORE, UNFED, AFTER, UNGUARDED)
    }
    yield Figure("crafted.recall_lost", means[UNFED] - means[AFTER], MOST_LOST, "at most", ".3f")
    for name, mean in means.items():
        key = name.replace(" ", "_")
        yield Figure(f"crafted.recall.{key}", mean, form=".3f")
        alarms = float(np.mean([one[name].alarms for one in heard]))
        yield Figure(f"crafted.alarms_of_others.{key}", alarms, form=".3f")
    refused = sum(len(one.trainings.refusals) for one in found.crafted.values())
    yield Figure("crafted.refused", refused, form=".0f")


def _labels(normal: Sequence[Effect], anomalies: Sequence[Effect]) -> Iterator[Figure]:
    back = {name: _share(normal, name) for name in (LABELLED, UNLABELLED)}
    yield Figure("labels.come_back", back[LABELLED], COME_BACK, "at most", ".3f")
    yield Figure("labels.come_back.unlabelled", back[UNLABELLED], form=".3f")
    windows = _windows(normal, LABELLED)
    yield Figure("labels.come_back.windows", windows, COME_BACK, "at most", form=".3f")
    yield Figure("labels.come_back.windows.unlabelled", _windows(normal, UNLABELLED), form=".3f")
    similar = {name: _share(anomalies, name) for name in (LABELLED, UNLABELLED)}
    yield Figure(
        "labels.similar_found.gained", similar[LABELLED] - similar[UNLABELLED], 0.0, form=".3f"
    )
    yield Figure("labels.similar_found", similar[LABELLED], form=".3f")
    yield Figure("labels.similar_found.unlabelled", similar[UNLABELLED], form=".3f")
    gained = _windows(anomalies, LABELLED) - _windows(anomalies, UNLABELLED)
    yield Figure("labels.similar_windows.gained", gained, 0.1, form=".3f")


def _share(effects: Sequence[Effect], name: str) -> float:
    met = [effect.next[name] for effect in effects]
    return share(sum(one.hit for one in met), sum(one.spans for one in met))


def _windows(effects: Sequence[Effect], name: str) -> float:
    met = [effect.next[name] for effect in effects]
    return share(sum(one.alarms for one in met), sum(one.windows for one in met))


def _within(name: str, value: float, bounds: tuple[float, float]) -> Iterator[Figure]:
    low, high = bounds
    yield Figure(name, value, low, "at least", form=".2f")
    yield Figure(f"{name}.at_most", value, high, "at most", form=".2f")
