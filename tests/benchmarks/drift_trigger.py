"""Which test of river tells best that what is ordinary has moved, and over which statistic.

Factories stand still, or every sensor of some of their machines creeps away or jumps. The
windows of the scored days are scored by one detector, fitted on the two weeks before them. A
test is fed with one number for each block of windows; what it tells where nothing moves is a
false trigger. Of every kind of test the setting is taken that tells soonest without a false
trigger on the tuning seeds; the table is of other seeds.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN, KSWIN, PageHinkley

from simulators import Fault
from stream_ad.progress import Silence
from stream_ad.training.drift_watch import BLOCK, DELTA, THRESHOLD, ChangeTest, DriftWatch
from stream_ad.training.fit import train
from stream_ad.training.history import collect_history
from stream_ad.training.injected import usable
from stream_ad.windows import Windows, WindowSpec
from stream_ad.windows.spec import NS
from tests.benchmarks.factories import DAY_S, PLANS, STEADY, FactorySource, Plan
from tests.benchmarks.streams_page import commit
from tests.benchmarks.table import Figure, Grid, conclude, options, show

TUNING, SEEDS = (11, 12, 13, 14), (100, 101, 102, 103, 104)
ROUGH = PLANS[1]
ONSET = 3  # day of a jump
PER = 30.0  # machine-days that false triggers are counted on
BUILT = "PageHinkley, as built"

WHY = """Built is Page and Hinkley's test for each machine over the median score of a block, with
twice the threshold that tuning found, since other factories wander more than these. Where a
group is watched as a whole, one machine that moves is heard late or not at all. Latents find
no more than scores do, and later, so they are not watched. ADWIN is later and had a false trigger;
KSWIN takes an hour for independent of the one before and tells too often."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to a factory: nothing, or all sensors of some machines move for good.

    ``size`` is in standard deviations of each sensor; a creep reaches it in the last hour.
    """

    name: str
    kind: str = ""
    onset: int = 0
    size: float = 0.0
    machines: int = 0

    def faults(self, plan: Plan, seed: int) -> list[Fault]:
        """Return them."""
        span = plan.history_s + self.onset * DAY_S, (plan.days - self.onset) * DAY_S
        machines = plan.factory(seed).layout.machine_ids[: self.machines]
        return [Fault(m, self.kind, *span, severity=self.size) for m in machines]


def scenarios(plan: Plan) -> list[Scenario]:
    """Return those of a plan: a spike without an end is a jump."""
    days, every = plan.days, plan.machines
    return [
        Scenario("still"),
        Scenario("creep 0.1 a day, all", "drift", size=0.1 * days, machines=every),
        Scenario("creep 0.3 a day, all", "drift", size=0.3 * days, machines=every),
        Scenario("creep 0.3 a day, one", "drift", size=0.3 * days, machines=1),
        Scenario("jump of 1, all", "spike", min(ONSET, days - 1), 1.0, every),
        Scenario("jump of 2, one", "spike", min(ONSET, days - 1), 2.0, 1),
    ]


@dataclass(frozen=True, slots=True)
class Scored:
    """The scored windows of a factory in order of time.

    ``day`` counts from the first scored one; ``latent`` (n, D) are whitened by the history.
    """

    scenario: Scenario
    machine_days: float
    windows: Windows
    day: Floats
    static: Floats
    latent: Floats

    def rows(self, per: str) -> list[NDArray[np.int64]]:
        """Return the windows of each machine, or of all."""
        if per == "group":
            return [np.arange(len(self.windows))]
        names = self.windows.machine.astype(str)
        return [np.flatnonzero(names == name) for name in np.unique(names)]


def score(plan: Plan, seed: int, wanted: Sequence[Scenario]) -> Iterator[Scored]:
    """Fit the default detector on the history of a factory and score what came of it."""
    config = plan.config(seed, 1.0, {"model": "linear"})
    spec, factory = WindowSpec.from_config(config.windows), plan.factory(seed)
    history = collect_history(FactorySource(factory, plan.history_s), config, spec)
    detector = train(history, config, spec, Silence())
    parts = detector._fitted()
    bank = np.asarray(parts.scorer.bank.z, np.float64)
    cut = history.until
    for scenario in wanted:
        source = FactorySource(
            factory, plan.history_s + plan.days * DAY_S, scenario.faults(plan, seed)
        )
        windows = collect_history(source, config, spec).windows
        windows = windows.take(usable([detector], windows, config.windows.max_missing))
        windows = windows.take(windows.start >= cut)
        windows = windows.take(np.lexsort((windows.machine.astype(str), windows.start)))
        raw = detector.score(windows.values, windows.start).raw
        z = np.asarray(parts.passed(windows.values, windows.start).z, np.float64)
        yield Scored(
            scenario,
            float(plan.machines * plan.days),
            windows,
            (windows.start + spec.window_ns - cut) / (DAY_S * NS),
            detector.line_.static_score(raw),
            (z - bank.mean(axis=0)) / np.maximum(bank.std(axis=0), 1e-9),
        )


# ---------------------------------------------------------------- what tests are fed with


def median(of: Scored, rows: NDArray[np.int64]) -> Floats:
    """Return the median static score of each block, at least 0: (blocks, windows) -> (blocks,)."""
    return np.asarray(np.maximum(0, np.median(of.static[rows], axis=1)))


def tenth(of: Scored, rows: NDArray[np.int64]) -> Floats:
    """Return what a tenth of each block exceeds, at least 0."""
    return np.asarray(np.maximum(0, np.quantile(of.static[rows], 0.9, axis=1)))


def latent(of: Scored, rows: NDArray[np.int64]) -> Floats:
    """Return how far the mean latent of each block lies from that of the history."""
    return np.asarray(np.sqrt((of.latent[rows].mean(axis=1) ** 2).mean(axis=1)))


STATISTICS: dict[str, Callable[[Scored, NDArray[np.int64]], Floats]] = {
    "median score": median,
    "upper tenth of scores": tenth,
    "mean latent": latent,
}
Make = Callable[[], ChangeTest]


def page_hinkley(delta: float, threshold: float) -> ChangeTest:
    """Return a test that only a rise completes."""
    test: ChangeTest = PageHinkley(min_instances=8, delta=delta, threshold=threshold, mode="up")
    return test


def adwin(delta: float) -> ChangeTest:
    """Return a test that looks at every value."""
    test: ChangeTest = ADWIN(delta=delta, clock=1)  # type: ignore[no-untyped-call]
    return test


def kswin(alpha: float) -> ChangeTest:
    """Return a test of the last 20 values against 40 before them."""
    test: ChangeTest = KSWIN(alpha=alpha, window_size=60, stat_size=20, seed=0)
    return test


GRID: dict[str, dict[str, Make]] = {
    "PageHinkley": {
        f"delta {d:g}, threshold {t:g}": partial(page_hinkley, d, t)
        for d, t in product((0.05, 0.1, 0.2), (0.5, 1.0, 2.0, 4.0, 8.0, 16.0))
    },
    "ADWIN": {f"delta {d:g}": partial(adwin, d) for d in (0.2, 0.05, 2e-3, 1e-4, 1e-6)},
    "KSWIN": {f"alpha {a:g}": partial(kswin, a) for a in (1e-3, 1e-5, 1e-7, 1e-9)},
}


def told(of: Scored, per: str, statistic: str, make: Make) -> list[float]:
    """Return on which days a test told, one for each machine or one for all; begun anew then."""
    found = []
    for rows in of.rows(per):
        blocks = rows[: len(rows) // BLOCK * BLOCK].reshape(-1, BLOCK)
        values, test = STATISTICS[statistic](of, blocks), make()
        for value, last in zip(values.tolist(), blocks[:, -1].tolist(), strict=True):
            test.update(value)
            if test.drift_detected:
                found.append(float(of.day[last]))
                test = make()
    return sorted(found)


def told_by_watch(of: Scored) -> list[float]:
    """Return on which days the watch of the project told."""
    watch = DriftWatch({})
    pieces = [slice(row, row + 1) for row in range(len(of.static))]
    said = [watch.update(of.windows.take(piece), of.static[piece]) for piece in pieces]
    return [float(day) for day, one in zip(of.day, said, strict=True) if one is not None]


# ---------------------------------------------------------------- what came of it


@dataclass(frozen=True, slots=True)
class Outcome:
    """False triggers per 30 machine-days; of each scenario the delays in days, NaN if not found."""

    false: float
    delays: Mapping[str, Floats]

    @classmethod
    def of(cls, streams: Sequence[Scored], run: Callable[[Scored], list[float]]) -> Outcome:
        """Run a test over streams."""
        triggers, machine_days = 0, 0.0
        delays: dict[str, list[float]] = {}
        for stream in streams:
            days, onset = run(stream), stream.scenario.onset
            if not stream.scenario.kind:
                triggers, machine_days = triggers + len(days), machine_days + stream.machine_days
                continue
            late = [day - onset for day in days if day > onset]
            delays.setdefault(stream.scenario.name, []).append(min(late, default=np.nan))
        return cls(PER * triggers / machine_days, {n: np.array(d) for n, d in delays.items()})

    def cost(self, days: int) -> float:
        """Return the mean delay, what was not found as if it were the whole time."""
        every = [np.where(np.isnan(delay), days, delay) for delay in self.delays.values()]
        return float(np.concatenate(every).mean())

    def cells(self) -> list[str]:
        """Return the columns of a table."""
        found = [_found(delay) for delay in self.delays.values()]
        return [f"{self.false:.2f}", *found]


def _found(delay: Floats) -> str:
    there = delay[np.isfinite(delay)]
    middle = f", {np.median(there):.1f} d" if len(there) else ""
    return f"{len(there)}/{len(delay)}{middle}"


Chosen = tuple[str, str, str, str, Make]


def tuned(streams: Sequence[Scored], days: int) -> Iterator[Chosen]:
    """Yield the best setting of each test over each statistic: fewest false, then soonest."""
    for per, statistic, (name, settings) in product(("machine", "group"), STATISTICS, GRID.items()):
        outcomes = {
            text: Outcome.of(streams, partial(told, per=per, statistic=statistic, make=make))
            for text, make in settings.items()
        }
        best = min(outcomes, key=lambda text: (outcomes[text].false, outcomes[text].cost(days)))
        yield per, statistic, name, best, settings[best]
        print(f"tuned: {per}, {statistic}, {name}: {best}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = _arguments(argv)
    began, code = time.monotonic(), commit()
    plans = [STEADY, ROUGH]
    if arguments.quick:
        plans = [plan.shortened(machines=2, days=2, history_days=7) for plan in plans]
        arguments.tuning, arguments.seeds = arguments.tuning[:1], arguments.seeds[:1]
    days = plans[0].days
    chosen = [*tuned(_streams(plans, arguments.tuning), days)]
    streams = _streams(plans, arguments.seeds)
    rows: dict[tuple[str, ...], Outcome] = {
        (per, statistic, name, text): Outcome.of(
            streams, partial(told, per=per, statistic=statistic, make=make)
        )
        for per, statistic, name, text, make in chosen
    }
    built = f"delta {DELTA:g}, threshold {THRESHOLD:g}"
    watch = Outcome.of(streams, told_by_watch)
    rows["machine", "median score", BUILT, built] = watch
    heading = ["for each", "statistic", "test", "setting", "false in 30 machine-days"]
    table = [[*key, *found.cells()] for key, found in rows.items()]
    grid = Grid("Tests, by what they are fed with", [*heading, *watch.delays], table)
    show(grid)
    make = partial(page_hinkley, DELTA, THRESHOLD)
    same = Outcome.of(streams, partial(told, per="machine", statistic="median score", make=make))
    minutes = (time.monotonic() - began) / 60
    if arguments.markdown is not None:
        arguments.markdown.write_text(_page(grid, arguments, code, minutes), encoding="utf-8")
    return conclude([*_figures(watch, same), Figure("minutes", minutes)], arguments)


def _streams(plans: Sequence[Plan], seeds: Sequence[int]) -> list[Scored]:
    """Score all of the first plan, and of the others what stands still."""
    found = []
    for plan, seed in product(plans, seeds):
        wanted = scenarios(plan)
        found += [*score(plan, seed, wanted if plan is plans[0] else wanted[:1])]
        print(f"scored: {plan.name}, seed {seed}", file=sys.stderr, flush=True)
    return found


def _figures(watch: Outcome, same: Outcome) -> Iterator[Figure]:
    yield Figure("false triggers in 30 machine-days", watch.false)
    for name, delay in watch.delays.items():
        yield Figure(f"{name}: found", float(np.isfinite(delay).mean()), form=".0%")
        there = delay[np.isfinite(delay)]
        yield Figure(f"{name}: days", float(np.median(there)) if len(there) else np.nan)
    differ = watch.cells() != same.cells()
    yield Figure("watch differs from its test", differ, 0, "exactly", ".0f", correctness=True)


def _page(grid: Grid, arguments: Namespace, code: str, minutes: float) -> str:
    tuning, seeds = (", ".join(map(str, s)) for s in (arguments.tuning, arguments.seeds))
    parts = [
        "# What triggers a training on drift",
        "What `python -m tests.benchmarks.drift_trigger` printed. Three machines for ten days "
        f"stand still, creep away or jump (sizes in standard deviations of every sensor); six "
        "rougher ones for five days stand still. The default detector learned from the two weeks "
        f"before. Blocks have {BLOCK} windows, about an hour. A cell says in how many factories a "
        "test told, and after how many days (median).",
        f"- settings: the soonest without a false trigger on seeds {tuning}, where there is one\n"
        f"- table: seeds {seeds}\n- commit: {code}\n"
        f"- date: {datetime.now(UTC):%Y-%m-%d}; it took {minutes:.0f} minutes",
        WHY.replace("\n", " "),
        f"## {grid.title}",
        grid.markdown(),
    ]
    return "\n\n".join(parts) + "\n"


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--tuning", type=_seeds, default=TUNING, metavar="A,B")
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, metavar="A,B")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as a page")
    return parser.parse_args(argv)


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
