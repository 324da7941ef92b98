"""Leaving a family out, worst families and targets, against calculations by hand."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks.measuring import DEFAULT, Figures, Row
from tests.benchmarks.streams_results import Results
from tests.benchmarks.streams_targets import Worst

AUC = {"a": (0.6, 0.7), "b": (0.8, 0.5), "tep": (0.1, 0.9)}  # of the default, of the baseline
FALSE = {"a": 0.05, "b": 0.2, "tep": 0.9}


def _rows() -> list[Row]:
    rows = []
    for family, (ours, theirs) in AUC.items():
        own: Figures = {"auc_pr": ours, "f1": ours / 2, "false_alarm_rows": FALSE[family]}
        rows.append(Row(family, "1", DEFAULT, 1, own, seconds=2.0))
        rows.append(Row(family, "1", "knn", 1, {"auc_pr": theirs}, seconds=1.0))
        rows.append(Row(family, "1", "pca", 1, {}, failure="it broke"))
    weak: Figures = {"auc_pr": 0.4, "f1": 0.3, "static_f1": 0.5}
    return [*rows, Row("tep_shrunk", "1", DEFAULT, 1, weak)]


def _values(left_out: str | None) -> dict[str, float]:
    return {f.name: f.value for f in Results.of(_rows(), left_out).figures(judged=False)}


def test_the_family_left_out_enters_no_mean_and_no_worst() -> None:
    values = _values("tep")
    assert values["mean_auc_pr"] == pytest.approx((0.6 + 0.8) / 2)
    assert values["mean_f1"] == pytest.approx((0.3 + 0.4) / 2)
    assert values["worst_false_alarm_rows"] == 0.2
    assert values["a.below_best_baseline"] == pytest.approx(0.1)
    assert values["b.below_best_baseline"] == pytest.approx(-0.3)
    assert "tep.below_best_baseline" not in values
    assert "tep_shrunk.f1_below_static" not in values


def test_the_family_left_out_is_read_under_a_name_of_its_own() -> None:
    values = _values("tep")
    assert values["left_out.mean_auc_pr"] == 0.1
    assert values["left_out.worst_false_alarm_rows"] == 0.9
    assert values["left_out.tep.below_best_baseline"] == pytest.approx(0.8)
    assert values["left_out.tep_shrunk.f1_below_static"] == pytest.approx(0.2)
    flat = Results.of(_rows(), "tep").flat()
    assert flat["left_out.tep.default.auc_pr"] == 0.1
    assert flat["left_out.tep_shrunk.default.static_f1"] == 0.5
    assert "tep.default.auc_pr" not in flat
    assert flat["mean_over_families.knn.auc_pr"] == pytest.approx(0.6)


def test_without_leaving_out_all_families_count_and_weak_faults_enter_no_mean() -> None:
    values = _values(None)
    assert values["mean_auc_pr"] == pytest.approx((0.6 + 0.8 + 0.1) / 3)
    assert values["worst_false_alarm_rows"] == 0.9
    assert values["tep_shrunk.f1_below_static"] == pytest.approx(0.2)
    assert not any(name.startswith("left_out") for name in values)


def test_tables_mark_what_is_only_read() -> None:
    grids = list(Results.of(_rows(), "tep").grids())
    titles = [grid.title for grid in grids]
    marked = [title for title in titles if "left out: read, not chosen by" in title]
    assert [title.split(",")[0].split(":")[0].split(";")[0] for title in marked] == ["tep"] * 3
    chosen = next(g for g in grids if g.title.endswith("the worst family of each"))
    assert list(chosen.rows[0]) == [
        *(DEFAULT, "0.700", "0.350", "0.300 (a)", "20.0% (b)", "+0.100 (a)")
    ]


def test_what_is_unknown_is_the_worst_of_all_and_holds_no_target() -> None:
    assert Worst.of({"a": 0.3, "b": math.nan, "c": 0.9}).family == "b"
    rows = [row for row in _rows() if not (row.family == "b" and row.detector == DEFAULT)]
    rows.append(Row("b", "1", DEFAULT, 1, {}, failure="it broke"))
    judged = {f.name: f for f in Results.of(rows, None).figures(judged=True)}
    assert not judged["b.below_best_baseline"].held
    assert not judged["worst_false_alarm_rows"].held


def test_the_seconds_of_each_part_add_up() -> None:
    costs = Results.of(_rows(), None).costs()
    total = next(row for row in costs.rows if row[0] == "all")
    assert list(total) == ["all", "3", "3", "3", "0", "9"]  # a, b, tep, tep_shrunk, all
