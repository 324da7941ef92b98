"""Patterns of strptime: the fast column says what the standard library says."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import InputConfig
from stream_ad.errors import ConfigError
from stream_ad.transport.time_pattern import TimePattern
from stream_ad.transport.times import NAT, TimeReader

FAST = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S,%f", "%m/%d/%Y %H:%M", "%Y%m%d%H%M%S", "%d.%m.%Y")
SLOW = ("%d %b %Y", "%y-%m-%d", "%Y-%m-%d %H:%M:%S %z", "%I:%M %p %d.%m.%Y", "%j %Y", "%H:%M")
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2261, 12, 30))  # noqa: DTZ001


@given(st.lists(MOMENTS, max_size=4), st.sampled_from(FAST + SLOW), st.booleans(), st.data())
def test_column_and_value_agree(
    moments: list[datetime], pattern: str, alike: bool, data: st.DataObject
) -> None:
    texts = [moment.strftime(pattern) for moment in moments]
    if not alike:
        strange = ["", " 1.2.2024", "2024-01-01T00:00:00", "31.02.2024 00:00:00"]
        other = st.sampled_from([*strange, "2024-01-01T00:00:00.5Z", "2024-01-01 00:00+02:00"])
        texts = data.draw(st.permutations(texts + data.draw(st.lists(other, max_size=2))))
    reader = TimeReader(InputConfig(time_format=pattern, time_zone="America/New_York"))
    expected = [reader.one(text, Counter()) for text in texts]
    assert reader.column(pa.array(texts, pa.string()), Counter()).tolist() == expected


@given(MOMENTS, st.sampled_from(["%d.%m.%Y %H:%M:%S,%f", "%Y/%m/%d %H-%M-%S.%f"]))
def test_what_strftime_writes_is_read_back(moment: datetime, pattern: str) -> None:
    text = moment.strftime(pattern)
    since = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000  # noqa: DTZ001
    reader = TimeReader(InputConfig(time_format=pattern))
    assert reader.one(text, Counter()) == since
    assert reader.column(pa.array([text]), Counter()).tolist() == [since]


@pytest.mark.parametrize("pattern", FAST)
def test_full_width_texts_take_the_fast_way(pattern: str) -> None:
    text = datetime(2024, 2, 3, 4, 5, 6).strftime(pattern)  # noqa: DTZ001
    assert TimePattern(pattern).column(pa.array([text])) is not None


@pytest.mark.parametrize("pattern", SLOW)
def test_other_patterns_read_each_text(pattern: str) -> None:
    assert TimePattern(pattern).column(pa.array([], pa.string())) is None


@pytest.mark.parametrize("pattern", ["%Q", "%", "%d.%m.%Y %"])
def test_a_pattern_that_nobody_knows_stops_at_start(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"input\.time_format = .* allowed is a pattern"):
        TimePattern(pattern)


def test_dates_that_no_calendar_has_are_no_times() -> None:
    reader = TimeReader(InputConfig(time_format="%d.%m.%Y"))
    assert reader.column(pa.array(["29.02.2024", "29.02.2023"]), Counter()).tolist()[1] == NAT
