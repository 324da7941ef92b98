"""Which windows are muted: by a sensor, by a span of time, by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.alerting import Mute
from stream_ad.config import parse_config
from stream_ad.windows import Windows, WindowSpec
from stream_ad.windows.spec import NS

QUARTER_S, LENGTH = 900, 4
DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of summer time
    "America/Sao_Paulo",  # moved its clocks at midnight
    "Asia/Kathmandu",
    "Pacific/Apia",  # had no 30 December 2011
]


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def make(
    *stops: dict[str, Any], period_s: int = 1, length: int = 1, **windows: Any
) -> tuple[Mute, WindowSpec]:
    section = {"sensors": ["load", "x"], "period_s": period_s, "length": length} | windows
    config = parse_config({"windows": section, "alarm": {"mute": stops}})
    spec = WindowSpec.from_config(config.windows)
    return Mute(config, spec), spec


def muted(mute: Mute, start_s: list[int], machines: list[str] | None = None) -> list[bool]:
    names = np.array(machines or ["m"] * len(start_s), object)
    found: list[bool] = mute.planned(names, np.array(start_s, np.int64) * NS).tolist()
    return found


def windows_of(load: list[list[float]]) -> Windows:
    values = np.stack([np.array(load, np.float32), np.ones_like(load, np.float32)], axis=2)
    n = len(load)
    return Windows(np.full(n, "m", object), np.arange(n) * NS, values, np.arange(n))


def test_with_nothing_configured_nothing_is_muted() -> None:
    mute, _ = make()
    assert not mute(windows_of([[0.0], [np.nan], [1.0]])).any()
    assert mute(Windows.empty(1, 2)).shape == (0,)


def test_a_window_is_active_if_every_value_observed_lies_above() -> None:
    nan = float("nan")
    rows: list[list[float]] = [[9, 9], [9, 5], [5, 5], [nan, 9], [nan, 5], [nan, nan], [4, 9]]
    mute, _ = make(length=2, active_when={"sensor": "load", "above": 5})
    assert mute(windows_of(rows)).tolist() == [0, 1, 1, 0, 1, 0, 1]


def test_the_bound_is_compared_as_values_are_kept() -> None:
    """0.1 in single precision is a little more than 0.1: a value of 0.1 is not above it."""
    mute, _ = make(active_when={"sensor": "load", "above": 0.1})
    assert mute(windows_of([[0.1], [0.1000001], [0.0999999]])).tolist() == [1, 0, 1]


def test_a_broken_load_sensor_blinds_nothing() -> None:
    """What cannot be is no observation: neither below the range nor above it."""
    sensors = [{"name": "load", "min": 0, "max": 100}, "x"]
    rows = [[-999.0, -999.0], [-999.0, 0.0], [0.0, 0.0], [1e9, 1e9], [50.0, -999.0]]
    mute, _ = make(length=2, sensors=sensors, active_when={"sensor": "load", "above": 5})
    assert mute(windows_of(rows)).tolist() == [0, 1, 1, 0, 0]
    mute, _ = make(length=2, sensors=sensors, active_when={"sensor": "load", "above": 200})
    assert mute(windows_of(rows)).tolist() == [0, 1, 1, 0, 1]


def test_a_window_that_touches_a_span_from_outside_is_not_muted() -> None:
    """Windows are [start, start + 4 s), the stop is [100, 110)."""
    stop = {"from": "1970-01-01T00:01:40Z", "to": "1970-01-01T01:01:50+01:00"}
    mute, _ = make(stop, length=4)
    found = muted(mute, [*range(90, 120)])
    assert [start for start, m in zip(range(90, 120), found, strict=True) if m] == [*range(97, 110)]


def test_machines_are_meant_by_pattern() -> None:
    stop = {"from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:10Z"}
    names = ["press-1", "press-12", "Press-1", "mill", "xpress-1", "press-\n1"]
    assert muted(make(stop)[0], [0] * 6, names) == [True] * 6
    found = muted(make(stop | {"machines": "press-*"})[0], [0] * 6, names)
    assert found == [True, True, False, False, False, True]
    assert muted(make(stop | {"machines": "press-?"})[0], [0] * 6, names)[:2] == [True, False]
    two = make(stop | {"machines": "mill"}, stop | {"machines": "[Pp]ress-1"})[0]
    assert muted(two, [0] * 6, names) == [True, False, True, True, False, False]


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=6)


@given(spans=SPANS, starts=st.lists(st.integers(0, 100), max_size=20), length=st.integers(1, 9))
def test_a_window_is_muted_where_it_shares_a_second_with_a_span(
    spans: list[tuple[int, int]], starts: list[int], length: int
) -> None:
    def text(second: int) -> str:
        return datetime.fromtimestamp(second, UTC).isoformat()

    stopped = {second for begin, n in spans for second in range(begin, begin + n)}
    stops = [{"from": text(begin), "to": text(begin + n)} for begin, n in spans]
    mute, _ = make(*stops, length=length)
    assert muted(mute, starts) == [bool(stopped & {*range(s, s + length)}) for s in starts]


def weekly(days: list[str], since: str, to: str, zone: str) -> dict[str, Any]:
    return {"weekly": {"days": days, "from": since, "to": to, "time_zone": zone}}


def edges(mute: Mute, since: str, until: str) -> list[str]:
    """Return when muting begins and ends, as UTC times, looked at quarter by quarter."""
    starts = [*range(seconds(since), seconds(until), QUARTER_S)]
    found = np.array(muted(mute, starts))
    changes = np.flatnonzero(found[1:] != found[:-1]) + 1
    return [datetime.fromtimestamp(starts[i], UTC).strftime("%d. %H:%M") for i in changes]


@pytest.mark.parametrize(
    ("since", "until", "stop", "wanted"),
    [
        # Berlin, 31 March 2024: 02:00 CET (01:00Z) becomes 03:00 CEST
        ("2024-03-30", "2024-04-01", ("sat", "22:00", "06:00"), ["30. 21:00", "31. 04:00"]),
        ("2024-03-30", "2024-04-01", ("sun", "01:00", "04:00"), ["31. 00:00", "31. 02:00"]),
        ("2024-03-30", "2024-04-01", ("sun", "02:30", "04:00"), ["31. 01:00", "31. 02:00"]),
        ("2024-03-30", "2024-04-01", ("sun", "01:00", "02:30"), ["31. 00:00", "31. 01:00"]),
        ("2024-03-30", "2024-04-01", ("sun", "02:00", "03:00"), []),
        ("2024-03-30", "2024-04-02", ("sun", "00:00", "24:00"), ["30. 23:00", "31. 22:00"]),
        # Berlin, 27 October 2024: 03:00 CEST (01:00Z) becomes 02:00 CET
        ("2024-10-26", "2024-10-28", ("sat", "22:00", "06:00"), ["26. 20:00", "27. 05:00"]),
        ("2024-10-26", "2024-10-28", ("sun", "01:00", "02:00"), ["26. 23:00", "27. 00:00"]),
        ("2024-10-26", "2024-10-28", ("sun", "01:00", "02:30"), ["26. 23:00", "27. 01:30"]),
        ("2024-10-26", "2024-10-28", ("sun", "02:30", "04:00"), ["27. 00:30", "27. 03:00"]),
        ("2024-10-26", "2024-10-28", ("sun", "02:00", "03:00"), ["27. 00:00", "27. 02:00"]),
        ("2024-10-26", "2024-10-29", ("sun", "00:00", "24:00"), ["26. 22:00", "27. 23:00"]),
        # an ordinary week: Friday night into Saturday
        ("2024-07-01", "2024-07-09", ("fri", "22:00", "06:00"), ["05. 20:00", "06. 04:00"]),
    ],
)
def test_weekly_stops_follow_the_clock_over_both_of_its_changes(
    since: str, until: str, stop: tuple[str, str, str], wanted: list[str]
) -> None:
    day, begin, end = stop
    mute, _ = make(weekly([day], begin, end, "Europe/Berlin"))
    assert edges(mute, f"{since}T00:00:00Z", f"{until}T00:00:00Z") == wanted


def test_a_whole_weekend_is_two_whole_days() -> None:
    mute, _ = make({"weekly": {"days": ["sun", "sat"]}})
    assert edges(mute, "2024-07-01T00:00:00Z", "2024-07-09T00:00:00Z") == ["06. 00:00", "08. 00:00"]
    same, _ = make(weekly(["sat", "sun"], "00:00", "00:00", "UTC"))
    assert edges(same, "2024-07-01T00:00:00Z", "2024-07-09T00:00:00Z") == ["06. 00:00", "08. 00:00"]


def by_looking_at_the_clock(
    first: int, n: int, days: list[str], since_q: int, to_q: int, zone: str
) -> NDArray[np.bool_]:
    """Return which of n quarters are in a stop, from what the clock shows in each of them.

    A stop of a day lasts from the first quarter that shows its begin or later to the last one
    that shows less than its end.
    """
    ahead = 200  # quarters before and after, so that no stop is cut off
    starts = range(first - ahead * QUARTER_S, first + (n + ahead) * QUARTER_S, QUARTER_S)
    clock = [datetime.fromtimestamp(s, ZoneInfo(zone)).replace(tzinfo=None) for s in starts]
    shown = np.array(clock, "datetime64[m]")
    stopped = np.zeros(len(starts), bool)
    day, last = clock[0].date() + timedelta(days=1), clock[-1].date() - timedelta(days=1)
    while day < last:
        if DAY_NAMES[day.weekday()] in days:
            midnight = np.datetime64(day, "m")
            end_q = to_q + (96 if to_q <= since_q else 0)
            begin = int((shown >= midnight + 15 * since_q).argmax())
            end = len(shown) - int((shown < midnight + 15 * end_q)[::-1].argmax())
            stopped[begin:end] = True
        day += timedelta(days=1)
    return stopped[ahead:-ahead]


@settings(max_examples=150, deadline=None)
@given(
    day=st.dates(date(1975, 1, 1), date(2035, 12, 31)),
    zone=st.sampled_from(ZONES),
    days=st.lists(st.sampled_from(DAY_NAMES), min_size=1, max_size=7),
    since_q=st.integers(0, 95),
    to_q=st.integers(1, 96),
    length=st.integers(1, 200),
)
@example(date(2024, 3, 30), "Europe/Berlin", ["sun"], 8, 12, 1)
@example(date(2024, 10, 26), "Europe/Berlin", ["sun"], 9, 11, 1)
@example(date(2011, 12, 29), "Pacific/Apia", ["fri"], 0, 96, 3)
@example(date(2017, 10, 14), "America/Sao_Paulo", ["sat", "sun"], 0, 96, 1)
@example(date(2018, 2, 17), "America/Sao_Paulo", ["sat"], 0, 96, 1)
@example(date(2024, 4, 6), "Australia/Lord_Howe", ["sun"], 7, 8, 2)
def test_weekly_stops_are_what_somebody_sees_who_looks_at_the_clock(
    day: date, zone: str, days: list[str], since_q: int, to_q: int, length: int
) -> None:
    def text(quarter: int) -> str:
        return f"{quarter // 4:02d}:{quarter % 4 * 15:02d}"

    first, n = seconds(f"{day.isoformat()}T00:00:00Z"), 300
    stopped = by_looking_at_the_clock(first, n + length, days, since_q, to_q, zone)
    mute, _ = make(weekly(days, text(since_q), text(to_q), zone), period_s=QUARTER_S, length=length)
    starts = [first + i * QUARTER_S for i in range(n)]
    wanted = [bool(stopped[i : i + length].any()) for i in range(n)]
    assert muted(mute, starts) == wanted


@given(
    starts=st.lists(st.integers(0, 9_000_000_000), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=3),
)
def test_what_is_muted_depends_on_the_window_alone(starts: list[int], cuts: list[int]) -> None:
    """Whatever else is in the batch, and whatever was asked before: up to the year 2255."""
    stops = [
        weekly(["sat", "tue"], "21:15", "06:30", "America/New_York"),
        {"machines": "m", "from": "2001-01-01T00:00:00Z", "to": "2031-01-01T00:00:00Z"},
    ]
    mute, _ = make(*stops, period_s=3600, length=24)
    whole = muted(mute, starts)
    bounds = sorted({0, *(min(cut, len(starts)) for cut in cuts), len(starts)})
    parts = [muted(mute, starts[a:b]) for a, b in pairwise(bounds)]
    assert [m for part in parts for m in part] == whole
    assert [muted(make(*stops, period_s=3600, length=24)[0], [s])[0] for s in starts] == whole


def test_a_window_of_years_meets_the_stops_within_it() -> None:
    mute, _ = make(weekly(["mon"], "00:00", "00:15", "UTC"), period_s=86_400, length=3_000)
    assert muted(mute, [0, 86_400]) == [True, True]
