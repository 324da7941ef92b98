"""The asked budget of false alarms against what simulated factories and recordings achieved.

Nothing goes wrong in any of them, so every process incident is a false one. Histories lie
before the scored time; readings, windows, training, line, pipeline and incidents are those of
a replay. The p-values of the same windows have to be as common as they say.

A slow ramp is put on a machine besides: the smallest slope that is told of in spite of a line
that moves, and of detectors that are fitted anew on the way.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from stream_ad.config import DetectorConfig, parse_config
from stream_ad.config.scoring import MODELS
from stream_ad.errors import InputError
from tests.benchmarks.budget_results import (
    Tallies,
    by_family,
    by_seed,
    figures,
    p_values_by_family,
    without_target,
)
from tests.benchmarks.carrying import Fitted
from tests.benchmarks.factories import PLANS, Plan
from tests.benchmarks.fault_free import FAULT_FREE, fault_free
from tests.benchmarks.recordings import FAMILIES, Recording, load
from tests.benchmarks.slopes import (
    EVERY,
    REFITTED,
    SLOPES,
    Ramp,
    Refitted,
    ramps,
    refitted_grid,
    refitted_ramps,
    slopes_grid,
)
from tests.benchmarks.table import Figure, Grid, conclude, options, show
from tests.benchmarks.tallies import Tally

SEEDS = tuple(range(100, 110))  # reported ones; nothing was tuned with them
BUDGET = 2.0  # incidents a machine-day
RECORDED_BUDGET = 48.0  # the recordings are hours, not days
QUICK_PLANS = [plan.shortened(machines=2, days=2, history_days=7) for plan in PLANS]
QUICK_SLOPES, QUICK_ROWS = (SLOPES[0], SLOPES[-1]), (300, 600)
REFITTED_SEEDS = 3  # as many of the first ones: every ramp fits detectors of its own
QUICK_EVERY = 200


class Clock:
    """How long each part took, in seconds."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside for a part."""
        began = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - began

    def grid(self) -> Grid:
        """Return one line for each part."""
        rows = [[name, f"{spent:.0f}"] for name, spent in self.seconds.items()]
        return Grid("Time", ["part", "seconds"], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = _arguments(argv)
    clock, began = Clock(), time.monotonic()
    try:
        free = {f: _few(fault_free(f, arguments.data), arguments.quick) for f in FAULT_FREE}
        labelled = {f: _few(load(f, arguments.data), arguments.quick) for f in FAMILIES}
    except InputError as error:
        print(f"missed: {error}")
        return 1
    factories, moved, found = _factories(arguments, clock)
    for plan in arguments.plans:
        show(by_seed(plan, factories[plan.name], arguments.seeds))
    show(slopes_grid(found, arguments.plans[0].days))
    with clock.part("ramps, fitted anew"):
        refitted = _refitted(arguments)
    show(refitted_grid(refitted, arguments.plans[0].days))
    with clock.part("fault-free recordings"):
        recorded = _recorded(free, arguments)
    show(by_family("Fault-free recordings, 48 a machine-day, without a target", recorded))
    with clock.part("normal parts of the recordings"):
        normal = _recorded(labelled, arguments)
    show(p_values_by_family("Normal parts of the recordings, without a target", normal))
    show(clock.grid())
    minutes = Figure("minutes", (time.monotonic() - began) / 60)
    judged = figures(factories, moved, found, refitted)
    return conclude([*judged, minutes], arguments, without_target(recorded, normal))


def _few(recordings: list[Recording], quick: bool) -> list[Recording]:
    return [recordings[0].shortened(*QUICK_ROWS)] if quick else recordings


def _factories(
    arguments: Namespace, clock: Clock
) -> tuple[Tallies, Mapping[str, float], list[Ramp]]:
    """Return each plan's tallies by seed, the farthest move of any of its lines, the ramps."""
    tallies: defaultdict[str, list[Tally]] = defaultdict(list)
    moved: defaultdict[str, float] = defaultdict(float)
    found: list[Ramp] = []
    for seed in arguments.seeds:
        known: dict[Plan, Fitted] = {}
        for plan in arguments.plans:
            if plan.learned not in known:
                with clock.part("fitting to factories"):
                    known[plan.learned] = _fit(plan, seed, arguments.detector)
            with clock.part(f"factory {plan.name}"):
                carried = known[plan.learned].carry(plan.source(seed))
            tallies[plan.name].append(carried.tally())
            moved[plan.name] = max(moved[plan.name], carried.moved)
        with clock.part("ramps"):
            steady = arguments.plans[0]
            found += ramps(steady, seed, known[steady.learned], arguments.slopes)
        print(f"seed {seed}: {sum(clock.seconds.values()):.0f} s", file=sys.stderr, flush=True)
    return tallies, moved, found


def _refitted(arguments: Namespace) -> Refitted:
    """Return the ramps of machines alone, without refits and with them."""
    plan, found = replace(arguments.plans[0], machines=1), Refitted([], [])
    for seed in arguments.seeds[:REFITTED_SEEDS]:
        config = plan.config(seed, BUDGET, arguments.detector)
        found += refitted_ramps(plan, seed, config, arguments.refitted, arguments.every)
    return found


def _fit(plan: Plan, seed: int, detector: Mapping[str, Any]) -> Fitted:
    source = plan.source(seed)
    until = source.factory.start_ns + plan.history_s * 10**9
    return Fitted.of(source, plan.config(seed, BUDGET, detector), time=until)


def _recorded(recordings: Mapping[str, Sequence[Recording]], arguments: Namespace) -> Tallies:
    """Return by family a tally of each recording; those that learn the same share the fit."""
    tallies: defaultdict[str, list[Tally]] = defaultdict(list)
    for family, members in recordings.items():
        known: dict[str, Fitted] = {}
        for recording in members:
            key = recording.training_digest()
            if key not in known:  # those that share lie beside each other
                known = {key: _fit_recording(recording, arguments)}
            tallies[family].append(known[key].carry(recording).tally(recording))
    return tallies


def _fit_recording(recording: Recording, arguments: Namespace) -> Fitted:
    config = parse_config(
        {
            "windows": recording.windows(),
            "detector": arguments.detector | {"seed": arguments.seeds[0]},
            "alarm": {"budget_per_machine_day": RECORDED_BUDGET},
        }
    )
    return Fitted.of(recording, config, rows=recording.history)


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = options((__doc__ or "").splitlines()[0])
    default = DetectorConfig()
    scorers = get_args(DetectorConfig.model_fields["scorer"].annotation)
    for key, allowed in {"model": [*MODELS], "scorer": scorers}.items():
        chosen = getattr(default, key)
        parser.add_argument(f"--{key}", choices=allowed, default=chosen, help=f"({chosen})")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    arguments = parser.parse_args(argv)
    arguments.detector = {"model": arguments.model, "scorer": arguments.scorer}
    quick = arguments.quick
    arguments.seeds = SEEDS[:1] if quick else SEEDS
    arguments.plans = QUICK_PLANS if quick else PLANS
    arguments.slopes = QUICK_SLOPES if quick else SLOPES
    arguments.refitted = QUICK_SLOPES[-1:] if quick else REFITTED
    arguments.every = QUICK_EVERY if quick else EVERY
    return arguments


if __name__ == "__main__":
    sys.exit(main())
