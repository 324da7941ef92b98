"""What the benchmark of retraining is made of: parts that take a seed each, small ones if quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.benchmarks.aging import CHANGES, Plan
from tests.benchmarks.factories import STEADY
from tests.benchmarks.retraining_crafted import Crafted, crafted
from tests.benchmarks.retraining_labels import Effect, labelled_anomalies, labelled_normal
from tests.benchmarks.retraining_mixed import MEMBERS, ROBUST, USUAL, Mixed, mixed
from tests.benchmarks.retraining_seasons import Seasons, seasons
from tests.benchmarks.slopes import EVERY, REFITTED, Refitted, refitted_ramps

PLAN = Plan()
STILL = Plan(season_sd=0.0, faults=0, changes=())
RAMPS = replace(STEADY, machines=1)
RAMP_BUDGET = 2.0  # as in the benchmark of the budget
FLEET = replace(STILL, machines=10, days=44)
CLEAN = replace(STILL, machines=4, days=21, faults=1)
NORMAL, ANOMALIES = replace(STILL, machines=8, days=32), replace(STILL, machines=4, days=32)
DEEP_SAD: Mapping[str, Any] = {"model": "deep_sad"}

QUICK_PLAN = replace(
    PLAN,
    machines=3,
    days=16,
    history_days=7,
    season_days=30.0,
    changes=(replace(CHANGES[0], day=9.4),),
)
QUICK_RAMPS = replace(RAMPS, days=8, history_days=7, sensors=4, hop=8)
QUICK_EVERY = 350


@dataclass(slots=True)
class Found:
    """What each part found, by seed."""

    seasons: dict[int, Seasons] = field(default_factory=dict)
    ramps: dict[int, Refitted] = field(default_factory=dict)
    crafted: dict[int, Crafted] = field(default_factory=dict)
    mixed: dict[int, dict[str, Mixed]] = field(default_factory=dict)
    normal: dict[int, Effect] = field(default_factory=dict)
    anomalies: dict[int, Effect] = field(default_factory=dict)

    def put(self, part: str, seed: int, found: object) -> None:
        """Keep what a part found."""
        getattr(self, part)[seed] = found


def run_part(part: str, seed: int, quick: bool) -> object:
    """Run one part with one seed."""
    return (QUICK if quick else WHOLE)[part](seed)


def _ramps(seed: int) -> Refitted:
    return refitted_ramps(RAMPS, seed, RAMPS.config(seed, RAMP_BUDGET, {}), REFITTED, EVERY)


def _quick_ramps(seed: int) -> Refitted:
    config = QUICK_RAMPS.config(seed, RAMP_BUDGET, {})
    return refitted_ramps(QUICK_RAMPS, seed, config, REFITTED[-1:], QUICK_EVERY)


def _quick_mixed(seed: int) -> dict[str, Mixed]:
    plan = replace(CLEAN, machines=2, days=9, history_days=5)
    return mixed(plan, seed, dict.fromkeys((ROBUST, USUAL), MEMBERS[USUAL]))


# the longest first, so that two processes end at about the same time; quick ones go the same
# ways with the default detector, which needs no epochs
WHOLE: Mapping[str, Callable[[int], object]] = {
    "seasons": lambda seed: seasons(PLAN, seed),
    "mixed": lambda seed: mixed(CLEAN, seed),
    "anomalies": lambda seed: labelled_anomalies(ANOMALIES, seed, DEEP_SAD),
    "ramps": _ramps,
    "crafted": lambda seed: crafted(FLEET, seed),
    "normal": lambda seed: labelled_normal(NORMAL, seed),
}
QUICK: Mapping[str, Callable[[int], object]] = {
    "seasons": lambda seed: seasons(QUICK_PLAN, seed),
    "mixed": _quick_mixed,
    "anomalies": lambda seed: labelled_anomalies(
        replace(ANOMALIES, machines=2, days=14, history_days=5), seed, {}
    ),
    "ramps": _quick_ramps,
    "crafted": lambda seed: crafted(replace(FLEET, machines=3, days=10, history_days=5), seed),
    "normal": lambda seed: labelled_normal(
        replace(NORMAL, machines=2, days=14, history_days=5), seed
    ),
}
