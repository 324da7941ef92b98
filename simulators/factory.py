"""The factory: some machines, their faults, and the stream of readings that reaches the outside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from simulators.delivery import Queue
from simulators.faults import Fault
from simulators.line import Line
from simulators.machine import BLOCK, times
from simulators.schedule import drawn
from simulators.sensors import catalogue
from simulators.stream import Chunk, Layout, cut, joined

MAX_MACHINES = 100_000


class Factory:
    """A seeded factory whose machines work in shifts, wear, rest on weekends, and sometimes fail.

    The same arguments give the same stream always, however it is cut into chunks. A machine's own
    readings do not depend on how many other machines there are, and a fault changes nothing but
    the rows that it is labelled with (except that a sensor in `on_change` may report once more
    after it).

    Parameters
    ----------
    machines, sensors : int
        Number of machines (1 to 100,000) and of sensors of each (C, 1 to 512).
    period_s : float
        Seconds between two readings of one machine, from 1e-6 to a day.
    seed : int
        0 or more.
    start : str
        Time of the first reading, RFC 3339 with its offset from UTC. The default is a Monday at
        midnight: the machines rest until 06:00.
    disorder_s : float
        Longest time on the way, seconds: a reading that arrives is never older than the newest
        before it by more than this. 0 = in order.
    losses_per_day : float
        Expected number of times a day that a machine loses a sensor for 5 minutes to 2 hours.
    on_change : sequence of str
        Sensors that report only when their value has moved by its normal variation.

    Raises
    ------
    ValueError
        When an argument is outside its range.

    Examples
    --------
    >>> factory = Factory(machines=2, sensors=3, seed=7)
    >>> chunk = next(factory.readings(100))
    >>> chunk.values.shape
    (200, 3)
    >>> chunk.machine_id[:3].tolist()
    ['machine-01', 'machine-02', 'machine-01']
    """

    def __init__(
        self,
        machines: int = 3,
        sensors: int = 8,
        period_s: float = 60.0,
        seed: int = 0,
        start: str = "2024-01-01T00:00:00Z",
        *,
        disorder_s: float = 0.0,
        losses_per_day: float = 0.2,
        on_change: Sequence[str] = (),
    ) -> None:
        _check("machines", machines, 1, MAX_MACHINES)
        _check("period_s", period_s, 1e-6, 86_400.0)
        _check("seed", seed, 0, 2**63 - 1)
        _check("disorder_s", disorder_s, 0.0, 86_400.0)
        _check("losses_per_day", losses_per_day, 0.0, 1000.0)
        names = tuple(f"machine-{number + 1:02d}" for number in range(machines))
        self.layout = Layout(names, catalogue(sensors), float(period_s))
        self.seed = seed
        self.start_ns = _nanoseconds(start)
        self.disorder_s = disorder_s
        self.losses_per_day = losses_per_day
        self.on_change = self.columns(on_change) if on_change else np.empty(0, np.intp)

    def schedule(
        self,
        count: int,
        duration_s: float,
        clean_until_s: float | None = None,
        *,
        kinds: Sequence[str] = (),
        severity: float = 1.0,
    ) -> list[Fault]:
        """Draw `count` faults over a stream of `duration_s`, none of them overlapping.

        Parameters
        ----------
        count : int
            How many, 0 or more.
        duration_s : float
            Length of the stream in seconds.
        clean_until_s : float, optional
            No fault before this time; by default the first half of the stream.
        kinds : sequence of str, optional
            Kinds to take in turn; by default all of `FAULT_KINDS`.
        severity : float, optional
            Factor on the sizes drawn, above 0.
        """
        clean = duration_s / 2 if clean_until_s is None else clean_until_s
        return drawn(
            self.layout,
            self.seed,
            self.start_ns,
            count,
            duration_s=duration_s,
            clean_until_s=clean,
            kinds=kinds,
            severity=severity,
        )

    def columns(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Return the positions of the named sensors, of all when there are none."""
        known = self.layout.sensor_names
        for name in names:
            if name not in known:
                raise ValueError(f"sensor {name!r} does not exist; there are {', '.join(known)}")
        return np.array([known.index(name) for name in names or known], dtype=np.intp)

    def readings(
        self,
        n_steps: int | None = None,
        *,
        duration_s: float | None = None,
        faults: Sequence[Fault] = (),
        chunk_rows: int = 8192,
    ) -> Iterator[Chunk]:
        """Yield the readings of all machines in order of arrival, never holding the whole stream.

        Parameters
        ----------
        n_steps, duration_s : int, float
            Readings of each machine, or the time they span in seconds: exactly one of the two.
        faults : sequence of Fault, optional
            What goes wrong.
        chunk_rows : int, optional
            Rows of each chunk, the last one shorter.

        Raises
        ------
        ValueError
            When an argument is outside its range or a fault names what does not exist.
        """
        if (n_steps is None) == (duration_s is None):
            raise ValueError("n_steps, duration_s: give exactly one of the two")
        if n_steps is None:
            assert duration_s is not None
            _check("duration_s", duration_s, 0.0, 1e11)
            n_steps = math.ceil(duration_s / self.layout.period_s - 1e-9)
        _check("n_steps", n_steps, 1, 10**12)
        _check("chunk_rows", chunk_rows, 1, 10**9)
        lines = [self._line(number) for number in range(len(self.layout.machine_ids))]
        for fault in sorted(faults, key=lambda fault: fault.start_s):
            lines[self._position(fault.machine_id)].befall(fault, self.columns(fault.sensors))
        return cut(self._arrivals(lines, n_steps), chunk_rows)

    def _line(self, number: int) -> Line:
        return Line(
            self.layout,
            number,
            self.seed,
            self.start_ns,
            disorder_s=self.disorder_s,
            losses_per_day=self.losses_per_day,
            on_change=self.on_change,
        )

    def _position(self, machine_id: str) -> int:
        try:
            return self.layout.machine_ids.index(machine_id)
        except ValueError:
            last = self.layout.machine_ids[-1]
            message = f"machine {machine_id!r} does not exist; the last one is {last!r}"
            raise ValueError(message) from None

    def _arrivals(self, lines: Sequence[Line], n_steps: int) -> Iterator[Chunk]:
        queue = Queue()
        for first in range(0, n_steps, BLOCK):
            count = min(BLOCK, n_steps - first)
            time = times(self.start_ns, self.layout.period_s, first, count + 1)
            parts = [line.next_readings(time[:-1]) for line in lines]
            queue.put(
                joined([chunk for chunk, _ in parts]), np.concatenate([at for _, at in parts])
            )
            last = first + count == n_steps
            yield queue.take(None if last else int(time[-1]))


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: {value} is not allowed; give {low:g} to {high:g}")


def _nanoseconds(start: str) -> int:
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        raise ValueError(f"start: {start!r} is not a time such as 2024-01-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"start: {start!r} has no offset from UTC; append Z for UTC")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
