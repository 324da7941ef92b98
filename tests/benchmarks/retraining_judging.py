"""What a run through an aging factory was worth, period by period.

======== ===================================================================================
false    a process incident that overlaps no fault, counted where it opened
found    a fault that a process incident of its machine overlaps, open before it or not
told     a fault within which an incident opened, or less than a window after it: one that was
         open already tells nobody anything new
drowned  a fault of a machine that, never retrained, had been in alarm for at least half of the
         day before, or of what was scored of it: whoever finds everything misses nothing
======== ===================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stream_ad.evaluation.judgement import spans_of
from stream_ad.evaluation.outputs import Run
from stream_ad.windows import WindowSpec
from stream_ad.windows.spec import NEVER, NS, parse_rfc3339
from tests.benchmarks.aging import DAY_S, AgingSource, Event
from tests.benchmarks.tallies import poisson_interval

DAY_NS = DAY_S * NS
WEEK_NS = 7 * DAY_NS
LABEL_NS = DAY_NS  # so long after a change the operator says that it is the new normal
SETTLING_NS = 2 * DAY_NS  # and so long after that it has to be learned

Bools = NDArray[np.bool_]


class Period(NamedTuple):
    """A part of the scored time, ``[since, until)`` in ns."""

    name: str
    since: int
    until: int


def weeks(source: AgingSource) -> list[Period]:
    """Cut the scored time into weeks, the last one shorter."""
    end = source.at(source.plan.days)
    starts = range(source.until, end, WEEK_NS)
    return [
        Period(f"week {number}", since, min(since + WEEK_NS, end))
        for number, since in enumerate(starts, 1)
    ]


def phases(source: AgingSource) -> list[Period]:
    """Cut the scored time at the changes, and where each has to be settled."""
    found, since = [], source.until
    name = "before the changes"
    for number, change in enumerate(source.plan.changes, 1):
        at = source.at(change.day)
        settled = at + LABEL_NS + SETTLING_NS
        found += [Period(name, since, at), Period(f"change {number}", at, settled)]
        name, since = settled_name(number), settled
    return [*found, Period(name, since, source.at(source.plan.days))]


def settled_name(change: int) -> str:
    """Return the name of the period in which a change, counted from 1, is settled."""
    return f"change {change} settled"


@dataclass(frozen=True, slots=True)
class Count:
    """What happened in a period.

    Parameters
    ----------
    days : float
        Scored machine-days.
    false, drifts : int
        False process incidents, and opened ones of kind ``drift``.
    windows, alarms : int
        Scored windows outside of faults, and those in alarm.
    faults, found, told : int
        Faults that began in it.
    clear, clear_found, clear_told : int
        Likewise, those that were not drowned.

    Examples
    --------
    >>> both = Count.pooled([Count(10, 5), Count(10, 15)])
    >>> both.over_asked(1.0), [round(bound, 2) for bound in both.interval(1.0)]
    (1.0, [0.61, 1.54])
    """

    days: float = 0.0
    false: int = 0
    drifts: int = 0
    windows: int = 0
    alarms: int = 0
    faults: int = 0
    found: int = 0
    told: int = 0
    clear: int = 0
    clear_found: int = 0
    clear_told: int = 0

    @classmethod
    def pooled(cls, parts: Iterable[Self]) -> Self:
        """Return the sum."""
        rows = [[getattr(part, f.name) for f in fields(cls)] for part in parts]
        return cls(*(sum(column) for column in zip(*rows, strict=True)))

    def over_asked(self, asked: float) -> float:
        """Return false incidents over those asked for, which are per machine-day."""
        return share(self.false, self.days * asked)

    def interval(self, asked: float) -> tuple[float, float]:
        """Return the exact 95 % Poisson interval of `over_asked`."""
        low, high = poisson_interval(self.false)
        return share(low, self.days * asked), share(high, self.days * asked)


def share(part: float, whole: float) -> float:
    """Return a quotient; NaN of nothing."""
    return part / whole if whole else np.nan


def drowned(run: Run, events: Sequence[Event]) -> Bools:
    """Return which events (n,) are drowned in the alarms of a run."""
    scored, found = run.scored, np.zeros(len(events), bool)
    for i, event in enumerate(events):
        before = (scored.machine == event.machine) & (scored.end <= event.start)
        before &= scored.end > event.start - DAY_NS
        found[i] = before.any() and scored.alarm[before].mean() >= 0.5
    return found


def count(
    run: Run, events: Sequence[Event], clear: Bools, periods: Sequence[Period], spec: WindowSpec
) -> list[Count]:
    """Count what happened in each period.

    Parameters
    ----------
    run : Run
    events : sequence of Event
    clear : bool array (n,)
        Events that are not drowned.
    periods : sequence of Period
    spec : WindowSpec
    """
    false, hit, told = _told_apart(run, events, spec.window_ns)
    began = np.array([event.start for event in events], np.int64)
    drifts = np.array(
        [
            parse_rfc3339(e.window_end)
            for e in run.events
            if (e.kind, e.event) == ("drift", "opened")
        ],
        np.int64,
    )
    quiet = ~_touched(run, events)

    def one(period: Period) -> Count:
        windows = _inside(run.scored.end, period)
        mine = _inside(began, period)
        return Count(
            days=int(windows.sum()) * spec.hop_ns / DAY_NS,
            false=int(_inside(false, period).sum()),
            drifts=int(_inside(drifts, period).sum()),
            windows=int((windows & quiet).sum()),
            alarms=int((windows & quiet & run.scored.alarm).sum()),
            faults=int(mine.sum()),
            found=int((mine & hit).sum()),
            told=int((mine & told).sum()),
            clear=int((mine & clear).sum()),
            clear_found=int((mine & clear & hit).sum()),
            clear_told=int((mine & clear & told).sum()),
        )

    return [one(period) for period in periods]


def found(run: Run, events: Sequence[Event]) -> Bools:
    """Return which events (n,) a process incident overlaps."""
    return _told_apart(run, events, 0)[1]


def by_kind(run: Run, events: Sequence[Event], clear: Bools) -> Mapping[str, tuple[int, int]]:
    """Return for each kind how many of its clear faults were found, and how many there are."""
    hit = clear & found(run, events)
    kinds = np.array([event.kind for event in events])
    return {
        str(kind): (
            int((hit & (kinds == kind)).sum()),
            int((clear & (kinds == kind)).sum()),
        )
        for kind in np.unique(kinds)
    }


def _told_apart(
    run: Run, events: Sequence[Event], window_ns: int
) -> tuple[NDArray[np.int64], Bools, Bools]:
    """Return when the false incidents opened; which events were found; which were told."""
    hit, told = np.zeros(len(events), bool), np.zeros(len(events), bool)
    false = []
    for span in spans_of(run.events):
        end = NEVER if span.ended_at is None else span.ended_at
        mine = [
            i for i, e in _of(events, span.machine) if span.started_at < e.end and e.start < end
        ]
        hit[mine] = True
        for i in mine:
            told[i] |= events[i].start < span.opened_at <= events[i].end + window_ns
        if not mine:
            false.append(span.opened_at)
    return np.array(false, np.int64), hit, told


def _of(events: Sequence[Event], machine: str) -> Iterator[tuple[int, Event]]:
    return ((i, event) for i, event in enumerate(events) if event.machine == machine)


def _touched(run: Run, events: Sequence[Event]) -> Bools:
    """Return which scored windows (w,) overlap an event."""
    scored, touched = run.scored, np.zeros(len(run.score), bool)
    for event in events:
        touched |= (
            (scored.machine == event.machine)
            & (scored.start < event.end)
            & (event.start < scored.end)
        )
    return touched


def _inside(time: NDArray[np.int64], period: Period) -> Bools:
    inside: Bools = (time > period.since) & (time <= period.until)
    return inside
