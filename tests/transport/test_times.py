"""Times: one meaning, by the value or by the column."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import InputConfig
from stream_ad.errors import ConfigError
from stream_ad.transport.times import NAT, NS, UNIT_NS, TimeReader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2261, 12, 30))  # noqa: DTZ001


def reader(**settings: Any) -> TimeReader:
    return TimeReader(InputConfig(**settings))


def one(value: object, **settings: Any) -> int:
    return reader(**settings).one(value, Counter())


def column(values: pa.Array, **settings: Any) -> list[int]:
    return list(reader(**settings).column(values, Counter()).tolist())


def since_epoch(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01 00:00:01Z", 1),
        (" 1970-01-01T00:00:01Z ", 1),
        ("1970-01-01T01:00:01+01:00", 1),
        ("1969-12-31T23:30:01-0030", 1),
        ("1970-01-01T02:00:01+02", 1),
        ("1970-01-01T00:01", 60),
        ("1970-01-02", 86_400),
        ("1970-01-01T00:00:60Z", 60),
        ("1970-01-01T00:00:01.5Z", Fraction(3, 2)),
        ("1970-01-01T00:00:01,5Z", Fraction(3, 2)),
        ("1970-01-01T00:00:00.000000001Z", Fraction(1, NS)),
        ("1970-01-01T00:00:00.0000000019Z", Fraction(1, NS)),
    ],
)
def test_rfc_3339_and_its_common_relatives_are_read(text: str, seconds: Fraction) -> None:
    assert one(text) == column(pa.array([text]))[0] == seconds * NS


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "2024-13-01", "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z"),
        *("2024-01-01T10:60:00Z", "2024-01-01T10:00:61Z", "2024-01-01T10:00:00+24:00"),
        *(
            "01.02.2024 10:00",
            "2024-1-1",
            "2024-01-01T10:00:00.Z",
            "\u0661\u0662",
            "1e400",
            "9" * 5000,
        ),
        *(
            "1677-12-31T23:59:59Z",
            "1969-12-31T23:59:59Z",
            "2262-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "0x10",
        ),
    ],
)
def test_text_that_is_no_time_is_not_a_time(value: str) -> None:
    assert one(value) == NAT
    assert column(pa.array([value, "2024-01-01T00:00:00Z"]))[0] == NAT


@pytest.mark.parametrize("value", [None, True, [1], {}, float("nan"), float("inf"), 10**30])
def test_values_that_are_no_time_are_not_a_time(value: object) -> None:
    assert one(value) == NAT


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_whole_numbers_count_the_configured_unit(unit: str) -> None:
    expected = 1_234 * UNIT_NS[unit]
    assert one(1_234, time_unit=unit) == one("1234", time_unit=unit) == expected
    texts = pa.array(["1234", "-5"])
    assert column(texts, time_unit=unit) == [expected, NAT]
    for kind in (pa.int16(), pa.int64(), pa.uint64()):
        assert column(pa.array([1_234, None], kind), time_unit=unit) == [expected, NAT]


def test_epoch_with_decimals_is_read_to_the_microsecond() -> None:
    expected = 1_700_000_000_123_456_000
    assert one(1_700_000_000.123456, time_unit="s") == expected
    assert one("1700000000.123456", time_unit="s") == expected
    floats = pa.array([1_700_000_000.123456, None, np.nan, 1e300])
    assert column(floats, time_unit="s") == [expected, NAT, NAT, NAT]


def test_text_of_a_column_has_the_decimal_sign_of_the_dialect() -> None:
    comma = {"csv": {"delimiter": ";", "decimal": ","}, "time_unit": "s"}
    texts = pa.array(["0", "0,25", "1,5e1", ",5", " 2, ", "1970-01-01T00:00:01,5Z", ",", "1,2,3"])
    expected = [0, NS // 4, 15 * NS, NS // 2, 2 * NS, 3 * NS // 2, NAT, NAT]
    assert column(texts, **comma) == expected
    assert column(texts)[1] == NAT
    packed = {"time_format": "%Y%m%d%H%M%S,%f", **comma}
    assert column(pa.array(["19700101000001,5"]), **packed) == [3 * NS // 2]


def test_numbers_too_large_for_a_time_are_not_a_time() -> None:
    largest = pa.array([2**64 - 1, 2**63, 1], pa.uint64())
    assert column(largest, time_unit="ns") == [NAT, NAT, 1]
    assert column(pa.array([2**62, -(2**62)]), time_unit="s") == [NAT, NAT]


def test_naive_text_without_a_zone_setting_is_utc_and_counted() -> None:
    counts: Counter[str] = Counter()
    naive, aware = "2024-07-01T00:00:00", "2024-07-01T00:00:00Z"
    assert reader().one(naive, counts) == reader().one(aware, counts)
    assert counts == {"naive_time_as_utc": 1}
    texts = pa.array(["2024-07-01 00:00", "2024-07-01 00:01", None])
    reader().column(texts, counts)
    assert counts == {"naive_time_as_utc": 3}
    mixed = pa.array(["2024-07-01 00:00", "2024-07-01 00:00", "2024-07-01T00:00:00Z", "x"])
    reader().column(mixed, counts)
    assert counts == {"naive_time_as_utc": 5}


def test_an_hour_that_comes_twice_is_the_first_of_the_two() -> None:
    texts = ["2024-10-27 01:59:59", "2024-10-27 02:30:00", "2024-10-27 03:00:00"]
    seconds = [-1, 1800, 7200]
    midnight_utc = since_epoch(datetime(2024, 10, 27, 0, 0, tzinfo=UTC))
    expected = [midnight_utc + second * NS for second in seconds]
    assert column(pa.array(texts), time_zone="Europe/Berlin") == expected
    assert [one(text, time_zone="Europe/Berlin") for text in texts] == expected


def test_an_hour_that_is_skipped_reads_as_before_the_change() -> None:
    expected = since_epoch(datetime(2024, 3, 31, 1, 30, tzinfo=UTC))
    text = "2024-03-31 02:30:00"
    assert one(text, time_zone="Europe/Berlin") == expected
    assert column(pa.array([text]), time_zone="Europe/Berlin") == [expected]


@given(MOMENTS, st.sampled_from(ZONES))
def test_local_time_is_what_the_zone_list_says(moment: datetime, zone: str) -> None:
    expected = since_epoch(moment.replace(tzinfo=ZoneInfo(zone)))
    text = moment.isoformat(sep=" ")
    assert one(text, time_zone=zone) == expected
    assert column(pa.array([text]), time_zone=zone) == [expected]
    assert column(pa.array([moment], pa.timestamp("us")), time_zone=zone) == [expected]


@given(MOMENTS, st.integers(-23 * 60, 23 * 60))
def test_offsets_are_what_the_standard_library_says(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert one(aware.isoformat()) == since_epoch(aware)
    assert column(pa.array([aware.isoformat()])) == [since_epoch(aware)]


SPELLINGS = st.one_of(
    MOMENTS.map(lambda m: m.isoformat() + "Z"),
    MOMENTS.map(lambda m: m.isoformat(sep=" ")),
    st.dates().map(date.isoformat),
    st.integers(-(10**19), 10**19).map(str),
    st.floats().map(repr),
    st.text("0123456789-:+.TtZz eE", max_size=26),
    st.none(),
)


@given(
    st.one_of(st.lists(SPELLINGS, max_size=6), SPELLINGS.map(lambda text: [text] * 3)),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from([None, *ZONES]),
)
def test_column_and_value_agree(texts: list[str | None], unit: str, zone: str | None) -> None:
    settings = {"time_unit": unit, "time_zone": zone}
    by_value, by_column = Counter[str](), Counter[str]()
    expected = [reader(**settings).one(text, by_value) for text in texts]
    got = reader(**settings).column(pa.array(texts, pa.string()), by_column)
    assert got.tolist() == expected
    assert by_column == by_value


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.floats()))
def test_number_columns_and_values_agree(whole: list[int], floats: list[float]) -> None:
    assert column(pa.array(whole, pa.int64())) == [one(number) for number in whole]
    assert column(pa.array(floats, pa.float64())) == [one(number) for number in floats]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_arrow_timestamps_keep_their_unit(unit: str) -> None:
    aware = pa.array([1_500, None], pa.timestamp(unit, "Europe/Berlin"))
    assert column(aware, time_unit="s") == [1_500 * UNIT_NS[unit], NAT]
    far = pa.array([2**62, 2**63 - 1], pa.timestamp(unit, "UTC"))
    assert column(far)[1] == NAT
    assert column(far)[0] == (2**62 if unit == "ns" else NAT)


def test_dates_and_dictionaries_are_columns_too() -> None:
    assert column(pa.array([date(1970, 1, 2)])) == [86_400 * NS]
    assert column(pa.array(["1970-01-02"]).dictionary_encode()) == [86_400 * NS]


def test_a_time_format_replaces_every_other_text_but_rfc_3339_with_its_zone() -> None:
    settings = {"time_format": "%d.%m.%Y %H:%M:%S,%f", "time_zone": "Europe/Berlin"}
    expected = since_epoch(datetime(2024, 2, 1, 9, 0, 0, 250_000, tzinfo=UTC))
    times = {
        "01.02.2024 10:00:00,25": expected,
        "2024-02-01T09:00:00.25Z": expected,
        "2024-02-01 11:00:00,25+02:00": expected,
        "2024-02-01T10:00:00.25": NAT,
        "2024-02-01": NAT,
        "1706778000250": NAT,
        "30.02.2024 10:00:00,0": NAT,
        "2024-02-30T10:00:00Z": NAT,
    }
    assert {text: one(text, **settings) for text in times} == times
    assert column(pa.array([*times]), **settings) == [*times.values()]
    for text, time in times.items():
        assert column(pa.array([text, text]), **settings) == [time, time]


def test_a_time_format_reads_first_what_both_could_read() -> None:
    """The letter at the end is text of this pattern: local time, not UTC."""
    settings = {"time_format": "%Y-%m-%dT%H:%M:%SZ", "time_zone": "Europe/Berlin"}
    expected = since_epoch(datetime(2024, 2, 1, 9, tzinfo=UTC))
    assert one("2024-02-01T10:00:00Z", **settings) == expected
    assert column(pa.array(["2024-02-01T10:00:00Z"]), **settings) == [expected]


def test_a_time_format_with_a_zone_needs_no_setting() -> None:
    text = "2024/02/01 10:00 +0200"
    expected = since_epoch(datetime(2024, 2, 1, 8, tzinfo=UTC))
    assert one(text, time_format="%Y/%m/%d %H:%M %z") == expected


def test_a_time_format_that_nobody_knows_stops_at_start() -> None:
    with pytest.raises(ConfigError, match=r"input\.time_format = '%Q'"):
        reader(time_format="%Q")


@pytest.mark.parametrize("rows", [0, 3])
def test_columns_without_any_value_are_no_times(rows: int) -> None:
    for kind in (pa.string(), pa.null(), pa.int64(), pa.float64(), pa.timestamp("ms")):
        assert column(pa.nulls(rows, kind)) == [NAT] * rows
