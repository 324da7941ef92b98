"""What the budget benchmark prints: its tables, and its figures beside their targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.benchmarks.factories import Plan
from tests.benchmarks.slopes import SLOPES, TOUCHED, Ramp, Refitted, smallest
from tests.benchmarks.table import Figure, Grid
from tests.benchmarks.tallies import HEADINGS, LEVELS, Tally

LEAST_EXPECTED = 50  # false incidents in each factory
OVER_ASKED, P_OVER = (0.5, 2.0), (0.7, 1.4)

Tallies = Mapping[str, Sequence[Tally]]


def by_seed(plan: Plan, tallies: Sequence[Tally], seeds: Sequence[int]) -> Grid:
    """Return one line for each seed of a factory, and their sum."""
    rows = [[str(seed), *tally.cells()] for seed, tally in zip(seeds, tallies, strict=True)]
    rows.append(["pooled", *Tally.pooled(tallies).cells()])
    days = plan.machines * plan.days
    return Grid(f"Factory {plan.name}: {days} machine-days a seed", ["seed", *HEADINGS], rows)


def by_family(title: str, tallies: Tallies) -> Grid:
    """Return one line for each family of recordings."""
    rows = [
        [f"{family} ({len(parts)})", *Tally.pooled(parts).cells()]
        for family, parts in tallies.items()
    ]
    return Grid(title, ["family", *HEADINGS], rows)


def p_values_by_family(title: str, tallies: Tallies) -> Grid:
    """Return how common small p-values are; incidents that are no false ones do not show."""
    rows = []
    for family, parts in tallies.items():
        pooled = Tally.pooled(parts)
        rows.append([family, f"{pooled.windows:,}", *pooled.cells()[-len(LEVELS) :]])
    return Grid(title, ["family", "windows", *HEADINGS[-len(LEVELS) :]], rows)


def figures(
    factories: Tallies, moved: Mapping[str, float], ramps: Sequence[Ramp], refitted: Refitted
) -> Iterator[Figure]:
    """Yield the judged figures.

    Parameters
    ----------
    factories : mapping of str to sequence of Tally
        By plan; pooled over seeds.
    moved : mapping of str to float
        By plan, the farthest that any line moved.
    ramps : sequence of Ramp
        Judged is only that the smallest slope is among them.
    refitted : Refitted
        Of these too: with refits.
    """
    for name, tallies in factories.items():
        pooled = Tally.pooled(tallies)
        expected = min(tally.expected for tally in tallies)
        yield Figure(f"{name}.expected", expected, LEAST_EXPECTED, form=".1f")
        yield from _within(f"{name}.over_asked", pooled.over_asked, OVER_ASKED)
        for level in LEVELS:
            yield from _within(f"{name}.p_{level:g}_over", pooled.p_over(level), P_OVER)
        yield Figure(f"{name}.line_moved", moved[name], form=".2f")
    # a factory that leaves the bound would prove nothing about a line inside it
    drifts = sum(tally.drifts for tally in factories["drifting"])
    yield Figure("drifting.drift_incidents", drifts, target=0, bound="exactly")
    for touched in TOUCHED:
        name = f"slow_fault.smallest_slope.{touched.replace(' ', '_')}"
        yield Figure(name, smallest(ramps, touched), max(SLOPES), "at most", form=".2f")
        for how, found in (("alone", refitted.never), ("refitted", refitted.often)):
            target = max(SLOPES) if how == "refitted" else None
            slope = smallest(found, touched)
            yield Figure(f"{name}.{how}", slope, target, "at most", form=".2f")


def without_target(fault_free: Tallies, normal: Tallies) -> dict[str, float]:
    """Return the figures of the recordings."""
    found = {
        f"fault_free.{family}.over_asked": Tally.pooled(parts).over_asked
        for family, parts in fault_free.items()
    }
    for kind, tallies in (("fault_free", fault_free), ("normal", normal)):
        for family, parts in tallies.items():
            pooled = Tally.pooled(parts)
            for level in LEVELS:
                found[f"{kind}.{family}.p_{level:g}_over"] = pooled.p_over(level)
    return found


def _within(name: str, value: float, bounds: tuple[float, float]) -> Iterator[Figure]:
    low, high = bounds
    yield Figure(name, value, low, "at least", form=".2f")
    yield Figure(f"{name}.at_most", value, high, "at most", form=".2f")
