"""Which records of a machine are used: the jump rule, then the watermark.

A record far ahead of everything seen, and a machine's very first one, wait until the next
record of that machine lies near them at another time: one record from the year 2099 never
blinds a machine. A record behind the watermark is late. Both are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_BLOCK, LARGEST_BLOCK = 32, 65_536


@dataclass(slots=True)
class Waiting:
    """The record that waits for confirmation; rows of one time are one reading."""

    time: int
    values: NDArray[np.float32]
    rows: int = 1


@dataclass(slots=True)
class Admitted:
    """Parts of what was let in, in order of arrival, and how many rows were not."""

    time: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float32]] = field(default_factory=list)
    late: int = 0
    jump: int = 0

    def add(self, time: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Append one part."""
        if len(time):
            self.time.append(time)
            self.values.append(values)


@dataclass(slots=True)
class Gate:
    """The event time that a machine has reached, and the record that waits.

    Parameters
    ----------
    disorder : int
        Records more than this many ns behind the newest are late. For window records, which
        must strictly ascend, this is -1.
    max_jump : int
        Records more than this many ns ahead wait.
    merge : bool
        Whether rows at the waiting time are parts of one reading (else they are repeats).

    Examples
    --------
    >>> gate = Gate(disorder=3, max_jump=100)
    >>> rows = np.array([10, 11, 5, 9_000, 12])
    >>> admitted = gate.admit(rows, rows[:, None].astype(np.float32))
    >>> np.concatenate(admitted.time), admitted.late, admitted.jump
    (array([10, 11, 12]), 1, 1)
    """

    disorder: int
    max_jump: int
    merge: bool = True
    newest: int | None = None
    waiting: Waiting | None = None

    def admit(self, time: NDArray[np.int64], values: NDArray[np.float32]) -> Admitted:
        """Sort rows, given in order of arrival, into used, late, jumped and waiting.

        Parameters
        ----------
        time : int64 array (n,)
            Event times in ns.
        values : float32 array (n, ...)
            What was measured; NaN = missing.

        Returns
        -------
        Admitted

        Notes
        -----
        Rows between two jumps are judged at once. Blocks start small after a jump, so a stream
        of nothing but jumps costs a constant factor, not the square.
        """
        out = Admitted()
        row, block = 0, LARGEST_BLOCK
        while row < len(time):
            if self.waiting is not None or self.newest is None:
                self._one(int(time[row]), time[row : row + 1], values[row : row + 1], out)
                row, block = row + 1, FIRST_BLOCK
                continue
            part = time[row : row + block]
            # newest[i] is the newest time accepted before row i (late rows never raise it)
            newest = np.maximum.accumulate(np.concatenate(([self.newest], part)))
            jumps = np.flatnonzero(part - newest[:-1] > self.max_jump)
            used = int(jumps[0]) if len(jumps) else len(part)
            late = newest[:used] - part[:used] > self.disorder
            kept = slice(row, row + used) if not late.any() else row + np.flatnonzero(~late)
            out.add(time[kept], values[kept])
            out.late += int(late.sum())
            self.newest = int(newest[used])
            row += used
            block = min(2 * block, LARGEST_BLOCK)
            if used < len(part):
                self._one(int(time[row]), time[row : row + 1], values[row : row + 1], out)
                row, block = row + 1, FIRST_BLOCK
        return out

    def _one(
        self, t: int, time: NDArray[np.int64], values: NDArray[np.float32], out: Admitted
    ) -> None:
        waiting = self.waiting
        if waiting is not None and t == waiting.time:
            self._same_time(waiting, values[0], out)
            return
        far = self.newest is None or t - self.newest > self.max_jump
        if waiting is not None:
            self.waiting = None
            if far and abs(t - waiting.time) <= self.max_jump:
                out.add(np.array([waiting.time]), waiting.values[None])
                self.newest = waiting.time
                far = False
            else:
                out.jump += waiting.rows
        if far:
            self.waiting = Waiting(t, values[0].copy())
            return
        assert self.newest is not None  # not far means that something was accepted before
        if self.newest - t > self.disorder:
            out.late += 1
            return
        self.newest = max(self.newest, t)
        out.add(time, values)

    def _same_time(self, waiting: Waiting, values: NDArray[Any], out: Admitted) -> None:
        if self.merge:
            waiting.rows += 1
            waiting.values = np.where(np.isnan(values), waiting.values, values)
        else:
            out.late += 1
