"""All machines of a stream: which records belong to whom, and the windows they close.

Scoring and training take their windows from here, so there is one windowing code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting import Findings, QualityCheck
from stream_ad.state import MachineState, Shape
from stream_ad.transport.base import Touched
from stream_ad.windows import Readings, Windows, WindowSpec
from stream_ad.windows.assembler import Assembler

Records = Readings | Windows
NO_OFFSET = -1  # assembled windows have no input record of their own


def by_machine(records: Records) -> Iterator[tuple[str, Records]]:
    """Yield each machine's records, in order of arrival, machines in order of appearance.

    Parameters
    ----------
    records : Readings or Windows

    Examples
    --------
    >>> r = Readings(np.array(["b", "a", "b"], object), np.arange(3),
    ...              np.zeros((3, 1), np.float32), np.arange(3))
    >>> [(machine, part.offset.tolist()) for machine, part in by_machine(r)]
    [('b', [0, 2]), ('a', [1])]
    """
    machine = records.machine
    if not len(machine):
        return
    if machine[0] == machine[-1] and (machine == machine[0]).all():
        yield machine[0], records
        return
    names = machine.tolist()
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    # whole numbers of 16 bits are sorted several times as fast
    kind = np.uint16 if len(codes) < 1 << 16 else np.int64
    code = np.fromiter(map(codes.__getitem__, names), kind, len(names))
    ordered = records.take(np.argsort(code, kind="stable"))
    ends: list[int] = np.cumsum(np.bincount(code)).tolist()
    for name, first, end in zip(codes, [0, *ends], ends, strict=False):
        yield name, ordered.take(slice(first, end))


def _after(through: int, records: Records) -> Records:
    if records.offset[0] > through:
        return records
    return records.take(records.offset > through)


class StateRecords(Mapping[str, bytes]):
    """The states of all machines, serialised when read."""

    def __init__(self, states: Mapping[str, MachineState], spec: WindowSpec) -> None:
        self._states, self._spec = states, spec

    def __getitem__(self, machine: str) -> bytes:
        return self._states[machine].to_bytes(self._spec)

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)


class Machines:
    """The states of all machines of one partition, and the step from records to windows.

    Parameters
    ----------
    spec : WindowSpec
    shape : {"window", "reading", "long"}
        What the records are.
    states : mapping of str to MachineState, optional
        Machines taken over. Records that are in a state already (``through``) are skipped.

    Attributes
    ----------
    position : int
        Where the input goes on; whoever reads it says so.
    records : Mapping of str to bytes
        The states as records, serialised when read.
    touched : dict of str to Touched
        Machines whose state was changed since somebody last settled.
    counted : Counter of str
        What the last ``close`` added to their counts.
    """

    def __init__(
        self, spec: WindowSpec, shape: Shape, states: Mapping[str, MachineState] | None = None
    ) -> None:
        self.spec, self.shape = spec, shape
        self.states = dict(states or {})
        self.position = 0
        self.records = StateRecords(self.states, spec)
        self.touched: dict[str, Touched] = {}
        self.counted: Counter[str] = Counter()

    def close(self, records: Readings | Windows) -> Windows:
        """Take records in order of arrival, return the windows that they closed.

        Returns
        -------
        Windows
            Machine by machine, each in order of start.
        """
        parts = [Windows.empty(self.spec.length, len(self.spec.sensors))]
        self.counted = Counter()
        for machine, rows in by_machine(records):
            is_new = machine not in self.states
            state = self._state(machine)
            fresh = _after(state.through, rows)
            if len(fresh):
                made = self._close(machine, state, fresh)
                self._touch(machine, int(fresh.offset[0]), keep=is_new or len(made) > 0)
                parts.append(made)
        # they came in order of what may have been skipped
        by_first = sorted(self.touched.items(), key=lambda item: item[1].first)
        self.touched = dict(by_first)
        return Windows.concat([part for part in parts if len(part)] or parts[:1])

    def clean(
        self, windows: Windows, check: QualityCheck, muted: NDArray[np.bool_] | None = None
    ) -> tuple[Windows, list[Findings | None]]:
        """Mask the bad cells of windows that were just closed, and say what was found."""
        states = [self.states[name].alerts.quality for name in windows.machine]
        values, findings = check(states, windows.start, windows.values, muted)
        return replace(windows, values=values), findings

    def newest(self, among: Iterable[str] | None = None) -> int | None:
        """Return the newest event time that any machine accepted; for window records, its end."""
        return max(self.times(among), default=None)

    def times(self, among: Iterable[str] | None = None) -> Iterator[int]:
        """Yield the newest event time that each machine accepted; for window records, its end."""
        end = self.spec.window_ns if self.shape == "window" else 0
        for name in self.states if among is None else among:
            known = self.states.get(name)
            if known is not None and known.grid.gate.newest is not None:
                yield known.grid.gate.newest + end

    def _touch(self, machine: str, first: int, *, keep: bool) -> None:
        before = self.touched.get(machine)
        if before is not None:
            first, keep = before.first, keep or before.closed
        self.touched[machine] = Touched(first, keep)

    def _state(self, machine: str) -> MachineState:
        state = self.states.get(machine)
        if state is None:
            state = self.states[machine] = MachineState.fresh(self.spec, self.shape)
        return state

    def _close(self, machine: str, state: MachineState, records: Readings | Windows) -> Windows:
        grid = state.grid
        time = records.time if isinstance(records, Readings) else records.start
        start, values = grid.push(time, records.values)
        counted = {
            "records": len(records),
            "late" if isinstance(grid, Assembler) else "repeated": grid.late,
            "jump": grid.jump,
            "windows": len(start),
        }
        state.counts.update(counted)
        self.counted.update(counted)
        state.through = int(records.offset[-1])
        owner: NDArray[np.object_] = np.full(len(start), machine, object)
        return Windows(owner, start, values, np.full(len(start), NO_OFFSET))
