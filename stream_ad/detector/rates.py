"""How many incidents normal scores would have opened at each alarm line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import AlarmConfig
from stream_ad.detector.tail import MIN_PEAKS, Floats, ParetoTail

MAX_TAIL_SHARE = 0.25  # a tail begins where at most this share of the windows would alarm


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Raw scores of held-out normal windows, by machine and start, read by the alarm rule.

    Parameters
    ----------
    machine : int array (n,)
        A number per machine.
    start : int64 array (n,)
        Start of each window, ascending within a machine.
    raw : float array (n,)
    alarm : AlarmConfig
        ``m`` of ``n`` and ``close_after``.
    memory_ns : int
        n hops.
    """

    machine: NDArray[np.intp]
    start: NDArray[np.int64]
    raw: Floats
    alarm: AlarmConfig
    memory_ns: int

    def opening_levels(self) -> Floats:
        """Return u (n,): the m-th largest of the raw scores that start within the last n hops.

        An incident can open at a window only at lines below its u; -inf where fewer than m
        windows lie within n hops.
        """
        columns, back = [self.raw], 0
        while True:
            back += 1
            column = np.full(len(self.raw), -np.inf)
            late = self._joined(back)
            column[back:][late] = self.raw[:-back][late]
            if not late.any():
                break
            columns.append(column)
        if len(columns) < self.alarm.m:
            return np.full(len(self.raw), -np.inf)
        u: Floats = np.sort(np.stack(columns), axis=0)[-self.alarm.m]
        return u

    def _joined(self, back: int) -> NDArray[np.bool_]:
        """Whether a window remembers the one that lies so many places before it."""
        joined: NDArray[np.bool_] = self.machine[back:] == self.machine[:-back]
        joined &= self.start[back:] - self.start[:-back] < self.memory_ns
        return joined

    def incidents(self, line: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the opening window and the last alarming window of each incident at a line.

        The alarm rule, told from its alarms alone: a run of alarms ends where ``close_after``
        quiet windows follow; it opens an incident at the first m alarms within n hops that
        all lie behind the last run that did.
        """
        alarms = np.flatnonzero(self.raw > line)
        m = self.alarm.m
        if len(alarms) < m:
            return alarms[:0], alarms[:0]
        ends = np.diff(alarms) > self.alarm.close_after
        ends |= self.machine[alarms[1:]] != self.machine[alarms[:-1]]
        run = np.concatenate([[0], np.cumsum(ends)])
        last_of_run = np.append(np.flatnonzero(ends), len(alarms) - 1)
        first, last = alarms[: len(alarms) - m + 1], alarms[m - 1 :]
        together = self.machine[first] == self.machine[last]
        together &= self.start[last] - self.start[first] < self.memory_ns
        opened, used = [], -1
        for j in (np.flatnonzero(together) + m - 1).tolist():
            if j - m + 1 > used:
                opened.append(j)
                used = int(last_of_run[run[j]])
        return alarms[opened], alarms[last_of_run[run[opened]]]


@dataclass(frozen=True, slots=True)
class IncidentRate:
    """Expected incidents per machine-day of scored time at each line; falls with the line.

    At the level of the ``i``-th row ``(1 + incidents counted there) / days``, made to fall
    by the largest count at or above; from a threshold on the fitted tail of the incidents'
    highest u. The lowest level is the one with most incidents: below it they only merge into
    one long alarm, so no budget asks for a lower line.

    Parameters
    ----------
    levels, rates : float array (r,)
        Levels descending, rates ascending, at least one row.
    tail : ParetoTail or None
    """

    levels: Floats
    rates: Floats
    tail: ParetoTail | None

    @classmethod
    def fit(cls, held_out: HeldOut, days: float, independent: float) -> IncidentRate:
        """Count incidents at levels of u, and fit the tail where there are 30 or more.

        Parameters
        ----------
        held_out : HeldOut
        days : float
            Scored machine-days.
        independent : float
            Independent windows ``I``; ``min(0.2 I, 3 sqrt(I))`` peaks are wanted for the tail.
        """
        u = held_out.opening_levels()
        levels = _levels(np.sort(u[np.isfinite(u)])[::-1], float(np.median(held_out.raw)))
        found = [held_out.incidents(level) for level in levels]
        counts = np.array([len(opened) for opened, _ in found])
        end = int(counts.argmax()) + 1
        rates = (1 + np.maximum.accumulate(counts[:end])) / days
        tail, wanted = None, max(MIN_PEAKS, min(0.2 * independent, 3 * math.sqrt(independent)))
        for i in range(end):
            if (held_out.raw > levels[i]).mean() > MAX_TAIL_SHARE:
                break
            if counts[i] >= MIN_PEAKS:
                tail = i
            if counts[i] >= wanted:
                break
        if tail is None:
            return cls(levels[:end], rates, None)
        opened, last = found[tail]
        peaks = np.array([u[a : b + 1].max() for a, b in zip(opened, last, strict=True)])
        fitted = ParetoTail.fit(peaks, float(levels[tail]), float(rates[tail]))
        return cls(levels[tail:end], rates[tail:end], fitted)

    @property
    def lowest(self) -> float:
        """The level with most incidents."""
        return float(self.levels[-1])

    def at(self, line: float) -> float:
        """Return the expected incidents per machine-day at a line, ``lowest`` at least."""
        if self.tail is not None and line > self.tail.threshold:
            return float(self.tail.at(np.array([line]))[0])
        above = int(np.searchsorted(-self.levels, -line, side="left"))
        return float(self.rates[min(above, len(self.rates) - 1)])

    def where(self, budget: float) -> float:
        """Return the lowest line with at most so many incidents; infinite if none is known."""
        if self.tail is not None and budget < self.tail.value:
            return self.tail.where(budget)
        within = np.flatnonzero(self.rates <= budget * (1 + 1e-12))
        return float(self.levels[within[-1]]) if len(within) else math.inf


def _levels(u: Floats, least: float) -> Floats:
    """Choose levels among the descending u above ``least``: every one at first, then fewer."""
    u = u[u > least]
    if not len(u):
        return np.array([least])
    ranks, rank = [], 0
    while rank < len(u):
        ranks.append(rank)
        rank += max(1, rank // 16)
    return np.unique(u[ranks])[::-1]
