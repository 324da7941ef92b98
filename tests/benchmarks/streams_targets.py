"""What the streams benchmark is judged by: means, the worst family, the best baseline, weak faults.

Every detector gets these figures; targets are the default's, in a whole run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stream_ad.evaluation.baselines import BASELINES
from tests.benchmarks.measuring import DEFAULT
from tests.benchmarks.shrinking import STRESSED
from tests.benchmarks.streams_table import OVERALL, Means, detectors, families_of
from tests.benchmarks.table import Bound, Figure, Grid

AUC_PR, F1, FALSE_ALARM_ROWS = 0.79, 0.73, 0.085
BELOW_BEST, BELOW_STATIC = 0.01, 0.08


class Worst(NamedTuple):
    """The largest of the families' figures and whose it is; NaN, the worst of all, comes first."""

    value: float
    family: str

    @classmethod
    def of(cls, figures: Mapping[str, float]) -> Worst:
        """Take it from figures by family, of which there is at least one."""
        family = max(figures, key=lambda f: math.inf if math.isnan(figures[f]) else figures[f])
        return cls(figures[family], family)

    def text(self, form: str) -> str:
        """Return it for a cell."""
        return f"{self.value:{form}} ({self.family})"


def below_best(table: Means, detector: str) -> dict[str, float]:
    """Return by family how far the AUC-PR of a detector is below the best single baseline's."""
    return {f: _best(table, f) - _of(table, f, detector, "auc_pr") for f in families_of(table)}


def false_alarm_rows(table: Means, detector: str) -> dict[str, float]:
    """Return by family the share of normal rows in alarm."""
    return {f: _of(table, f, detector, "false_alarm_rows") for f in families_of(table)}


def below_static(stressed: Means, detector: str) -> dict[str, float]:
    """Return by stressed family how far the F1 is below that of the line that nothing moved."""
    return {
        f: _of(stressed, f, detector, "static_f1") - _of(stressed, f, detector, "f1")
        for f in families_of(stressed)
    }


def summary(table: Means, title: str) -> Grid:
    """Return one line for each detector: its means, and its worst families."""
    headings = ["detector", "mean AUC-PR", "mean F1", "lowest F1"]
    rows = []
    for name in detectors(table):
        f1 = {f: -_of(table, f, name, "f1") for f in families_of(table)}
        worst = Worst.of(f1)
        rows.append(
            [
                name,
                f"{_of(table, OVERALL, name, 'auc_pr'):.3f}",
                f"{_of(table, OVERALL, name, 'f1'):.3f}",
                Worst(-worst.value, worst.family).text(".3f"),
                Worst.of(false_alarm_rows(table, name)).text(".1%"),
                Worst.of(below_best(table, name)).text("+.3f"),
            ]
        )
    more = ["most false-alarm rows", "AUC-PR most below the best baseline's"]
    return Grid(title, [*headings, *more], rows)


def figures(table: Means, stressed: Means, *, judged: bool) -> Iterator[Figure]:
    """Yield the default detector's figures, beside their targets where they are judged.

    Parameters
    ----------
    table : Means
        Of the families as they were recorded.
    stressed : Means
        Of those with shrunk faults; may be empty.
    judged : bool
        Whether this is a whole run.
    """

    def held(name: str, value: float, target: float, *, most: bool = False) -> Figure:
        bound: Bound = "at most" if most else "at least"
        return Figure(name, value, target if judged else None, bound, ".3f")

    yield held("mean_auc_pr", _of(table, OVERALL, DEFAULT, "auc_pr"), AUC_PR)
    yield held("mean_f1", _of(table, OVERALL, DEFAULT, "f1"), F1)
    worst = Worst.of(false_alarm_rows(table, DEFAULT))
    yield held("worst_false_alarm_rows", worst.value, FALSE_ALARM_ROWS, most=True)
    for family, value in below_best(table, DEFAULT).items():
        yield held(f"{family}.below_best_baseline", value, BELOW_BEST, most=True)
    for family, value in below_static(stressed, DEFAULT).items():
        yield held(f"{family}.f1_below_static", value, BELOW_STATIC, most=True)


def stress_title(family: str) -> str:
    """Return what a stressed family is called above its table."""
    plain = next(name for name, shrunk in STRESSED.items() if shrunk == family)
    return f"{plain}, every fault's excess over normal shrunk to 10 %"


def _best(table: Means, family: str) -> float:
    values = (_of(table, family, n, "auc_pr") for n in detectors(table, family) if n in BASELINES)
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _of(table: Means, section: str, detector: str, key: str) -> float:
    value = table[section, detector].get(key)
    return math.nan if value is None else value
