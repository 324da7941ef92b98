"""The end of a run on the terminal: what was found, what it was worth, where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stream_ad.training.labels_used import sentences

# heading, section of the metrics, key, format
COLUMNS = (
    ("AUC-ROC", "ranking", "auc_roc", ".3f"),
    ("AUC-PR", "ranking", "auc_pr", ".3f"),
    ("VUS-PR", "ranking", "vus_pr", ".3f"),
    ("F1", "at_line", "f1", ".3f"),
    ("false-alarm rows", "at_line", "false_alarm_rate", ".1%"),
    ("missed rows", "at_line", "missed_alarm_rate", ".1%"),
    ("events found", "events", "event_recall", ".0%"),
    ("median delay, s", "events", "median_delay_s", ".0f"),
    ("false alarms/day", "events", "false_alarms_per_machine_day", ".2f"),
)


def print_summary(metrics: dict[str, Any], out: Path, console: Console | None = None) -> None:
    """Print a run's metrics and the path of its report.

    Parameters
    ----------
    metrics : dict
        As in ``metrics.json``.
    out : Path
        The folder of the run.
    console : Console, optional
    """
    console = console or Console()
    for line in summary_lines(metrics):
        console.print(line, markup=False, highlight=False)
    if "ranking" in metrics:
        console.print(judged_table(metrics))
    console.print(f"report: {out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def summary_lines(metrics: dict[str, Any]) -> Iterator[str]:
    """Say in sentences what was scored, found and promised."""
    windows, budget, incidents = metrics["windows"], metrics["budget"], metrics["incidents"]
    yield (
        f"{windows['scored']:,} windows of {metrics['machines']:,} machines scored, "
        f"{incidents['process']} incidents and {incidents['data_quality']} of data quality"
    )
    if drifted := incidents.get("drift"):
        yield f"  {drifted:,} of drift, where a machine went farther than its line may follow"
    if muted := windows.get("muted"):
        yield f"  {muted:,} of them muted (windows.active_when, alarm.mute): they raise no alarm"
    counted = {k: v for k, v in metrics["counts"].items() if v and k != "records"}
    if counted:
        yield "counted: " + ", ".join(f"{k} {v:,}" for k, v in sorted(counted.items()))
    if tried := metrics.get("trainings"):
        yield from _trainings(tried)
    yield from sentences(metrics.get("labels", {}))
    if not windows["scored"]:
        yield (
            f"nothing was scored: of {windows['closed']:,} windows {windows['before_model']:,} end "
            f"within the history, {windows['too_much_missing']:,} have too many missing cells "
            "(where one machine stands after another in the file, --train-until TIME ends history)"
        )
    achieved = budget["achieved_per_machine_day"]
    yield (
        f"alarm budget: asked {budget['asked_per_machine_day']:g} per machine and day, "
        f"achieved {'-' if achieved is None else format(achieved, '.3g')} "
        f"in {budget['scored_machine_days']:.3g} machine-days"
    )
    if not budget["supported"]:
        yield (
            "  the history is too short for this budget: its tightest line stands for about "
            f"{budget['supported_per_machine_day']:.3g} per machine and day; "
            f"{budget['needed_days']:.3g} held-out machine-days would support what was asked"
        )


def _trainings(tried: list[dict[str, Any]]) -> Iterator[str]:
    made = sum("version" in one for one in tried)
    refused = [one for one in tried if "refused" in one]
    yield (
        f"trained anew {len(tried)} times: {made} promoted, {len(refused)} refused by the gate, "
        f"{len(tried) - made - len(refused)} without enough to learn from"
    )
    if refused:
        yield f"  the last refusal, at {refused[-1]['at']}: {refused[-1]['refused']}"


def judged_table(metrics: dict[str, Any]) -> Table:
    """Return a row per metric: the detector's figures and, beside them, the baselines'."""
    records = {"stream_ad": metrics} | metrics.get("baselines", {})
    table = Table()
    table.add_column("")
    for name in records:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for heading, section, key, form in COLUMNS:
        values = [record[section][key] for record in records.values()]
        table.add_row(heading, *("-" if v is None else format(v, form) for v in values))
    return table
