"""From rows of streams to means of families, and the tables that show them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tests.benchmarks.measuring import DETECTORS, Figures, Row
from tests.benchmarks.table import Grid

OVERALL = "mean over families"


class Measure(NamedTuple):
    """A column: its key, its heading, its format."""

    key: str
    heading: str
    form: str


MEASURES = (
    Measure("auc_roc", "AUC-ROC", ".3f"),
    Measure("auc_pr", "AUC-PR", ".3f"),
    Measure("auc_pr_seed_sd", "sd, seeds", ".3f"),
    Measure("vus_pr", "VUS-PR", ".3f"),
    Measure("f1", "F1", ".3f"),
    Measure("false_alarm_rows", "false rows", ".1%"),
    Measure("missed_rows", "missed rows", ".1%"),
    Measure("static_f1", "static F1", ".3f"),
    Measure("static_false_alarm_rows", "its false rows", ".1%"),
    Measure("event_recall", "event recall", ".1%"),
    Measure("delay_windows", "delay", ".1f"),
    Measure("asked_per_day", "false/day asked", "g"),
    Measure("false_per_day", "achieved", ".1f"),
    Measure("budget_supported", "supported", ".0%"),
    Measure("fit_s", "fit s", ".1f"),
)

Means = Mapping[tuple[str, str], Figures]


def means(rows: Sequence[Row]) -> Means:
    """Return the figures per family and detector, and under ``OVERALL`` their mean.

    A figure is the mean over seeds, then over streams, then over families; each leaves out
    what has no value there, such as the delay where nothing was found, and rows that failed.
    """
    families = list(dict.fromkeys(row.family for row in rows))
    seen = {row.detector for row in rows}
    result: dict[tuple[str, str], Figures] = {}
    for detector in (name for name in DETECTORS if name in seen):
        for family in families:
            own = [r for r in rows if (r.family, r.detector) == (family, detector)]
            result[family, detector] = _family(own)
        parts = [result[family, detector] for family in families]
        result[OVERALL, detector] = {key: mean(p.get(key) for p in parts) for key in _keys(parts)}
    return result


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what there is, None if there is nothing.

    Examples
    --------
    >>> mean([1.0, None, 2.0]), mean([None])
    (1.5, None)
    """
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _family(rows: Sequence[Row]) -> Figures:
    figures = [row.figures for row in rows]
    by_stream = _groups(rows, lambda row: row.stream)
    result: Figures = {
        key: mean(mean(f.get(key) for f in stream) for stream in by_stream)
        for key in _keys(figures)
    }
    seeds = [mean(f.get("auc_pr") for f in seed) for seed in _groups(rows, lambda row: row.seed)]
    known = [value for value in seeds if value is not None]
    return result | {"auc_pr_seed_sd": statistics.stdev(known) if len(known) > 1 else None}


def _groups(rows: Sequence[Row], of: Callable[[Row], object]) -> list[list[Figures]]:
    groups: dict[object, list[Figures]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row.figures)
    return list(groups.values())


def _keys(figures: Iterable[Figures]) -> list[str]:
    return list(dict.fromkeys(key for part in figures for key in part))


def grids(table: Means, titles: Mapping[str, str]) -> list[Grid]:
    """Return one table for each title.

    Parameters
    ----------
    table : Means
    titles : mapping of str to str
        Of families, and of ``OVERALL``, in order.
    """
    headings = ["detector", *(measure.heading for measure in MEASURES)]
    return [
        Grid(title, headings, [_line(n, table[section, n]) for n in detectors(table, section)])
        for section, title in titles.items()
    ]


def detectors(table: Means, section: str = OVERALL) -> list[str]:
    """Return who stands in a table, in its order."""
    return [detector for part, detector in table if part == section]


def families_of(table: Means) -> list[str]:
    """Return the families in a table, in its order."""
    return list(dict.fromkeys(section for section, _ in table if section != OVERALL))


def _line(detector: str, figures: Figures) -> list[str]:
    cells = []
    for measure in MEASURES:
        value = figures.get(measure.key)
        cells.append("-" if value is None else format(value, measure.form))
    return [detector, *cells]


def costs(rows: Sequence[Row]) -> Grid:
    """Return the seconds that each detector took on each family, fits and scoring."""
    families = list(dict.fromkeys(row.family for row in rows))
    seen = {row.detector for row in rows}
    names = [name for name in DETECTORS if name in seen]
    spent = {(name, family): 0.0 for name in names for family in families}
    for row in rows:
        spent[row.detector, row.family] += row.seconds
    lines = {name: [spent[name, family] for family in families] for name in names}
    lines["all"] = [sum(column) for column in zip(*lines.values(), strict=True)]
    texts = [[name, *(f"{s:,.0f}" for s in (*each, sum(each)))] for name, each in lines.items()]
    return Grid("seconds of one process", ["detector", *families, "all"], texts)


def flat(table: Means, prefix: str = "") -> dict[str, float]:
    """Return every mean under ``family.detector.measure``; what has no value is left out."""
    return {
        f"{prefix}{section.replace(' ', '_')}.{detector}.{key}": value
        for (section, detector), figures in table.items()
        for key, value in figures.items()
        if value is not None
    }
