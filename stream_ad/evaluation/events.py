"""Events against incidents: found or not, how late, and how many alarms were false.

All intervals are half open, ``[start, end)``, in nanoseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.evaluation.rows import Machines, machine_codes, row_labels

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
_FOREVER = np.iinfo(np.int64).max


class Event(NamedTuple):
    """One labelled anomaly of one machine; `end` is one period after its last anomalous row."""

    machine: str
    start: int
    end: int


class IncidentSpan(NamedTuple):
    """When one incident lasted and when it became known.

    `ended_at` is None while it is open: it then lasts to the end of the data. `opened_at` is
    the end of the window that opened it, the first moment at which anybody could know.
    """

    machine: str
    started_at: int
    ended_at: int | None
    opened_at: int


@dataclass(frozen=True)
class EventMetrics:
    """What the incidents were worth to whoever answers them; None where nothing was counted.

    Parameters
    ----------
    events : int
        Labelled events.
    found : int
        Events that at least one incident overlaps.
    event_recall : float or None
        found / events.
    median_delay_s : float or None
        Median over found events of the detection delay, seconds.
    median_delay_windows : float or None
        The same in hops; None when the hop was not given.
    incidents : int
        Process incidents opened.
    false_alarms : int
        Incidents that overlap no labelled event.
    scored_machine_days : float
        Scored time, summed over machines.
    false_alarms_per_machine_day : float or None
        false_alarms / scored_machine_days: the budget as achieved.
    asked : float or None
        The budget as asked, in the same unit.
    """

    events: int
    found: int
    event_recall: float | None
    median_delay_s: float | None
    median_delay_windows: float | None
    incidents: int
    false_alarms: int
    scored_machine_days: float
    false_alarms_per_machine_day: float | None
    asked: float | None

    def to_dict(self) -> dict[str, int | float | None]:
        """Return the figures as JSON values."""
        return asdict(self)


def labelled_events(
    machine: Machines, time: ArrayLike, label: ArrayLike, period_ns: int
) -> list[Event]:
    """Join the anomalous rows of each machine into events.

    An event is a maximal run of rows with label 1 in time order; a normal or unlabelled row
    ends it, missing rows do not: a run that goes on after a gap is one event. Rows of one
    machine at one time (a long file has one per sensor) count as one, anomalous if any is.

    Parameters
    ----------
    machine : (n,) sequence
        Machine of each row.
    time : (n,) int64
        Time of each row, nanoseconds; any order.
    label : (n,) array of 0, 1 or NaN
        1 = anomalous, NaN = unlabelled.
    period_ns : int
        Time from one row to the next, nanoseconds: what the last row of an event covers.

    Returns
    -------
    list of Event
        By start, then machine name.

    Raises
    ------
    InputError
        A label other than 0, 1, NaN.

    Examples
    --------
    >>> labelled_events(["a"] * 5, [0, 10, 20, 30, 40], [0, 1, 1, 0, 1], period_ns=10)
    [Event(machine='a', start=10, end=30), Event(machine='a', start=40, end=50)]
    """
    (code,) = machine_codes(machine)
    if not len(code):
        return []
    when, y = np.asarray(time, np.int64), row_labels(label)
    order = np.lexsort((when, code))
    code, when = code[order], when[order]
    first = np.flatnonzero(_changes(code) | _changes(when))
    anomalous = np.fmax.reduceat(y[order], first) == 1
    code, when, order = code[first], when[first], order[first]

    opens = anomalous & (_changes(code) | _changes(anomalous))
    closes = anomalous & (_changes(code[::-1]) | _changes(anomalous[::-1]))[::-1]
    runs = zip(np.flatnonzero(opens), np.flatnonzero(closes), strict=True)
    events = [
        Event(str(machine[order[a]]), int(when[a]), int(when[b]) + period_ns) for a, b in runs
    ]
    return sorted(events, key=lambda event: (event.start, event.machine))


def _changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where a value differs from the one before it; the first always does."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def event_metrics(
    events: Sequence[Event],
    incidents: Iterable[tuple[str, int, int | None, int]],
    scored_days: float,
    asked: float | None,
    hop_ns: int | None = None,
) -> EventMetrics:
    """Compare labelled events with the process incidents of the same machines.

    An event is found when an incident of its machine overlaps it. Its delay is the earliest
    `opened_at` of those minus its start, at least 0: an incident that was open already when
    the event began counts as found at once, so one that never closes finds everything. Read
    recall beside the false alarms and the time in alarm. The rate divides by all scored time,
    that of the events included, which only matters where anomalies fill much of it.

    Parameters
    ----------
    events : sequence of Event
        From :func:`labelled_events`.
    incidents : iterable of IncidentSpan, or of tuples in its order
        Process incidents; those about data quality, drift or silence do not belong here.
    scored_days : float
        Scored machine-days, from :func:`scored_days`.
    asked : float or None
        The alarm budget, false alarms per machine and day.
    hop_ns : int, optional
        Hop of the windows in nanoseconds, for the delay in windows.

    Examples
    --------
    >>> minute = 60 * SECOND_NS
    >>> incidents = [("a", 15 * minute, None, 25 * minute), ("b", 0, minute, minute)]
    >>> figures = event_metrics([Event("a", 10 * minute, 30 * minute)], incidents, 2.0, asked=0.5)
    >>> figures.found, figures.median_delay_s, figures.false_alarms_per_machine_day
    (1, 900.0, 0.5)
    """
    spans = defaultdict(list)
    for name, started_at, ended_at, opened_at in incidents:
        spans[name].append((started_at, _FOREVER if ended_at is None else ended_at, opened_at))
    table = {name: np.array(rows, dtype=np.int64) for name, rows in spans.items()}
    true = {name: np.zeros(len(rows), dtype=np.bool_) for name, rows in table.items()}

    delays = []
    for event in events:
        if event.machine not in table:
            continue
        started, ended, opened = table[event.machine].T
        overlaps = (started < event.end) & (event.start < ended)
        true[event.machine] |= overlaps
        if overlaps.any():
            delays.append(max(0, int(opened[overlaps].min()) - event.start))

    delay_ns = float(np.median(delays)) if delays else None
    total = sum(len(flags) for flags in true.values())
    false = total - sum(int(flags.sum()) for flags in true.values())
    return EventMetrics(
        events=len(events),
        found=len(delays),
        event_recall=len(delays) / len(events) if events else None,
        median_delay_s=None if delay_ns is None else delay_ns / SECOND_NS,
        median_delay_windows=None if delay_ns is None or not hop_ns else delay_ns / hop_ns,
        incidents=total,
        false_alarms=false,
        scored_machine_days=scored_days,
        false_alarms_per_machine_day=false / scored_days if scored_days else None,
        asked=asked,
    )


def scored_days(machine: Machines, window_start: ArrayLike, hop_ns: int) -> float:
    """Sum the scored time over machines: one hop per scored window, in days.

    Windows overlap when the hop is shorter than the window; by hops no time counts twice, and
    time that was not scored (gaps, too many missing cells) does not count at all.

    Parameters
    ----------
    machine : (w,) sequence
        Machine of each scored window.
    window_start : (w,) int64
        Start of each window, nanoseconds; a start given twice for a machine counts once.
    hop_ns : int
        Time from one window's start to the next, nanoseconds.

    Examples
    --------
    >>> scored_days(["a", "a", "b"], [0, 21_600 * 10**9, 0], hop_ns=21_600 * 10**9)
    0.75
    """
    (code,) = machine_codes(machine)
    if not len(code):
        return 0.0
    start = np.asarray(window_start, np.int64)
    order = np.lexsort((start, code))
    distinct = np.count_nonzero(_changes(code[order]) | _changes(start[order]))
    return float(distinct * hop_ns / DAY_NS)
