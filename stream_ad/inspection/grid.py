"""The event-time grid that fits the times of a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.inspection.nice import coarser, rounded, spoken
from stream_ad.windows.gate import Gate
from stream_ad.windows.spec import NEVER, NS

Ints = NDArray[np.int64]
_REGULAR = 0.7


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the sample in file order.

    Parameters
    ----------
    time : int64 array (n,)
        Nanoseconds.
    machine : int64 array (n,)
        Code of the machine.
    block : int64 array (n,)
        Contiguous piece of the file.
    sensor : int64 array (n,), optional
        Of the long shape: code of the sensor.
    """

    time: Ints
    machine: Ints
    block: Ints
    sensor: Ints | None = None

    @property
    def group(self) -> Ints:
        """One code per machine and block."""
        return _pair(self.block, self.machine)

    @property
    def series(self) -> Ints:
        """One code per machine, block and, of the long shape, sensor."""
        if self.sensor is None:
            return self.group
        return _pair(self.group, self.sensor)


@dataclass(frozen=True, slots=True)
class Period:
    """A period, the longest gap to bridge if not two periods, and why.

    ``mixed`` is a sentence where machines or sensors report at different paces.
    """

    seconds: float
    why: str
    max_gap_s: float | None = None
    mixed: str = ""


def find_period(rows: Rows) -> Period | None:
    """Return the period of the grid; None where no machine has two different times.

    The median step between consecutive distinct times of a machine, then the median over
    machines; in the long shape per machine and sensor, then the lower quartile, since a slow
    sensor can be carried forward and a fast one not be slowed down. Rounded to what a person
    would choose. Where less than 70 % of the steps lie within half of their median, readings
    come by exception: then the grid is coarse enough for three quarters of the steps, and
    values are carried over 99 % of them.

    Examples
    --------
    >>> time = np.array([0, 60, 120, 181, 240]) * NS
    >>> zeros = np.zeros(5, np.int64)
    >>> find_period(Rows(time, zeros, zeros)).seconds
    60.0
    """
    series = rows.machine if rows.sensor is None else _pair(rows.machine, rows.sensor)
    steps, of = _steps(rows.time, rows.series, series)
    if not len(steps):
        return None
    codes, medians = _medians(steps, of)
    own = medians[np.searchsorted(codes, of)]
    if (np.abs(steps / own - 1) <= 0.5).mean() < _REGULAR:
        return _by_exception(steps)
    share = 0.5 if rows.sensor is None else 0.25
    median = float(np.quantile(medians, share, method="lower"))
    seconds = rounded(median)
    near = float((np.abs(steps / seconds - 1) <= 0.02).mean())
    what = "median step" if rows.sensor is None else "median step of the faster sensors"
    slowest = float(np.quantile(medians, 0.95, method="higher"))
    mixed = ""
    if slowest > 2 * seconds and rows.sensor is None:
        mixed = (
            f"machines report at different paces, every {spoken(float(medians.min()))} to"
            f" {spoken(float(medians.max()))}; one grid of {spoken(seconds)} is laid over all"
        )
    return Period(seconds, f"{what}; {near:.0%} of the steps are this long", None, mixed)


def _by_exception(steps: NDArray[np.float64]) -> Period:
    seconds = coarser(float(np.quantile(steps, 0.75)))
    gap = max(2 * seconds, coarser(float(np.quantile(steps, 0.99))))
    why = f"readings come irregularly; 75 % of the steps are at most {spoken(seconds)}"
    return Period(seconds, why, gap)


def _pair(first: Ints, second: Ints) -> Ints:
    paired: Ints = first * (second.max(initial=0) + 1) + second
    return paired


def _steps(time: Ints, series: Ints, label: Ints) -> tuple[NDArray[np.float64], Ints]:
    """Return the steps in s between distinct times of a series, and the label of each."""
    order = np.lexsort((time, series))
    steps = np.diff(time[order])
    used = (np.diff(series[order]) == 0) & (steps > 0)
    return steps[used] / NS, label[order][1:][used]


def _medians(steps: NDArray[np.float64], of: Ints) -> tuple[Ints, NDArray[np.float64]]:
    order = np.lexsort((steps, of))
    codes, start, count = np.unique(of[order], return_index=True, return_counts=True)
    return codes, steps[order][start + (count - 1) // 2]


def far_ahead(rows: Rows, period_s: float) -> NDArray[np.bool_]:
    """Return which rows lie so far ahead of all others of their machine that no replay uses them.

    Examples
    --------
    >>> time = np.array([0, 60, 4_070_908_800, 120, 180]) * NS
    >>> zeros = np.zeros(5, np.int64)
    >>> far_ahead(Rows(time, zeros, zeros), 60)
    array([False, False,  True, False, False])
    """
    order = np.argsort(rows.group, kind="stable")
    time, group = rows.time[order], rows.group[order]
    jump = _jump(period_s)
    apart = (np.diff(group) == 0) & (np.abs(np.diff(time)) > jump)
    ahead = np.zeros(len(time), np.bool_)
    for one in np.unique(group[1:][apart]):
        mine = order[group == one]
        used = _used(rows.time[mine], jump)
        ahead[mine] = rows.time[mine] > (used.max() if len(used) else NEVER)
    return ahead


def find_disorder(rows: Rows, period_s: float) -> tuple[float, float]:
    """Return how late readings come, in s, and the share of steps that go back.

    The 99.9 % quantile, over all rows, of how far a time lies behind the newest one of its
    machine; single times far ahead do not count, as the window grid does not use them.

    Examples
    --------
    >>> time = np.array([0, 60, 120, 90, 180]) * NS
    >>> zeros = np.zeros(5, np.int64)
    >>> find_disorder(Rows(time, zeros, zeros), 60)
    (30.0, 0.25)
    """
    order = np.argsort(rows.group, kind="stable")
    time, group = rows.time[order], rows.group[order]
    steps = np.diff(time)
    same = (np.diff(group) == 0) & (steps != 0)
    back = same & (steps < 0)
    if not back.any():
        return 0.0, 0.0
    jump = _jump(period_s)
    late = [_late(time[group == g], jump) for g in np.unique(group[1:][back])]
    behind = np.concatenate((*late, np.zeros(len(time) - sum(map(len, late)))))
    quantile = float(np.quantile(behind, 0.999, method="higher")) / NS
    return quantile, float(back.sum() / same.sum())


def _jump(period_s: float) -> int:
    """Return from how far ahead on a reading waits for another one, as `WindowSpec` does."""
    return round(max(1000 * period_s, 3600.0) * NS)


def _used(time: Ints, jump: int) -> Ints:
    admitted = Gate(NEVER, jump).admit(time, np.zeros((len(time), 1), np.float32))
    return np.concatenate([*admitted.time, np.empty(0, np.int64)])


def _late(time: Ints, jump: int) -> Ints:
    used = _used(time, jump)
    lag: Ints = np.maximum.accumulate(used) - used
    return lag


def sensor_gaps(
    rows: Rows, values: dict[str, NDArray[np.float64]], usual_s: float
) -> tuple[dict[str, float], list[str]]:
    """Return sensors that usually report less often than ``usual_s``, and how often.

    Parameters
    ----------
    rows : Rows
    values : dict of str to float64 array (n,)
    usual_s : float
        What is carried forward anyway.

    Returns
    -------
    dict of str to float
        The 95 % quantile of the sensor's gaps, rounded up, in s.
    list of str
        Sensors with too few values to tell.
    """
    order = np.lexsort((rows.time, rows.group))
    time, group = rows.time[order], rows.group[order]
    gaps: dict[str, float] = {}
    rare = []
    for name, column in values.items():
        there = np.isfinite(column[order])
        if there.all():
            continue
        gap = _gap(time[there], group[there])
        if gap is None:
            rare.append(name)
        elif gap > usual_s:
            gaps[name] = coarser(gap)
    return gaps, rare


def long_gaps(rows: Rows, names: list[str], usual_s: float) -> tuple[dict[str, float], list[str]]:
    """Return the same for the long shape; ``names`` by sensor code."""
    assert rows.sensor is not None  # the long shape
    order = np.lexsort((rows.time, rows.group, rows.sensor))
    time, group, sensor = rows.time[order], rows.group[order], rows.sensor[order]
    ends = np.searchsorted(sensor, np.arange(len(names) + 1))
    gaps: dict[str, float] = {}
    rare = []
    for code, name in enumerate(names):
        part = slice(ends[code], ends[code + 1])
        gap = _gap(time[part], group[part])
        if gap is None:
            rare.append(name)
        elif gap > usual_s:
            gaps[name] = coarser(gap)
    return gaps, rare


def _gap(time: Ints, group: Ints) -> float | None:
    steps = np.diff(time)[np.diff(group) == 0]
    steps = steps[steps > 0]
    return float(np.quantile(steps, 0.95)) / NS if len(steps) >= 5 else None


def find_length(history_rows: float, period_s: float) -> tuple[int, int]:
    """Return length and hop in slots for so many readings of history per machine.

    A long window sees more context but needs more history: 16 slots below 2,000 readings, 32
    below 20,000, 64 above. The hop is about a quarter: a shorter one finds a fault earlier and
    costs proportionally more work and more false alarms per day to spend the budget on. Where
    a number of slots within a quarter of that divides the hour, it is taken: windows then keep
    their place in shifts and days, also when clocks change.

    Parameters
    ----------
    history_rows : float
    period_s : float
        Length of a slot.

    Examples
    --------
    >>> find_length(500, 60), find_length(2_000, 60), find_length(1e6, 60), find_length(2_000, 61)
    ((16, 4), (32, 10), (64, 15), (32, 8))
    """
    length = 16 if history_rows < 2_000 else 32 if history_rows < 20_000 else 64
    quarter = length // 4
    near = [n for n in range(-(-3 * quarter // 4), 5 * quarter // 4 + 1) if per_hour(n, period_s)]
    return length, min(near, key=lambda hop: abs(np.log(hop / quarter)), default=quarter)


def per_hour(slots: int, period_s: float) -> bool:
    """Say whether a whole number of so many slots makes an hour.

    Examples
    --------
    >>> per_hour(15, 60), per_hour(16, 60), per_hour(8, 0.1), per_hour(2, 3600)
    (True, False, True, False)
    """
    span = slots * round(period_s * NS)
    return 3600 * NS % span == 0
