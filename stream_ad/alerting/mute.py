"""Which windows are muted: the machine is not at work, or its stop was planned.

A muted window is scored and counts for nothing else: it raises no alarm and no complaint about
its data, it neither opens, feeds nor closes an incident, and nothing learns from it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from typing import NamedTuple, Protocol, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config, MuteConfig, WeeklyConfig
from stream_ad.windows import Windows
from stream_ad.windows.spec import NS, WindowSpec

DAY_S = 86_400
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BLOCK = 64  # days whose stops are worked out, and kept, together
BEFORE, AFTER = 3, 17  # days around a block: midnight, zones, and the next stop but one
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of the local clock
_NEVER = int(np.iinfo(np.int64).max)

Times = NDArray[np.int64]


class Stops(Protocol):
    """Times at which machines are not watched."""

    def meet(self, start: Times, end: Times) -> NDArray[np.bool_]:
        """Return which windows ``[start, end)`` overlap one of them; bool (n,)."""
        ...


class Spans(NamedTuple):
    """Stops ``[begin, end)`` in nanoseconds, each column ascending."""

    begin: Times
    end: Times

    @classmethod
    def of(cls, spans: Sequence[tuple[int, int]]) -> Self:
        """Sort spans, which may overlap; empty ones are left out."""
        rows = np.array(sorted(s for s in spans if s[0] < s[1]), np.int64).reshape(-1, 2)
        # an end that lies within an earlier span is never the first after anything
        return cls(np.append(rows[:, 0], _NEVER), np.maximum.accumulate(rows[:, 1]))

    def meet(self, start: Times, end: Times) -> NDArray[np.bool_]:
        """Return which windows ``[start, end)`` overlap a span.

        Examples
        --------
        >>> start, end = np.array([0, 0, 20, 39]), np.array([10, 11, 30, 50])
        >>> Spans.of([(10, 20), (30, 40)]).meet(start, end)
        array([False,  True, False,  True])
        """
        overlap: NDArray[np.bool_] = self.begin[np.searchsorted(self.end, start, "right")] < end
        return overlap


class Calendar:
    """Stops of every week, by the clock of a place.

    Parameters
    ----------
    weekly : WeeklyConfig

    Notes
    -----
    A stop lasts from the moment at which the clock first shows ``from`` or later to the one
    at which it last shows less than ``to``: in an hour that the clock shows twice it begins in
    the first and ends in the second; in one that it skips it begins or ends with the skip.

    Examples
    --------
    >>> weekly = WeeklyConfig.model_validate(
    ...     {"days": ["sat"], "from": "22:00", "to": "06:00", "time_zone": "Europe/Berlin"})
    >>> saturday = np.full(2, 1_711_828_800 * NS)  # 2024-03-30T20:00Z
    >>> Calendar(weekly).meet(saturday, saturday + np.array([3600, 3601]) * NS)
    array([False,  True])
    """

    def __init__(self, weekly: WeeklyConfig) -> None:
        self._zone = ZoneInfo(weekly.time_zone)
        self._days = {DAYS.index(day) for day in weekly.days}
        self._from_s, self._to_s = _seconds(weekly.from_), _seconds(weekly.to)
        if self._to_s <= self._from_s:
            self._to_s += DAY_S
        self._blocks: dict[int, Spans] = {}

    def meet(self, start: Times, end: Times) -> NDArray[np.bool_]:
        """Return which windows ``[start, end)`` overlap a stop."""
        block = start // (BLOCK * DAY_S * NS)
        met = np.zeros(len(block), bool)
        for number in np.unique(block).tolist():
            rows = block == number
            met[rows] = self._block(number).meet(start[rows], end[rows])
        return met

    def _block(self, number: int) -> Spans:
        spans = self._blocks.get(number)
        if spans is None:
            first = number * BLOCK
            days = range(first - BEFORE, first + BLOCK + AFTER)
            stops = [self._stop(day) for day in days if (day + 3) % 7 in self._days]
            spans = self._blocks[number] = Spans.of(stops)
        return spans

    def _stop(self, day: int) -> tuple[int, int]:
        begin = _first_at(day * DAY_S + self._from_s, self._zone)
        end = _last_at(day * DAY_S + self._to_s - 1, self._zone) + 1
        return begin * NS, end * NS


class Mute:
    """Tells which windows are muted: a pure function of a window and the settings.

    Parameters
    ----------
    config : Config
        ``windows.active_when`` and ``alarm.mute``.
    spec : WindowSpec

    Notes
    -----
    Values of the active sensor outside its physical range count as not observed. That a
    sensor stands still does not: a machine at rest is no fault of its sensor.

    Examples
    --------
    >>> from stream_ad.config import parse_config
    >>> config = parse_config({"windows": {"sensors": ["rpm"], "period_s": 1, "length": 2,
    ...                                    "active_when": {"sensor": "rpm", "above": 100}}})
    >>> mute = Mute(config, WindowSpec.from_config(config.windows))
    >>> rpm = np.array([[900, 900], [900, 0], [900, np.nan], [np.nan, np.nan]], np.float32)
    >>> mute(Windows(np.full(4, "m", object), np.arange(4), rpm[:, :, None], np.arange(4)))
    array([False,  True, False, False])
    """

    def __init__(self, config: Config, spec: WindowSpec) -> None:
        self._window_ns = spec.window_ns
        self._resting = _resting(config, spec)
        self._stops = [
            (
                _machines(pattern),
                _stops([stop for stop in config.alarm.mute if stop.machines == pattern]),
            )
            for pattern in dict.fromkeys(stop.machines for stop in config.alarm.mute)
        ]

    def __call__(self, windows: Windows) -> NDArray[np.bool_]:
        """Return which windows are muted; bool (n,)."""
        muted = self.planned(windows.machine, windows.start)
        if self._resting is not None:
            column, low, high = self._resting
            values = windows.values[:, :, column]
            muted |= ((values >= low) & (values <= high)).any(axis=1)  # never true of NaN
        return muted

    def planned(self, machine: NDArray[np.object_], start: Times) -> NDArray[np.bool_]:
        """Return which windows overlap a planned stop of their machine.

        Parameters
        ----------
        machine : object array (n,)
        start : int64 array (n,)
            Of windows of the grid's length, in nanoseconds.
        """
        muted, end = np.zeros(len(start), bool), start + self._window_ns
        for is_meant, stops in self._stops:
            for part in stops:
                rows = np.flatnonzero(part.meet(start, end))
                if is_meant is not None:
                    meant = [is_meant(name) is not None for name in machine[rows].tolist()]
                    rows = rows[np.array(meant, bool)]
                muted[rows] = True
        return muted


def _resting(config: Config, spec: WindowSpec) -> tuple[int, np.float32, np.float32] | None:
    """Return the column, and from where to where its values say that the machine rests."""
    active = config.windows.active_when
    if active is None:
        return None
    column = spec.names.index(active.sensor)
    low, high = spec.sensors[column].min, spec.sensors[column].max
    top = active.above if high is None else min(active.above, high)
    return column, np.float32(-np.inf if low is None else low), np.float32(top)


def _machines(pattern: str) -> Callable[[str], object] | None:
    return None if pattern == "*" else re.compile(translate(pattern)).match


def _stops(configs: Sequence[MuteConfig]) -> list[Stops]:
    once = [(_ns(c.from_), _ns(c.to)) for c in configs if c.from_ is not None and c.to is not None]
    weekly: list[Stops] = [Calendar(c.weekly) for c in configs if c.weekly is not None]
    return [*([Spans.of(once)] if once else []), *weekly]


def _ns(time: datetime) -> int:
    return (time - _EPOCH.replace(tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes)


def _first_at(local_s: int, zone: ZoneInfo) -> int:
    """Return the first second at which a clock shows a time or, where it skips it, a later one.

    ``local_s`` counts the seconds on that clock since it showed 1970-01-01; so does the result,
    in UTC.
    """
    first, second = _shown(local_s, zone)
    return first if first <= second else _skip(second, first, zone)


def _last_at(local_s: int, zone: ZoneInfo) -> int:
    """Return the last second at which a clock shows a time or, where it skips it, less."""
    first, second = _shown(local_s, zone)
    return second if first <= second else _skip(second, first, zone) - 1


def _shown(local_s: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return both seconds at which a time is shown; the later one first if the clock skips it."""
    clock = _EPOCH + timedelta(seconds=local_s)
    before, after = (_offset(clock.replace(fold=fold, tzinfo=zone)) for fold in (0, 1))
    return local_s - before, local_s - after


def _skip(low: int, high: int, zone: ZoneInfo) -> int:
    """Return the second in ``(low, high]`` from which on the clock is ahead."""
    span, before = range(low, high + 1), _offset_at(low, zone)
    return span[bisect_left(span, True, key=lambda second: _offset_at(second, zone) != before)]


def _offset(clock: datetime) -> int:
    offset = clock.utcoffset()
    assert offset is not None  # a ZoneInfo knows every moment
    return round(offset.total_seconds())


def _offset_at(second: int, zone: ZoneInfo) -> int:
    return _offset((_EPOCH.replace(tzinfo=UTC) + timedelta(seconds=second)).astimezone(zone))
