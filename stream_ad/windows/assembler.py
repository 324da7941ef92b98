"""Readings of one machine become windows of its event-time grid.

A slot takes each sensor's latest value by event time, ties by arrival. An empty slot
carries the last value forward for at most ``max_gap_slots`` slots, then it is missing. A
window closes when the machine's own watermark reaches its end; one into which no reading
falls is not made. What comes out does not depend on how the readings were cut into chunks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.windows.gate import Gate, Waiting
from stream_ad.windows.packing import pack, unpack
from stream_ad.windows.spec import NEVER, WindowSpec

Made = tuple[NDArray[np.int64], NDArray[np.float32]]  # starts (k,) in ns, values (k, T, C)


class Assembler:
    """The grid of one machine: open slots, last values, watermark.

    Parameters
    ----------
    spec : WindowSpec
        The machine group's grid.

    Attributes
    ----------
    late, jump : int
        Readings counted and not used, since the last ``push``.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=2))
    >>> machine = Assembler(spec)
    >>> seconds = np.array([0, 1, 2, 4]) * 10**9
    >>> starts, values = machine.push(seconds, np.array([[1.], [2.], [3.], [5.]], np.float32))
    >>> starts // 10**9, values[:, :, 0]
    (array([0, 2]), array([[1., 2.],
           [3., 3.]], dtype=float32))

    Notes
    -----
    Only slots at or after the watermark can still change, so only they keep the times of
    their values; everything older is a float32 per cell.
    """

    def __init__(self, spec: WindowSpec) -> None:
        sensors = len(spec.sensors)
        self.spec = spec
        self.gate = Gate(spec.disorder_ns, spec.max_jump_ns)
        self.late = self.jump = 0
        self._max_gap = np.array(spec.max_gap_slots, np.int64)
        self._slots = np.empty(0, np.int64)  # (K,) slots with readings, ascending
        self._values = np.empty((0, sensors), np.float32)
        self._times = np.empty((0, sensors), np.int64)  # meaningless before the watermark
        self._carry_slot = np.full(sensors, -NEVER, np.int64)
        self._carry_value = np.full(sensors, np.nan, np.float32)

    def push(self, time: NDArray[np.int64], values: NDArray[np.float32]) -> Made:
        """Take readings in order of arrival, return the windows that they close.

        Parameters
        ----------
        time : int64 array (n,)
            Event times in ns.
        values : float32 array (n, C)
            NaN = missing.

        Returns
        -------
        starts : int64 array (k,)
            Ascending, in ns.
        values : float32 array (k, T, C)
            NaN = missing.
        """
        closed_before = self._last_closed()
        admitted = self.gate.admit(time, values)
        self.late, self.jump = admitted.late, admitted.jump
        if not admitted.time:
            return self._nothing()
        if len(admitted.time) == 1:
            self._place(admitted.time[0], admitted.values[0])
        else:
            self._place(np.concatenate(admitted.time), np.concatenate(admitted.values))
        closed = self._last_closed()
        assert closed is not None  # something was accepted
        if closed == closed_before:
            return self._nothing()
        made = self._make(-NEVER if closed_before is None else closed_before, closed)
        self._forget(closed)
        return made

    def _last_closed(self) -> int | None:
        """Return the number of the last window that the watermark has closed."""
        if self.gate.newest is None:
            return None
        full_slots = (self.gate.newest - self.spec.disorder_ns) // self.spec.period_ns
        return (full_slots - self.spec.length) // self.spec.hop

    def _nothing(self) -> Made:
        shape = (0, self.spec.length, len(self.spec.sensors))
        return np.empty(0, np.int64), np.empty(shape, np.float32)

    def _place(self, time: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Put accepted readings into their slots."""
        if (time[1:] < time[:-1]).any():
            order = np.argsort(time, kind="stable")
            time, values = time[order], values[order]
        slots = time // self.spec.period_ns
        after = not len(self._slots) or slots[0] > self._slots[-1]
        if after and (slots[1:] > slots[:-1]).all():
            self._append(slots, time, values)
        else:
            self._merge(slots, time, values, after=after)

    def _append(
        self, slots: NDArray[np.int64], time: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        """Put readings into new slots, one in each: the usual case, several times as fast."""
        when = np.where(np.isnan(values), -NEVER, time[:, None])
        self._slots = np.concatenate((self._slots, slots))
        self._values = np.concatenate((self._values, values))
        self._times = np.concatenate((self._times, when))

    def _merge(
        self,
        slots: NDArray[np.int64],
        time: NDArray[np.int64],
        values: NDArray[np.float32],
        *,
        after: bool,
    ) -> None:
        """Put readings, ascending in time, into new and known slots."""
        if after:
            fresh = np.flatnonzero(np.concatenate(([True], slots[1:] != slots[:-1])))
            union = np.concatenate((self._slots, slots[fresh]))
        else:
            union = np.union1d(self._slots, slots)
        grid = np.full((len(union), values.shape[1]), np.nan, np.float32)
        when = np.full(grid.shape, -NEVER, np.int64)
        known = np.searchsorted(union, self._slots)
        grid[known], when[known] = self._values, self._times
        at = np.searchsorted(union, slots)
        # readings ascend in time, so the last assignment to a cell is its latest value
        row, sensor = np.nonzero(~np.isnan(values))
        cell = at[row], sensor
        late_enough = time[row] >= when[cell]
        row, sensor = row[late_enough], sensor[late_enough]
        cell = at[row], sensor
        grid[cell], when[cell] = values[row, sensor], time[row]
        self._slots, self._values, self._times = union, grid, when

    def _make(self, before: int, closed: int) -> Made:
        """Return windows ``before < number <= closed`` into which a reading fell."""
        spec = self.spec
        newest = self._slots // spec.hop
        oldest = -((spec.length - 1 - self._slots) // spec.hop)  # ceil((slot - length + 1) / hop)
        overlap = -(-spec.length // spec.hop)
        numbers = np.unique(
            np.concatenate([np.maximum(newest - back, oldest) for back in range(overlap)])
        )
        numbers = numbers[(numbers > before) & (numbers <= closed)]
        if not len(numbers):
            return self._nothing()
        first = numbers * spec.hop
        slots = _covered(first, spec.length)
        grid = self._filled(slots)
        rows = np.searchsorted(slots, first)[:, None] + np.arange(spec.length)
        return first * spec.period_ns, grid.take(rows, axis=0)

    def _filled(self, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the values (S, C) of ascending slots, carried forward where allowed."""
        inside = int(np.searchsorted(self._slots, slots[-1], side="right"))
        grid = self._values[:inside]
        if inside < len(slots):  # some slots are without readings
            grid = np.full((len(slots), len(self.spec.sensors)), np.nan, np.float32)
            grid[np.searchsorted(slots, self._slots[:inside])] = self._values[:inside]
        empty = np.isnan(grid)
        if not empty.any():
            return grid
        # prepend the carried values as row 0; `last` is the row that a cell takes its value from
        source = np.concatenate((self._carry_value[None], grid))
        last = np.arange(1, len(slots) + 1)[:, None] * ~empty
        last = np.maximum.accumulate(last, axis=0)
        sensors = np.arange(grid.shape[1])
        from_slot = np.where(last > 0, slots[last - 1], self._carry_slot)
        gap = slots[:, None] - from_slot
        return np.where(gap <= self._max_gap, source[last, sensors], np.float32(np.nan))

    def _forget(self, closed: int) -> None:
        """Move slots that no open window covers into the carried values."""
        done = int(np.searchsorted(self._slots, (closed + 1) * self.spec.hop))
        if not done:
            return
        valid = ~np.isnan(self._values[:done])
        last = done - 1 - np.argmax(valid[::-1], axis=0)  # (C,) last valid row of each sensor
        seen = valid.any(axis=0)
        self._carry_slot = np.where(seen, self._slots[last], self._carry_slot)
        sensors = np.arange(len(last))
        self._carry_value = np.where(seen, self._values[last, sensors], self._carry_value)
        self._slots = self._slots[done:].copy()
        self._values, self._times = self._values[done:].copy(), self._times[done:].copy()

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        newest = self.gate.newest
        mark = NEVER if newest is None else (newest - self.spec.disorder_ns) // self.spec.period_ns
        pending = int(np.searchsorted(self._slots, mark))
        waiting = self.gate.waiting
        return {
            "newest": newest,
            "waiting": waiting and [waiting.time, pack(waiting.values), waiting.rows],
            "slots": pack(self._slots),
            "values": pack(self._values),
            "times": pack(self._times[pending:]),
            "carry_slot": pack(self._carry_slot),
            "carry_value": pack(self._carry_value),
        }

    @classmethod
    def from_dict(cls, spec: WindowSpec, state: dict[str, Any]) -> Assembler:
        """Restore what ``to_dict`` gave."""
        self = cls(spec)
        sensors = len(spec.sensors)
        self.gate.newest = state["newest"]
        if state["waiting"]:
            time, values, rows = state["waiting"]
            self.gate.waiting = Waiting(time, unpack(values, np.float32), rows)
        self._slots = unpack(state["slots"], np.int64)
        self._values = unpack(state["values"], np.float32).reshape(-1, sensors)
        times = unpack(state["times"], np.int64).reshape(-1, sensors)
        self._times = np.full(self._values.shape, -NEVER, np.int64)
        self._times[len(self._slots) - len(times) :] = times
        self._carry_slot = unpack(state["carry_slot"], np.int64)
        self._carry_value = unpack(state["carry_value"], np.float32)
        return self


def _covered(first: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return every slot of the windows that start at ``first`` (ascending), once each."""
    breaks = np.flatnonzero(first[1:] - first[:-1] > length) + 1
    starts = first[np.concatenate(([0], breaks))]
    ends = first[np.concatenate((breaks - 1, [len(first) - 1]))] + length
    if len(starts) == 1:
        return np.arange(starts[0], ends[0])
    return np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])


class RecordGate:
    """Windows made by somebody else: let through in ascending order, never twice.

    Parameters
    ----------
    spec : WindowSpec
        Shapes and the jump rule.

    Attributes
    ----------
    late, jump : int
        Records counted and not used (repeats and jumps), since the last ``push``.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=1))
    >>> gate = RecordGate(spec)
    >>> starts, values = gate.push(np.array([5, 5, 7, 6]), np.zeros((4, 1, 1), np.float32))
    >>> starts, gate.late
    (array([5, 7]), 2)
    """

    def __init__(self, spec: WindowSpec) -> None:
        self.spec = spec
        self.gate = Gate(-1, spec.max_jump_ns, merge=False)
        self.late = self.jump = 0

    def push(self, start: NDArray[np.int64], values: NDArray[np.float32]) -> Made:
        """Take window records in order of arrival, return those to score."""
        admitted = self.gate.admit(start, values)
        self.late, self.jump = admitted.late, admitted.jump
        if not admitted.time:
            return np.empty(0, np.int64), values[:0]
        return np.concatenate(admitted.time), np.concatenate(admitted.values)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        waiting = self.gate.waiting
        packed = waiting and [waiting.time, pack(waiting.values), waiting.rows]
        return {"newest": self.gate.newest, "waiting": packed}

    @classmethod
    def from_dict(cls, spec: WindowSpec, state: dict[str, Any]) -> RecordGate:
        """Restore what ``to_dict`` gave."""
        self = cls(spec)
        self.gate.newest = state["newest"]
        if state["waiting"]:
            time, values, rows = state["waiting"]
            cells = unpack(values, np.float32).reshape(spec.length, len(spec.sensors))
            self.gate.waiting = Waiting(time, cells, rows)
        return self
