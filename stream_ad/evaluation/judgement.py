"""One record of what a run was worth: ranking, alarms by row, incidents, the budget.

Pure: columns and events in, JSON values out. ``metrics.json`` and the benchmarks hold what
is made here, for a detector and for every baseline alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.evaluation.events import (
    Event,
    IncidentSpan,
    event_metrics,
    labelled_events,
    scored_days,
)
from stream_ad.evaluation.metrics import at_line, auc_pr, auc_roc
from stream_ad.evaluation.rows import machine_codes, row_labels, rows_from_windows
from stream_ad.evaluation.vus import vus_pr
from stream_ad.records import IncidentEvent
from stream_ad.windows.spec import WindowSpec, parse_rfc3339

if TYPE_CHECKING:
    from stream_ad.detector.line import AlarmLine


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The rows of a recording with their labels, in any order.

    Parameters
    ----------
    machine : object array (n,)
    time : int64 array (n,)
        Nanoseconds since the epoch, UTC.
    label : float array (n,)
        1 = anomalous, 0 = normal, NaN = nobody has said.
    lasting_ns : int
        A row whose label is about the time before it (a window record, dated by its end)
        lasts so long; 0: a row is about the period from its time on.
    """

    machine: NDArray[np.object_]
    time: NDArray[np.int64]
    label: NDArray[Any]
    lasting_ns: int = 0

    def events(self, period_ns: int) -> list[Event]:
        """Return the labelled anomalies as spans of time."""
        start = self.time - self.lasting_ns
        return labelled_events(self.machine, start, self.label, self.lasting_ns or period_ns)


@dataclass(frozen=True, slots=True)
class ScoredWindows:
    """The windows that were scored, in any order.

    Parameters
    ----------
    machine : object array (w,)
    start, end : int64 array (w,)
        ``[start, end)`` in nanoseconds.
    static_score : float array (w,)
        What ranks: the score under the line that no adaptation moved.
    alarm : bool array (w,)
        What decides: alarms before m-of-n.
    """

    machine: NDArray[np.object_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    static_score: NDArray[np.floating]
    alarm: NDArray[np.bool_]


def judge_run(  # noqa: PLR0917 - what happened, then what it is held against
    rows: LabelledRows,
    scored: ScoredWindows,
    incidents: Iterable[IncidentSpan],
    spec: WindowSpec,
    since: int,
    asked: float,
    *,
    muted_days: float = 0.0,
) -> dict[str, Any]:
    """Hold scores, alarms and incidents against the labels of the rows after ``since``.

    Rows of one machine at one time count once, anomalous if any of them is. A row takes
    score and alarm of its machine's latest window that ended by then.

    Parameters
    ----------
    rows : LabelledRows
    scored : ScoredWindows
    incidents : iterable of IncidentSpan
        Process incidents; those over by ``since`` do not count.
    spec : WindowSpec
        Period of the rows and hop of the windows.
    since : int
        End of the training part in ns: rows, and ends of windows, after it are judged.
    asked : float
        The alarm budget, false alarms per machine and day.
    muted_days : float
        Scored machine-days in which no alarm could come.

    Returns
    -------
    dict
        JSON values: ``ranking`` (auc_roc, auc_pr, vus_pr), ``at_line`` (`AtLine`),
        ``events`` (`EventMetrics`), ``rows`` (judged: labelled rows; anomalous). What the
        rows cannot say is None.

    Raises
    ------
    InputError
        A label other than 0, 1, NaN.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=1))
    >>> time = np.arange(4) * 10**9
    >>> machine = np.array(["m"] * 4, object)
    >>> rows = LabelledRows(machine, time, np.array([0, 0, 1, 0]))
    >>> scores = np.array([0.1, 0.2, 3.0, 0.1])
    >>> scored = ScoredWindows(machine, time - 10**9, time, scores, scores > 1)
    >>> record = judge_run(rows, scored, [], spec, since=0, asked=1.0)
    >>> record["ranking"]["auc_roc"], record["at_line"]["f1"], record["rows"]
    (1.0, 1.0, {'judged': 3, 'anomalous': 1})
    """
    rows = _judged(rows, since)
    score, alarm = rows_from_windows(
        rows.machine, rows.time, scored.machine, scored.end, scored.static_score, scored.alarm
    )
    after = scored.end > since
    events = event_metrics(
        rows.events(spec.period_ns),
        [span for span in incidents if span.ended_at is None or span.ended_at > since],
        scored_days(scored.machine[after], scored.start[after], spec.hop_ns) - muted_days,
        asked,
        spec.hop_ns,
    )
    return {
        "ranking": {
            "auc_roc": auc_roc(rows.label, score),
            "auc_pr": auc_pr(rows.label, score),
            "vus_pr": vus_pr(rows.label, score, sequence=rows.machine),
        },
        "at_line": at_line(rows.label, alarm).to_dict(),
        "events": events.to_dict(),
        "rows": {
            "judged": int(np.sum(~np.isnan(rows.label))),
            "anomalous": int(np.sum(rows.label == 1)),
        },
    }


def _judged(rows: LabelledRows, since: int) -> LabelledRows:
    """Return rows after ``since``, by machine and time, each moment of a machine once."""
    label = row_labels(rows.label)
    later = np.flatnonzero(rows.time > since)
    (code,) = machine_codes(rows.machine[later])
    order = np.lexsort((rows.time[later], code))
    kept, code = later[order], code[order]
    if not len(kept):
        return replace(rows, machine=rows.machine[kept], time=rows.time[kept], label=label[kept])
    time = rows.time[kept]
    new = np.concatenate([[True], (code[1:] != code[:-1]) | (time[1:] != time[:-1])])
    first = np.flatnonzero(new)
    worst = np.fmax.reduceat(label[kept], first)
    return replace(rows, machine=rows.machine[kept[first]], time=time[first], label=worst)


def budget_record(
    line: AlarmLine,
    incidents: Iterable[IncidentSpan],
    scored_machine_days: float,
    asked: float,
    labelled: Sequence[Event] = (),
) -> dict[str, Any]:
    """Hold the alarm budget as asked against what the line promised and what came of it.

    Parameters
    ----------
    line : AlarmLine
    incidents : iterable of IncidentSpan
        Process incidents of the run.
    scored_machine_days : float
        From `scored_days`.
    asked : float
        False alarms per machine and day.
    labelled : sequence of Event
        Known anomalies: incidents that overlap one are not false. Without any, every
        incident counts as a false alarm.

    Returns
    -------
    dict
        JSON values, per machine-day of scored time: ``asked_per_machine_day``;
        ``expected_per_machine_day`` at the line, from the held-out windows;
        ``achieved_per_machine_day`` (None without scored time); ``supported``: whether the
        history sufficed for what was asked; ``supported_per_machine_day``: the tightest
        budget that it supports. Besides, in machine-days: ``scored_machine_days``,
        ``calibration_machine_days`` held out, and ``needed_days`` that would have to be
        held out for what was asked, None where it is supported.
    """
    achieved = event_metrics(labelled, incidents, scored_machine_days, asked)
    return {
        "asked_per_machine_day": asked,
        "expected_per_machine_day": float(line.expected_per_day(line.line)),
        "achieved_per_machine_day": achieved.false_alarms_per_machine_day,
        "supported": bool(line.budget_supported),
        "supported_per_machine_day": float(line.supported_budget),
        "needed_days": None if line.needed_days is None else float(line.needed_days),
        "scored_machine_days": scored_machine_days,
        "calibration_machine_days": float(line.days),
    }


def spans_of(events: Iterable[IncidentEvent]) -> list[IncidentSpan]:
    """Join the events of each process incident into the time that it lasted.

    Parameters
    ----------
    events : iterable of IncidentEvent
        Of any kind, in any order; repeats do not matter.

    Returns
    -------
    list of IncidentSpan
        By start, then machine. One without a ``closed`` event is still open; one without an
        ``opened`` event was opened before these events begin and is left out.
    """
    opened: dict[str, IncidentEvent] = {}
    closed: dict[str, int] = {}
    for event in events:
        if event.kind == "process" and event.event == "opened":
            opened[event.incident_id] = event
        elif event.kind == "process" and event.event == "closed":
            closed[event.incident_id] = parse_rfc3339(event.window_end)
    spans = [
        IncidentSpan(
            e.machine_id, parse_rfc3339(e.started_at), closed.get(name), parse_rfc3339(e.window_end)
        )
        for name, e in opened.items()
    ]
    return sorted(spans, key=lambda span: (span.started_at, span.machine))
