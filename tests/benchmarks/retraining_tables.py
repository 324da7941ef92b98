"""What the benchmark of retraining prints, and its figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tests.benchmarks.aging import Plan
from tests.benchmarks.retraining_crafted import SENSOR, SEVERITIES, Crafted
from tests.benchmarks.retraining_figure import Panel, draw
from tests.benchmarks.retraining_judging import Count, share
from tests.benchmarks.retraining_labels import LABELLED, UNLABELLED, Effect, Met
from tests.benchmarks.retraining_mixed import Mixed
from tests.benchmarks.retraining_seasons import BUDGET, NEVER, RUNS, WITH, Seasons
from tests.benchmarks.table import Grid

MOST_SENTENCES = 4

Pooled = Mapping[str, list[Count]]


def pooled(seeds: Sequence[Seasons], which: str) -> Pooled:
    """Return by run what happened in each of its ``weeks`` or ``phases``, over all seeds."""
    found = {}
    for run in RUNS:
        rows = zip(*(getattr(one.worth[run], which) for one in seeds), strict=True)
        found[run] = [Count.pooled(row) for row in rows]
    return found


def weekly_grid(seeds: Sequence[Seasons]) -> Grid:
    """Return false alarms and recall week by week."""
    found, headings, rows = pooled(seeds, "weeks"), ["week"], []
    for run in RUNS:
        headings += [f"{run}: false a machine-day", "in alarm", "found", "told"]
    for number, name in enumerate(seeds[0].week_names):
        cells = [name]
        for run in RUNS:
            one = found[run][number]
            cells += [
                f"{share(one.false, one.days):.2f}",
                f"{share(one.alarms, one.windows):.0%}",
                f"{share(one.found, one.faults):.0%}",
                f"{share(one.told, one.faults):.0%}",
            ]
        rows.append(cells)
    return Grid("Over time, all seeds", headings, rows)


def phases_grid(seeds: Sequence[Seasons]) -> Grid:
    """Return asked and achieved between the changes."""
    headings = ["phase, run", "asked", "achieved", "over asked", "95 % Poisson"]
    headings += ["of kind drift", "in alarm", "faults", "found", "told", "not drowned", "found"]
    rows = []
    found = pooled(seeds, "phases")
    for number, name in enumerate(seeds[0].phase_names):
        for run in RUNS:
            one = found[run][number]
            low, high = one.interval(BUDGET)
            rows.append(
                [
                    f"{name}, {run}",
                    f"{one.days * BUDGET:.0f}",
                    f"{one.false}",
                    f"{one.over_asked(BUDGET):.2f}",
                    f"{low:.2f} - {high:.2f}",
                    f"{one.drifts}",
                    f"{share(one.alarms, one.windows):.1%}",
                    f"{one.faults}",
                    f"{share(one.found, one.faults):.1%}",
                    f"{share(one.told, one.faults):.1%}",
                    f"{one.clear}",
                    f"{share(one.clear_found, one.clear):.1%}",
                ]
            )
    return Grid("Between the changes, all seeds", headings, rows)


def kinds_grid(seeds: Sequence[Seasons]) -> Grid:
    """Return the recall of each kind of fault, where never retrained was not drowned."""
    rows = []
    for kind in seeds[0].worth[NEVER].kinds:
        cells = []
        for run in RUNS:
            parts = [one.worth[run].kinds.get(kind, (0, 0)) for one in seeds]
            cells.append(f"{sum(p[0] for p in parts)} of {sum(p[1] for p in parts)}")
        rows.append([kind, *cells])
    return Grid("Faults found, where never retrained was not drowned", ["kind", *RUNS], rows)


def trainings_grid(seeds: Mapping[int, Seasons]) -> Grid:
    """Return what became of the trainings."""
    headings = ["seed, run", "trainings", "promoted", "by a new normal", "refused"]
    rows = []
    for seed, one in seeds.items():
        for name, found in {**one.trainings, "normal only": one.only_normal}.items():
            counts = (found.tried, found.promoted, found.accepted, len(found.refusals))
            rows.append([f"{seed}, {name}", *map(str, counts)])
    return Grid("Trainings", headings, rows)


def refusals(seeds: Mapping[int, Seasons]) -> Iterator[str]:
    """Yield sentences of the gate that refuse, some of each kind of run."""
    for seed, one in seeds.items():
        yield f"seed {seed}, labelled normal and not new normal:"
        yield from _some(one.only_normal.refusals)
        for run, found in one.trainings.items():
            if found.refusals:
                yield f"seed {seed}, {run}:"
                yield from _some(found.refusals)


def crafted_grid(found: Mapping[int, Crafted]) -> Grid:
    """Return what the fleet hears of the fault that one machine feeds."""
    headings = ["seed, detector", "alarms of the others", *(f"{s:g} sd" for s in SEVERITIES)]
    rows = []
    for seed, one in found.items():
        for name, heard in one.heard.items():
            cells = [f"{heard.alarms:.1%}", *(f"{r:.0%}" for r in heard.recall)]
            rows.append([f"{seed}, {name}", *cells, f"{heard.mean:.3f}"])
    return Grid(f"One machine feeds {SENSOR}: windows of the others", [*headings, "mean"], rows)


def crafted_told(found: Mapping[int, Crafted]) -> Iterator[str]:
    """Yield what the feeder got through, and what the gate said."""
    for seed, one in found.items():
        gate = one.trainings
        yield (
            f"seed {seed}: it fed up to {one.farthest:.2f} sd (median of a day), caused "
            f"{one.incidents} incidents of its own; {gate.promoted} of {gate.tried} trainings "
            "were promoted"
        )
        yield from _some(gate.refusals)


def mixed_grid(found: Mapping[int, Mapping[str, Mixed]]) -> Grid:
    """Return AUC-ROC after clean and after mixed windows."""
    rows = [
        [f"{seed}, {name}", f"{one.clean:.4f}", f"{one.mixed:.4f}", f"{one.cost:+.2f}"]
        for seed, members in found.items()
        for name, one in members.items()
    ]
    headings = ["seed, member", "AUC-ROC, clean", "a tenth anomalies", "cost in points"]
    return Grid("A tenth of unlabelled anomalies in what is learned", headings, rows)


def effects_grid(title: str, found: Mapping[int, Effect]) -> Grid:
    """Return in how many spans an incident was open, and how many of their windows alarmed."""
    headings = ["seed", "labels", "by chance", "before", "windows"]
    for name in (UNLABELLED, LABELLED):
        headings += [f"next, {name}", "windows", "later", "windows"]
    rows = []
    for seed, one in found.items():
        cells = [f"{one.labels}", f"{one.by_chance:.0%}", *_met([one.before])]
        for name in (UNLABELLED, LABELLED):
            cells += _met([one.next[name], one.later[name]])
        rows.append([f"{seed}", *cells])
    return Grid(title, headings, rows)


def figure(seeds: Sequence[Seasons], plan: Plan) -> str:
    """Return false alarms, time in alarm and recall over the weeks as SVG."""
    found = pooled(seeds, "weeks")

    def lines(of: Callable[[Count], float]) -> dict[str, list[float]]:
        return {run: [of(one) for one in found[run]] for run in RUNS}

    false = lines(lambda one: share(one.false, one.days))
    high = max(2.0 * BUDGET, np.ceil(np.nanmax([*false.values()])))
    panels = [
        Panel("False incidents a machine-day", high, false, BUDGET),
        Panel(
            "Share of the time without a fault in alarm",
            1.0,
            lines(lambda one: share(one.alarms, one.windows)),
        ),
        Panel("Faults that an incident overlaps", 1.0, lines(lambda o: share(o.found, o.faults))),
        Panel("Faults that open an incident", 1.0, lines(lambda o: share(o.told, o.faults))),
    ]
    stops = [*range(plan.history_days, plan.days, 7), plan.days]
    marks = {f"change {number}": c.day for number, c in enumerate(plan.changes, 1)}
    return draw(panels, stops, marks)


def recall(seeds: Sequence[Seasons], run: str, key: str) -> float:
    """Return a share of all faults (``found``, ``told``), or of those not drowned (``clear_``)."""
    whole = Count.pooled(pooled(seeds, "phases")[run])
    there = whole.clear if key.startswith("clear") else whole.faults
    return share(getattr(whole, key), there)


def settled(seeds: Sequence[Seasons]) -> Iterator[tuple[str, Count, float]]:
    """Yield the phases in which a change has settled, retrained with labels, and what was asked.

    What was asked is that of the seed in which it was least.
    """
    for number, name in enumerate(seeds[0].phase_names):
        if name.endswith("settled"):
            parts = [one.worth[WITH].phases[number] for one in seeds]
            yield name, Count.pooled(parts), min(part.days * BUDGET for part in parts)


def _met(found: Sequence[Met]) -> list[str]:
    cells = []
    for met in found:
        cells += [f"{met.hit} of {met.spans}", f"{met.windows_share:.0%}"]
    return cells


def _some(sentences: Sequence[str]) -> Iterator[str]:
    yield from (f"  {sentence}" for sentence in sentences[:MOST_SENTENCES])
    if len(sentences) > MOST_SENTENCES:
        yield f"  and {len(sentences) - MOST_SENTENCES} more"
    if not sentences:
        yield "  nothing was refused"
