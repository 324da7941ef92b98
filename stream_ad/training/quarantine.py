"""Which windows incidents cover, and what operators said of them.

======================================  ====================================================
a window in an incident                 counts as
======================================  ====================================================
that nobody labelled, and is open       ``OPEN``: teaches nothing
that nobody labelled, and is closed     ``CLOSED``: teaches nothing, until ``quarantine_ns`` after
                                        the end it is ``FREE``, like a window in no incident
labelled anomaly                        ``ANOMALY``; at its edges ``BESIDE``: before the first
                                        alarm and in the quiet that closed it, neither one nor
                                        the other, it never teaches
labelled normal                         ``NORMAL`` where it ends by the time of the label; what
                                        came later nobody had seen: as if not labelled
labelled normal, new normal             ``NORMAL`` to the end of the incident
not labelled, open when another         ``NORMAL`` from where that one begins to its own end: all
incident of the group was labelled      show the same change
new normal for the whole group
======================================  ====================================================

Of several incidents that a window lies in the strongest word counts: anomaly, beside, normal,
open, closed. A window lies in an incident if it ends after the incident's start and not after its
end. Everything is event time; a label counts from its ``labelled_at`` on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.windows.spec import NEVER, parse_rfc3339

FREE, CLOSED, OPEN, NORMAL, BESIDE, ANOMALY = range(6)  # the stronger word is the higher
KINDS = ("process", "drift")
LABELS = {"normal": NORMAL, "anomaly": ANOMALY}

Starts = NDArray[np.int64]
Words = NDArray[np.int8]
Incident = dict[str, Any]


class Said(NamedTuple):
    """A word about the windows from a first to a last start, both included."""

    word: int
    first: int
    last: int
    told: int = -NEVER


class Change(NamedTuple):
    """A new normal: from when on, on which machine (``*``: on all), and when it was said."""

    machine: str
    since: int
    at: int


class Quarantine:
    """What is known of the incidents of a machine group.

    Parameters
    ----------
    window_ns : int
        Length of a window.
    quarantine_ns : int
        So long after it closed an incident that nobody labelled keeps its windows out.
    record : dict
        Incidents by id: JSON values, changed in place, for a checkpoint.
    settle_ns : int
        How long it is quiet before an incident closes (``close_after`` hops): that part of an
        incident labelled anomaly is none.

    Attributes
    ----------
    labels : int
        How often a label said something new.

    Notes
    -----
    Telling is harmless to repeat and in any order, but of an incident's labels the last counts.

    Examples
    --------
    >>> label = LabelRecord(incident_id="0123456789abcdef", label="normal", machine_id="m",
    ...     machine_group="default", started_at="1970-01-01T00:00:20Z",
    ...     ended_at="1970-01-01T00:00:50Z", labelled_at="1970-01-01T00:00:50Z")
    >>> NS = 10**9
    >>> quarantine = Quarantine(10 * NS, 60 * NS, {})
    >>> quarantine.label(label)
    >>> start, machine = np.arange(0, 60, 10) * NS, np.full(6, "m", object)
    >>> quarantine.status(machine, start, 60 * NS)
    array([0, 0, 3, 3, 3, 0], dtype=int8)
    """

    def __init__(
        self, window_ns: int, quarantine_ns: int, record: dict[str, Incident], settle_ns: int = 0
    ) -> None:
        self._window_ns, self._quarantine_ns = window_ns, quarantine_ns
        self._settle_ns, self.record = settle_ns, record
        self.labels = 0
        self._index()

    def tell(self, event: IncidentEvent) -> None:
        """Take in an event of an incident; one of data quality or silence says nothing here."""
        if event.kind not in KINDS:
            return
        incident = self._known(event.incident_id, event.machine_id, event.started_at)
        at = parse_rfc3339(event.window_start)
        incident["told"] = at if incident["told"] is None else min(incident["told"], at)
        if event.event == "closed":
            incident["end"] = parse_rfc3339(event.window_end)

    def label(self, label: LabelRecord) -> None:
        """Take in what an operator said of an incident, known or not."""
        incident = self._known(label.incident_id, label.machine_id, label.started_at)
        if incident["end"] is None and label.ended_at is not None:
            incident["end"] = parse_rfc3339(label.ended_at)
        at = parse_rfc3339(label.labelled_at)
        said = {"word": label.label, "new_normal": label.new_normal, "at": at}
        self.labels += said != incident["label"]
        incident["label"] = said

    def __contains__(self, machine: object) -> bool:
        """Say whether any incident of a machine is known."""
        return machine in self._of

    def covers(self, machine: str, start: Starts, at: Starts | None = None) -> NDArray[np.bool_]:
        """Return which windows of a machine lie in an incident, labelled or not.

        Parameters
        ----------
        machine : str
        start : int64 array (n,)
            In ns, ascending.
        at : int64 array (n,), optional
            Ascending; an incident counts for a window if it was told of by then.

        Returns
        -------
        bool array (n,)
        """
        return _strongest(self._spans(machine), start, at) > FREE

    def labels_of(self, machine: str, start: Starts, at: Starts | None = None) -> Words:
        """Return the strongest label of the incidents that each window lies in, else ``FREE``.

        Parameters are those of `covers`; it does not matter from when on a label counts.
        """
        spans = self._spans(machine)
        return _strongest(spans[spans[:, 0] > OPEN], start, at)

    def status(self, machine: NDArray[np.object_], start: Starts, now: int) -> Words:
        """Return what windows count as at a time: words of the table at the head of this file.

        Parameters
        ----------
        machine : object array (n,)
        start : int64 array (n,)
            In ns.
        now : int
            Event time in ns.

        Returns
        -------
        int8 array (n,)
        """
        found, changes = np.zeros(len(start), np.int8), self._changes(now)
        for name, rows in by_name(machine):
            if incidents := self._of.get(name):
                ordered = rows[np.argsort(start[rows])]
                said = [word for one in incidents for word in self._said(one, changes, now)]
                found[ordered] = _strongest(np.array(said, np.int64), start[ordered])
        return found

    def new_normal(self, now: int) -> frozenset[str]:
        """Return the machines whose new normal an operator accepted; ``*`` stands for all."""
        return frozenset(change.machine for change in self._changes(now))

    def forget(self, now: int, unripe: Mapping[str, int], oldest: Mapping[str, int]) -> None:
        """Drop the closed incidents that no window will lie in, or whose windows are free again.

        Whoever builds the buffer anew from the records needs all that were ever told of.

        Parameters
        ----------
        now : int
            Event time in ns.
        unripe : mapping of str to int
            Machine to the earliest start for which `covers` may still be asked.
        oldest : mapping of str to int
            Likewise `status`.
        """
        changes = self._changes(now)

        def is_over(one: Incident) -> bool:
            last, name = self._span(one).last, one["machine"]
            if last < oldest.get(name, -NEVER):
                return True
            free = not any(self._said(one, changes, now))
            return free and one["label"] is None and last < unripe.get(name, -NEVER)

        gone = {name: one for name, one in self.record.items() if is_over(one)}
        kept = [one for name, one in self.record.items() if name not in gone]
        for name, one in gone.items():
            change = _change(one)
            if change is None or not any(_shows(other, change) for other in kept):
                del self.record[name]
        self._index()

    def _known(self, name: str, machine: str, started_at: str) -> Incident:
        if name not in self.record:
            since = parse_rfc3339(started_at)
            one = {"machine": machine, "since": since, "told": None, "end": None, "label": None}
            self.record[name] = one
            self._of.setdefault(machine, []).append(one)
        self._cached.pop(machine, None)
        return self.record[name]

    def _index(self) -> None:
        self._of: dict[str, list[Incident]] = {}
        self._cached: dict[str, NDArray[np.int64]] = {}
        for one in self.record.values():
            self._of.setdefault(one["machine"], []).append(one)

    def _changes(self, now: int) -> list[Change]:
        changes = map(_change, self.record.values())
        return [change for change in changes if change is not None and change.at <= now]

    def _span(self, one: Incident) -> Said:
        """All windows that lie in an incident."""
        last, label = _end(one) - self._window_ns, one["label"]
        word = OPEN if label is None else LABELS[label["word"]]
        return Said(word, one["since"] - self._window_ns + 1, last, _told(one))

    def _spans(self, machine: str) -> NDArray[np.int64]:
        """Of each incident of a machine its span, as a row."""
        if machine not in self._cached:
            spans = [self._span(one) for one in self._of.get(machine, ())]
            self._cached[machine] = np.array(spans, np.int64).reshape(-1, len(Said._fields))
        return self._cached[machine]

    def _said(self, one: Incident, changes: Iterable[Change], now: int) -> Iterator[Said]:
        whole, label = self._span(one), one["label"]
        if label is None or label["at"] > now:
            yield from self._unlabelled(one, whole, now)
            begins = [max(one["since"], c.since) for c in changes if _shows(one, c)]
            if begins:
                yield whole._replace(word=NORMAL, first=min(begins))
        elif label["word"] == "anomaly":
            end = min(_end(one), now)
            loud = max(one["since"], end - self._window_ns - self._settle_ns)
            yield whole._replace(word=BESIDE)
            yield whole._replace(word=ANOMALY, first=one["since"], last=min(loud, whole.last))
        else:
            seen = whole.last
            if label["new_normal"] == "no":
                seen = min(seen, label["at"] - self._window_ns)
            yield whole._replace(word=NORMAL, first=one["since"], last=seen)
            later = max(one["since"], seen + 1)
            yield from self._unlabelled(one, whole._replace(first=later), now)

    def _unlabelled(self, one: Incident, windows: Said, now: int) -> Iterator[Said]:
        if _end(one) > now:
            yield windows._replace(word=OPEN)
        elif _end(one) + self._quarantine_ns > now:
            yield windows._replace(word=CLOSED)


def by_name(machine: NDArray[np.object_]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each machine and its rows, ascending."""
    names: list[str] = machine.tolist()
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    code = np.fromiter(map(codes.__getitem__, names), np.int64, len(names))
    ends = np.cumsum(np.bincount(code, minlength=len(codes)))
    parts = np.split(np.argsort(code, kind="stable"), ends[:-1])
    yield from zip(codes, parts, strict=False)


def _told(one: Incident) -> int:
    """When it first was known that there is an incident."""
    times = [one["told"], one["label"] and one["label"]["at"]]
    return min(int(time) for time in times if time is not None)


def _end(one: Incident) -> int:
    """When an incident ended; one that only a label tells of lasted until that was given."""
    if one["end"] is not None:
        return int(one["end"])
    return NEVER if one["told"] is not None else int(one["label"]["at"])


def _change(one: Incident) -> Change | None:
    label = one["label"]
    if label is None or label["new_normal"] == "no":
        return None
    machine = "*" if label["new_normal"] == "group" else one["machine"]
    return Change(machine, one["since"], label["at"])


def _shows(one: Incident, change: Change) -> bool:
    """Whether an incident was open where, and when, an operator told of a new normal."""
    open_then = _told(one) <= change.at < _end(one)
    return open_then and change.machine in {"*", one["machine"]}


def _strongest(said: NDArray[np.int64], start: Starts, at: Starts | None = None) -> Words:
    """Return the strongest word about each window; starts and times ascend.

    Parameters
    ----------
    said : int64 array (k, 4)
        Rows of `Said`.
    start : int64 array (n,)
    at : int64 array (n,), optional
        When each window asks: what was told of by then counts.
    """
    found = np.full(len(start), FREE, np.int8)
    if not (len(said) and len(start)):
        return found
    near = said[(said[:, 1] <= start[-1]) & (said[:, 2] >= start[0])]
    word, first, last, told = near[np.argsort(near[:, 0], kind="stable")].T
    since, until = np.searchsorted(start, first), np.searchsorted(start, last, "right")
    if at is not None:
        since = np.maximum(since, np.searchsorted(at, told))
    for one, a, b in zip(word.tolist(), since.tolist(), until.tolist(), strict=True):
        found[a:b] = one  # nothing where b lies before a
    return found
