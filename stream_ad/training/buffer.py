"""The newest normal windows of a stream: what a refit learns from.

A window is taken once no incident can reach back to it. Which windows an incident covers is
kept as spans of time, so that the buffer can be built anew from the records it came from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.machines import Records, by_machine
from stream_ad.training.history import Collector
from stream_ad.windows import Windows

Spans = dict[str, list[list[int]]]
NONE = -1  # of a window that belongs to no incident


class Quarantine:
    """The windows that incidents cover, by machine.

    Parameters
    ----------
    window_ns : int
        Length of a window.
    spans : dict of str to list of [since, last]
        Machine to its incidents: from when on, and the start of the last window in it. JSON
        values, changed in place.

    Examples
    --------
    >>> quarantine = Quarantine(10, {})
    >>> quarantine.note("m", np.array([100, 105, 110]), np.array([-1, 95, 95]))
    >>> quarantine.spans
    {'m': [[95, 110]]}
    >>> quarantine.covers("m", np.array([80, 85, 90, 110, 115]))  # the third ends at 100
    array([False, False,  True,  True, False])
    """

    def __init__(self, window_ns: int, spans: Spans) -> None:
        self._window_ns, self.spans = window_ns, spans

    def note(self, machine: str, start: NDArray[np.int64], since: NDArray[np.int64]) -> None:
        """Take in windows of a machine, in order: of each the start of its incident, or -1."""
        for first, last in zip(since.tolist(), start.tolist(), strict=True):
            if first == NONE:
                continue
            spans = self.spans.setdefault(machine, [])
            if spans and spans[-1][0] == first:
                spans[-1][1] = last
            else:
                spans.append([first, last])

    def covers(self, machine: str, start: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which windows overlap an incident of their machine; bool (n,)."""
        spans = self.spans.get(machine)
        if not spans:
            return np.zeros(len(start), bool)
        since, last = np.array(spans, np.int64).T
        # the earliest begin of those that end at or after each; spans come in order of their end
        begin = np.append(np.minimum.accumulate(since[::-1])[::-1], np.iinfo(np.int64).max)
        found = begin[np.searchsorted(last, start)]
        covered: NDArray[np.bool_] = found < start + self._window_ns
        return covered

    def forget(self, before: int) -> None:
        """Drop the incidents whose last window started before a time."""
        for machine in [*self.spans]:
            kept = [span for span in self.spans[machine] if span[1] >= before]
            if kept:
                self.spans[machine] = kept
            else:
                del self.spans[machine]


class Taken(NamedTuple):
    """How many windows whose time came were taken, and left out as an incident covers them."""

    kept: int
    left_out: int


class Buffer:
    """The newest windows of all machines that belong to no incident.

    What it holds is a function of each machine's windows in their order: neither batches nor the
    order between machines matters.

    Parameters
    ----------
    limit : int
        Most windows held.
    reach_ns : int
        So long after its start a window is taken: an incident that opens later does not cover it.
    quarantine : Quarantine
    windows : Windows
        Those to begin with: the history.
    """

    def __init__(self, limit: int, reach_ns: int, quarantine: Quarantine, windows: Windows) -> None:
        self._kept, self._reach_ns, self._quarantine = Collector(limit), reach_ns, quarantine
        self._kept.add(windows)
        self._waiting: dict[str, Windows] = {}

    def take(self, windows: Windows) -> Taken:
        """Take in windows that may teach, those of a machine in order of start."""
        parts = [self._take(machine, part) for machine, part in by_machine(windows)]
        return Taken(sum(part.kept for part in parts), sum(part.left_out for part in parts))

    def newest(self) -> Windows | None:
        """Return the windows held; None if there are none."""
        return self._kept.newest()

    def _take(self, machine: str, fresh: Records) -> Taken:
        assert isinstance(fresh, Windows)
        held = self._waiting.get(machine)
        windows = fresh if held is None else Windows.concat([held, fresh])
        ripe = windows.start + self._reach_ns <= windows.start[-1]
        self._waiting[machine] = windows.take(~ripe)
        covered = self._quarantine.covers(machine, windows.start[ripe])
        self._kept.add(windows.take(ripe).take(~covered))
        return Taken(int((~covered).sum()), int(covered.sum()))
