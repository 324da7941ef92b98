"""The record of a run: each figure from a small case counted by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from stream_ad.config import AlarmConfig, WindowsConfig
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.line import AlarmLine
from stream_ad.errors import InputError
from stream_ad.evaluation import Event, IncidentSpan, vus_pr
from stream_ad.evaluation.judgement import (
    LabelledRows,
    ScoredWindows,
    budget_record,
    judge_run,
    spans_of,
)
from stream_ad.records import IncidentEvent
from stream_ad.windows import WindowSpec, rfc3339

SECOND = 10**9
DAY = 86_400 * SECOND
SPEC = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=2, hop=1))


def rows_of(label: Sequence[float], machine: str = "m", first: int = 0) -> LabelledRows:
    time = (first + np.arange(len(label))) * SECOND
    return LabelledRows(np.full(len(label), machine, object), time, np.asarray(label, float))


def windows_of(score: Sequence[float], machine: str = "m", first_end: int = 2) -> ScoredWindows:
    """One window per second; the first ends at ``first_end``."""
    end = (first_end + np.arange(len(score))) * SECOND
    static = np.asarray(score, float)
    return ScoredWindows(
        np.full(len(score), machine, object), end - 2 * SECOND, end, static, static > 1
    )


def judge(
    rows: LabelledRows,
    scored: ScoredWindows,
    incidents: Sequence[IncidentSpan] = (),
    since: int = -1,
) -> dict[str, Any]:
    return judge_run(rows, scored, incidents, SPEC, since, asked=0.5)


def event(**changes: Any) -> IncidentEvent:
    fields: dict[str, Any] = {
        "incident_id": "0" * 16,
        "kind": "process",
        "event": "opened",
        "machine_id": "m",
        "machine_group": "default",
        "started_at": rfc3339(10 * SECOND),
        "window_start": rfc3339(11 * SECOND),
        "window_end": rfc3339(13 * SECOND),
        "score": 1.5,
        "raw_score": 1.0,
        "alarm_line": 0.7,
        "p_value": 0.01,
        "severity": "warning",
        "sensors": [],
        "evidence": [],
        "neighbours": [],
        "missing_share": 0.0,
        "model_id": "default",
        "model_version": 1,
    }
    return IncidentEvent(**(fields | changes))


def test_every_figure_of_a_small_run() -> None:
    #   second        0  1  2    3    4    5    6    7
    rows = rows_of([0, 0, 0, 1, 1, 0, 0, 0])
    scored = windows_of([0.1, 0.2, 3.0, 2.0, 0.3, 0.1])
    incidents = [IncidentSpan("m", 3 * SECOND, 6 * SECOND, 4 * SECOND)]
    record = judge(rows, scored, incidents)
    seen = [-1, -1, 0.1, 0.2, 3.0, 2.0, 0.3, 0.1]
    assert record["ranking"] == {
        "auc_roc": pytest.approx(roc_auc_score(rows.label, seen)),
        "auc_pr": pytest.approx(average_precision_score(rows.label, seen)),
        "vus_pr": vus_pr(rows.label, seen),
    }
    # alarms at 4 (hit) and 5 (false); row 3 is missed
    assert record["at_line"] == {
        "f1": 0.5,
        "precision": 0.5,
        "recall": 0.5,
        "false_alarm_rate": 1 / 6,
        "missed_alarm_rate": 0.5,
    }
    assert record["events"] == {
        "events": 1,
        "found": 1,
        "event_recall": 1.0,
        "median_delay_s": 1.0,
        "median_delay_windows": 1.0,
        "incidents": 1,
        "false_alarms": 0,
        "scored_machine_days": 6 / 86_400,
        "false_alarms_per_machine_day": 0.0,
        "asked": 0.5,
    }
    assert record["rows"] == {"judged": 8, "anomalous": 2}


def test_the_training_part_is_not_judged() -> None:
    """Rows up to ``since``, windows that end there and incidents over by then do not count."""
    rows = rows_of([1, 1, 0, 0, 1, 0])
    scored = windows_of([5.0, 5.0, 3.0, 0.5])  # end at 2, 3, 4, 5
    before = IncidentSpan("m", 0, 3 * SECOND, 2 * SECOND)
    across = IncidentSpan("m", 3 * SECOND, 5 * SECOND, 4 * SECOND)
    record = judge(rows, scored, [before, across], since=3 * SECOND)
    assert record["rows"] == {"judged": 2, "anomalous": 1}
    assert record["ranking"]["auc_roc"] == 1.0
    assert record["events"]["incidents"] == 1
    assert record["events"]["events"] == 1
    assert record["events"]["scored_machine_days"] == 2 / 86_400


def test_an_incident_open_at_the_end_counts() -> None:
    record = judge(rows_of([0] * 6), windows_of([0.1] * 4), [IncidentSpan("m", 0, None, SECOND)])
    assert record["events"]["false_alarms"] == 1


def test_muted_time_is_none_in_which_false_alarms_could_come() -> None:
    rows, scored = rows_of([0] * 6), windows_of([0.1] * 4)
    alarm = IncidentSpan("m", 0, None, SECOND)
    record = judge_run(rows, scored, [alarm], SPEC, -1, 0.5, muted_days=3 / 86_400)
    assert record["events"]["scored_machine_days"] == pytest.approx(1 / 86_400)
    assert record["events"]["false_alarms_per_machine_day"] == pytest.approx(86_400)


def test_the_order_of_rows_and_windows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    parts = [rows_of(rng.integers(0, 2, 40).tolist(), name) for name in "ab"]
    rows = LabelledRows(
        np.concatenate([part.machine for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.label for part in parts]),
    )
    parts_scored = [windows_of((2 * rng.random(39)).tolist(), name) for name in "ab"]
    scored = ScoredWindows(
        *(np.concatenate(p) for p in zip(*map(columns, parts_scored), strict=True))
    )
    mixed, shuffled = rng.permutation(len(rows.time)), rng.permutation(len(scored.end))
    again = judge(
        LabelledRows(rows.machine[mixed], rows.time[mixed], rows.label[mixed]),
        ScoredWindows(*(c[shuffled] for c in columns(scored))),
    )
    assert again == judge(rows, scored)


def columns(table: ScoredWindows) -> list[Any]:
    return [getattr(table, name) for name in table.__slots__]


def test_rows_of_one_moment_count_once_and_are_as_bad_as_the_worst() -> None:
    """A long file has one row per sensor."""
    once = rows_of([0, 0, 0, 1, np.nan, 0])
    twice = LabelledRows(
        np.repeat(once.machine, 2),
        np.repeat(once.time, 2),
        np.array([0, 0, 0, np.nan, 0, 0, 0, 1, np.nan, np.nan, 0, 0]),
    )
    scored = windows_of([0.1, 2.0, 0.2, 0.4])
    assert judge(twice, scored) == judge(once, scored)
    assert judge(twice, scored)["rows"] == {"judged": 5, "anomalous": 1}


def test_what_the_rows_cannot_say_is_none_and_the_record_is_json() -> None:
    record = judge(rows_of([0, 0, 0]), windows_of([0.1]))
    assert record["ranking"] == {"auc_roc": None, "auc_pr": None, "vus_pr": None}
    assert record["at_line"]["recall"] is None
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_no_rows_and_no_windows_give_an_empty_record() -> None:
    record = judge(rows_of([]), windows_of([]))
    assert record["rows"] == {"judged": 0, "anomalous": 0}
    assert record["events"]["false_alarms_per_machine_day"] is None


def test_a_label_that_is_no_label_is_an_error_even_in_the_training_part() -> None:
    with pytest.raises(InputError, match="label = 2"):
        judge(rows_of([2, 0]), windows_of([]), since=SECOND)


def test_spans_take_start_opening_and_end_from_the_events() -> None:
    nine_decimals = 20 * SECOND + 123_456_789
    opened, closed = event(), event(event="closed", window_end=rfc3339(nine_decimals))
    later = event(incident_id="1" * 16, started_at=rfc3339(15 * SECOND), machine_id="n")
    expected = [
        IncidentSpan("m", 10 * SECOND, nine_decimals, 13 * SECOND),
        IncidentSpan("n", 15 * SECOND, None, 13 * SECOND),
    ]
    assert spans_of([later, opened, event(event="updated"), closed, closed]) == expected
    assert spans_of([closed, opened, later]) == expected


def test_spans_are_of_process_incidents_only() -> None:
    quality = event(incident_id="2" * 16, kind="data_quality")
    closed_elsewhere = event(incident_id="3" * 16, event="closed")
    assert spans_of([quality, closed_elsewhere]) == []


def line_for(budget: float) -> AlarmLine:
    """Return a line from ten days of hourly windows that know nothing of each other."""
    hour = 3600 * SECOND
    raw = np.random.default_rng(0).exponential(size=240)
    start = np.arange(240) * hour
    calibration = Calibration(np.full(240, "m", object), start, raw, hour, hour)
    return AlarmLine.for_budget(calibration, AlarmConfig(budget_per_machine_day=budget))


def test_the_budget_record_holds_asked_against_achieved() -> None:
    line = line_for(1.0)
    incidents = [IncidentSpan("m", i * DAY, i * DAY + 5, i * DAY + 5) for i in range(3)]
    record = budget_record(line, incidents, 2.0, asked=1.0)
    assert record == {
        "asked_per_machine_day": 1.0,
        "expected_per_machine_day": line.expected_per_day(line.line),
        "achieved_per_machine_day": 1.5,
        "supported": True,
        "supported_per_machine_day": line.supported_budget,
        "needed_days": None,
        "scored_machine_days": 2.0,
        "calibration_machine_days": 10.0,
    }
    assert record["expected_per_machine_day"] <= 1.0
    labelled = [Event("m", DAY, DAY + 1)]
    assert budget_record(line, incidents, 2.0, 1.0, labelled)["achieved_per_machine_day"] == 1.0


def test_a_budget_out_of_reach_says_how_much_history_it_needs() -> None:
    record = budget_record(line_for(1e-6), [], 0.0, asked=1e-6)
    assert record["supported"] is False
    assert record["needed_days"] > record["calibration_machine_days"]
    assert record["supported_per_machine_day"] > 1e-6
    assert record["achieved_per_machine_day"] is None
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_window_record_is_judged_by_its_own_score_and_its_event_is_the_window() -> None:
    """Its label is about the time before its end, at which its score is known."""
    span = 4 * SECOND
    end = np.arange(1, 6) * span
    machine = np.array(["m"] * 5, object)
    label = np.array([0, 0, 1, 1, 0])
    rows = LabelledRows(machine, end, label, lasting_ns=span)
    score = np.array([0.0, 0.1, 5.0, 4.0, 0.2])
    scored = ScoredWindows(machine, end - span, end, score, score > 1)
    spec = WindowSpec.from_config(WindowsConfig(sensors=("a",), period_s=1, length=4))
    record = judge_run(rows, scored, [], spec, since=0, asked=1.0)
    assert record["at_line"]["f1"] == record["ranking"]["auc_pr"] == 1.0
    assert rows.events(spec.period_ns) == [Event("m", 2 * span, 4 * span)]
