"""The closing sections: how good the run was, what was counted, how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from stream_ad.report.markup import Html, join, tag
from stream_ad.report.phrases import number
from stream_ad.report.tables import facts, figure, flattened, table
from stream_ad.report.verdict import part


class Metric(NamedTuple):
    """How a figure is called and which way is better."""

    text: str
    better: Literal["higher", "lower", ""] = ""


GROUPS: Final = {
    "budget": "Budget, false alarms per machine-day",
    "ranking": "Ranking of rows by score",
    "at_line": "Alarms, by row",
    "events": "Incidents, by labelled anomaly",
}
METRICS: Final = {
    "asked_per_machine_day": Metric("Asked"),
    "expected_per_machine_day": Metric("Expected from the history"),
    "achieved_per_machine_day": Metric("Achieved"),
    "supported_per_machine_day": Metric("Tightest that the history supports", "lower"),
    "needed_days": Metric("Machine-days to set the line, needed"),
    "calibration_machine_days": Metric("Machine-days that set the line"),
    "auc_roc": Metric("AUC-ROC", "higher"),
    "auc_pr": Metric("AUC-PR", "higher"),
    "vus_pr": Metric("VUS-PR", "higher"),
    "vus_roc": Metric("VUS-ROC", "higher"),
    "f1": Metric("F1", "higher"),
    "precision": Metric("Precision", "higher"),
    "recall": Metric("Recall", "higher"),
    "false_alarm_rate": Metric("False-alarm rate", "lower"),
    "missed_alarm_rate": Metric("Missed-alarm rate", "lower"),
    "events": Metric("Labelled anomalies"),
    "found": Metric("Found", "higher"),
    "event_recall": Metric("Event recall", "higher"),
    "median_delay_s": Metric("Median detection delay, s", "lower"),
    "median_delay_windows": Metric("Median detection delay, windows", "lower"),
    "incidents": Metric("Incidents"),
    "false_alarms": Metric("False alarms", "lower"),
    "scored_machine_days": Metric("Scored machine-days"),
    "false_alarms_per_machine_day": Metric("False alarms per machine-day", "lower"),
    "asked": Metric("False alarms per machine-day asked"),
}
SAID_BY_BUDGET: Final = frozenset({"asked", "false_alarms_per_machine_day", "scored_machine_days"})
COUNTS: Final = {
    "closed": "windows made",
    "scored": "windows scored",
    "not_scored": "windows not scored",
    "too_much_missing": "windows with too much missing, not scored",
    "before_model": "windows of the history, not scored",
    "no_model": "windows without a model, not scored",
    "line_moved": "moves of alarm lines by drift.report",
    "muted": "windows muted (not active, or a planned stop), scored without alarm",
    "records": "records read",
    "dead_letters": "records that could not be read (dead letters)",
    "late": "late readings, not used",
    "jump": "readings that jumped ahead and were never confirmed, not used",
    "repeated": "repeated window records, not used",
    "not_a_number": "values that were no numbers, taken as missing",
    "out_of_float32": "values beyond single precision, taken as missing",
    "bad_quality": "values of bad quality, taken as missing",
    "naive_time_as_utc": "times without a zone, read as UTC",
}


def metrics_section(metrics: Mapping[str, Any]) -> Html | None:
    """Return the metrics of a labelled run, the detector beside the baselines."""
    baselines = {k: v for k, v in part(metrics, "baselines").items() if isinstance(v, Mapping)}
    columns: dict[str, Mapping[str, Any]] = {"detector": metrics, **baselines}
    groups = [rows for name in GROUPS if (rows := _group(name, columns))]
    if not groups:
        return None
    arrows = "\N{UPWARDS ARROW} more is better, \N{DOWNWARDS ARROW} less is better"
    hint = f"{arrows}; bold: best of its row." if baselines else f"{arrows}."
    return tag(
        "section",
        tag("h2", "Metrics"),
        tag("p", hint, class_="hint"),
        table(["", *columns], (join(rows) for rows in groups), set(range(1, len(columns) + 1))),
        id="metrics",
    )


def _group(name: str, columns: Mapping[str, Mapping[str, Any]]) -> list[Html]:
    values = {column: _values(name, source) for column, source in columns.items()}
    keys = dict.fromkeys(key for own in values.values() for key in own)
    if not keys:
        return []
    head = tag("th", GROUPS[name], colspan=len(columns) + 1, scope="rowgroup")
    rows = (_row(key, [own.get(key) for own in values.values()]) for key in keys)
    return [tag("tr", head, class_="group"), *rows]


def _values(group: str, source: Mapping[str, Any]) -> dict[str, float]:
    found = {key: figure(value) for key, value in part(source, group).items()}
    said = SAID_BY_BUDGET if group == "events" and part(source, "budget") else ()
    return {key: v for key, v in found.items() if v is not None and key not in said}


def _row(key: str, values: Sequence[float | None]) -> Html:
    metric = METRICS.get(key, Metric(key.replace("_", " ")))
    arrow = {"higher": " \N{UPWARDS ARROW}", "lower": " \N{DOWNWARDS ARROW}", "": ""}
    best = _best(values, metric)
    cells = (
        tag("td", tag("strong", text) if v is not None and v == best else text)
        for v, text in zip(values, map(_written, values), strict=True)
    )
    return tag("tr", tag("th", metric.text, arrow[metric.better], scope="row"), *cells)


def _written(value: float | None) -> str:
    share = value is not None and 0 <= value <= 1 and value != int(value)
    return f"{value:.3f}" if share else number(value, 3)


def _best(values: Sequence[float | None], metric: Metric) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < 2 or not metric.better:
        return None
    return max(known) if metric.better == "higher" else min(known)


def counted_section(metrics: Mapping[str, Any]) -> Html | None:
    """Return everything that was counted on the way."""
    counted = flattened(part(metrics, "windows")) | flattened(part(metrics, "counts"))
    if not counted:
        return None
    named = {COUNTS.get(key, key.replace("_", " ")): text for key, text in counted.items()}
    return tag("section", tag("h2", "Counted"), facts(named), id="counted")


def making_section(metrics: Mapping[str, Any], notes: Sequence[str]) -> Html | None:
    """Return notes, model, settings and versions."""
    said = tag("ul", *(tag("li", note) for note in notes)) if notes else None
    folded = [
        tag("details", tag("summary", title), facts(part(metrics, name)))
        for name, title in (("model", "Model"), ("config", "Settings"), ("versions", "Versions"))
        if flattened(part(metrics, name))
    ]
    if said is None and not folded:
        return None
    return tag("section", tag("h2", "How this was made"), said, *folded, id="making")
