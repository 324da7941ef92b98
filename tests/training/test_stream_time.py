"""One wrong clock does not move the time of a stream, and no right one is ignored for long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.training.stream_time import LEAP_NS, StreamTime

HOUR = LEAP_NS // 24
YEAR = 365 * LEAP_NS

times = st.lists(st.integers(0, 3 * LEAP_NS), min_size=1, max_size=6)


def test_it_is_the_newest_time_of_any_machine() -> None:
    time = StreamTime({})
    assert time.at([]) is None
    assert [time.at([hour * HOUR, 0]) for hour in range(0, 100, 20)] == [
        hour * HOUR for hour in range(0, 100, 20)
    ]
    assert time.at([]) == 80 * HOUR


@pytest.mark.parametrize("wrong", [8 * LEAP_NS, YEAR])
def test_a_clock_that_is_ahead_is_not_followed_while_the_others_go_on(wrong: int) -> None:
    time = StreamTime({})
    for hour in range(500):
        mine = hour * HOUR + (wrong if hour > 10 else 0)
        assert time.at([hour * HOUR, hour * HOUR - 5, mine]) == hour * HOUR


def test_two_that_are_ahead_are_followed() -> None:
    """After a weekend the machines come back one by one; some never do."""
    time = StreamTime({})
    assert time.at([10, 10, 10]) == 10
    assert time.at([10, 10, 3 * LEAP_NS]) == 10
    assert time.at([10, 3 * LEAP_NS + 7, 3 * LEAP_NS + 9]) == 3 * LEAP_NS + 9
    assert time.at([10, 3 * LEAP_NS + 7, YEAR]) == 3 * LEAP_NS + 9
    assert time.at([YEAR - 2 * LEAP_NS, 3 * LEAP_NS + 7, YEAR]) == YEAR - 2 * LEAP_NS


def test_one_that_goes_on_for_a_day_while_all_others_rest_is_followed() -> None:
    time = StreamTime({})
    time.at([0, 0])
    leap = 3 * LEAP_NS
    assert [time.at([0, leap + hour * HOUR]) for hour in (0, 12, 23)] == [0, 0, 0]
    assert time.at([0, leap + 24 * HOUR]) == leap + 24 * HOUR
    assert time.record.keys() == {"now"}


def test_a_day_begins_anew_when_another_machine_is_heard() -> None:
    time = StreamTime({})
    time.at([0, 0])
    for hour in range(200):
        assert time.at([hour // 20, YEAR + hour * HOUR]) == hour // 20


def test_the_only_machine_is_always_right() -> None:
    time = StreamTime({})
    assert [time.at([t]) for t in (5, YEAR, YEAR + 1)] == [5, YEAR, YEAR + 1]


@given(st.lists(times, min_size=1, max_size=8))
def test_it_never_runs_back_never_beyond_the_newest_and_goes_on_from_its_record(
    looks: list[list[int]],
) -> None:
    record: dict[str, Any] = {}
    whole, before = StreamTime({}), 0
    for look in looks:
        now = whole.at(look)
        assert now == StreamTime(record).at(look[::-1])  # in any order, resumed each time
        assert now is not None
        assert now >= before
        assert now <= max(*look, before)
        before = now
