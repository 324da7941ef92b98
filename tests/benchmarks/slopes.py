"""The slowest fault that a moving line still tells of.

One machine of a factory creeps away in a straight line from the end of the history on, once for
each slope, on one sensor or on all of them. The line follows, at most ``drift.max_per_day`` a
day and ``drift.max_total`` in all. A ramp is *told* if at least half of the windows of its last
day are alarms, which an open incident of kind ``drift`` makes them too: without a fault it is
less than one in ten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simulators import Fault
from stream_ad.config import Config
from stream_ad.evaluation.outputs import Run
from tests.benchmarks.carrying import Fitted
from tests.benchmarks.factories import DAY_S, FactorySource, OneAfterAnother, Plan
from tests.benchmarks.refitting import Learned
from tests.benchmarks.table import Grid

EVERY = 900  # scored windows: two and a half days of a machine
SLOPES = tuple(0.25 * 2 ** (i / 2) for i in range(10))  # standard deviations a day, to 5.7
REFITTED = SLOPES[::2]  # those of machines alone: each takes fits of its own
TOUCHED: Mapping[str, tuple[str, ...]] = {"one sensor": ("bearing_temperature",), "all sensors": ()}


@dataclass(frozen=True, slots=True)
class Ramp:
    """How one ramp ended.

    Parameters
    ----------
    touched : str
        A key of ``TOUCHED``.
    slope : float
        Standard deviations of the sensor a day; 5 % of the whole way come at once.
    alarms : float
        Share of the windows of its last day.
    drift : bool
        Whether an incident of kind ``drift`` opened.
    static_score : float
        The median of its last day.
    refits : int
        Versions that followed the first one.
    """

    touched: str
    slope: float
    alarms: float
    drift: bool
    static_score: float
    refits: int = 0

    @property
    def told(self) -> bool:
        """Whether anybody would know at its end."""
        return self.alarms >= 0.5


@dataclass(frozen=True, slots=True)
class Refitted:
    """Ramps on machines alone, without refits and with them."""

    never: list[Ramp]
    often: list[Ramp]

    def __add__(self, other: Refitted) -> Refitted:
        """Join those of several seeds."""
        return Refitted(self.never + other.never, self.often + other.often)


def ramps(plan: Plan, seed: int, fitted: Fitted, slopes: Sequence[float] = SLOPES) -> list[Ramp]:
    """Let the first machine of a factory creep at each slope over the plan's scored days."""
    variants = {
        f" {touched} {slope:.4g}": (touched, slope) for touched in TOUCHED for slope in slopes
    }
    sources = [_source(plan, seed, suffix, *ramp) for suffix, ramp in variants.items()]
    carried = fitted.carry(OneAfterAnother(sources))
    machine = sources[0].factory.layout.machine_ids[0]
    run = carried.run
    return [_ramp(run, machine + suffix, *ramp) for suffix, ramp in variants.items()]


def refitted_ramps(
    plan: Plan,
    seed: int,
    config: Config,
    slopes: Sequence[float] = REFITTED,
    every: int = EVERY,
    which: Sequence[str] = tuple(TOUCHED),
) -> Refitted:
    """Let a machine alone creep at each slope, its detector fitted anew on the way or not."""
    alone = replace(plan, machines=1, creep=0.0).source(seed)
    until = alone.factory.start_ns + plan.history_s * 10**9
    learned = Learned.of(alone, config, time=until)
    (machine,) = alone.factory.layout.machine_ids

    def carried(distance: int | None) -> list[Ramp]:
        found = []
        for ramp in ((touched, slope) for touched in which for slope in slopes):
            carried = learned.carry(_source(plan, seed, "", *ramp), distance)
            found.append(_ramp(carried.run, machine, *ramp, refits=carried.made))
        return found

    return Refitted(carried(None), carried(every))


def smallest(found: Sequence[Ramp], touched: str) -> float:
    """Return the slope from which on every ramp was told; NaN if the steepest was not."""
    missed = {ramp.slope for ramp in found if ramp.touched == touched and not ramp.told}
    slopes = sorted({ramp.slope for ramp in found if ramp.touched == touched})
    above = [slope for slope in slopes if slope > max(missed, default=0.0)]
    return above[0] if above else math.nan


def slopes_grid(found: Sequence[Ramp], days: int) -> Grid:
    """Return what became of each slope, over all seeds."""
    headings = ["slope, sd a day", "static_score at the end", "in alarm at the end", "told"]
    rows = []
    for touched in TOUCHED:
        for slope in sorted({ramp.slope for ramp in found}):
            these = [r for r in found if (r.touched, r.slope) == (touched, slope)]
            told, drift = sum(r.told for r in these), sum(r.drift for r in these)
            rows.append(
                [
                    f"{touched}, {slope:.2f}",
                    f"{np.median([r.static_score for r in these]):.2f}",
                    f"{np.mean([r.alarms for r in these]):.0%}",
                    f"{told} of {len(these)}",
                    f"{drift}",
                ]
            )
    return Grid(f"Ramps over {days} days", [*headings, "with kind drift"], rows)


def refitted_grid(found: Refitted, days: int) -> Grid:
    """Return what became of each slope without refits and with them, over all seeds."""
    headings = ["slope, sd a day"]
    for how in ("never", f"after {EVERY}"):
        headings += [f"{how}: in alarm at the end", "told", "with kind drift"]
    rows = []
    for touched in TOUCHED:
        for slope in sorted({ramp.slope for ramp in found.never}):
            cells = [f"{touched}, {slope:.2f}"]
            for ramps in (found.never, found.often):
                these = [r for r in ramps if (r.touched, r.slope) == (touched, slope)]
                cells.append(f"{np.mean([r.alarms for r in these]):.0%}")
                cells.append(f"{sum(r.told for r in these)} of {len(these)}")
                cells.append(f"{sum(r.drift for r in these)}")
            cells.append(f"{np.mean([r.refits for r in these]):.1f}")
            rows.append(cells)
    title = f"Ramps over {days} days, of a machine alone, without refits and fitted anew"
    return Grid(title, [*headings, "refits"], rows)


def _source(plan: Plan, seed: int, suffix: str, touched: str, slope: float) -> FactorySource:
    source = replace(plan, machines=1, creep=0.0).source(seed)
    (machine,) = source.factory.layout.machine_ids
    length = plan.days * DAY_S
    fault = Fault(machine, "drift", plan.history_s, length, TOUCHED[touched], slope * plan.days)
    return replace(source, faults=[fault], suffix=suffix)


def _ramp(run: Run, machine: str, touched: str, slope: float, refits: int = 0) -> Ramp:
    scored = run.scored
    end = scored.end[scored.machine == machine]
    last = (scored.machine == machine) & (scored.end > end.max() - DAY_S * 10**9)
    drift = any(event.kind == "drift" and event.machine_id == machine for event in run.events)
    static_score = float(np.median(scored.static_score[last]))
    return Ramp(touched, slope, float(scored.alarm[last].mean()), drift, static_score, refits)
