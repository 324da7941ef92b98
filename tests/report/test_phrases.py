from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.report.phrases import (
    ABSENT,
    NS,
    clock,
    duration,
    number,
    percent,
    rarity,
    resolved,
)
from stream_ad.windows.spec import parse_rfc3339


@given(st.one_of(st.none(), st.floats(), st.integers(-(10**20), 10**20)))
def test_no_number_is_written_as_a_word(value: float | None) -> None:
    for text in (number(value), *(resolved(value, step) for step in (0.01, 0.0, math.inf))):
        assert not {"nan", "inf", "none"} & {text.lower()}
        known = value is not None and math.isfinite(value)
        assert known != (text == ABSENT)


@given(st.floats(-1e8, 1e8), st.floats(1e-6, 1e6))
def test_resolved_numbers_show_a_difference_of_ten_steps(value: float, step: float) -> None:
    other = value + 10 * step
    if other - value > 5 * step:  # where floats themselves can tell the two apart
        assert resolved(value, step) != resolved(other, step)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234, "1234"),
        (12345, "12\u202f345"),
        (12345.678, "12\u202f346"),
        (-1.5, "\u22121.5"),
        (1e-9, "1e\u22129"),
        (0.0, "0"),
    ],
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (59 * NS, "59 s"),
        (60 * NS, "1 min"),
        (3_661 * NS, "1 h 1 min"),
        (86_400 * NS, "1 d"),
        (40 * 86_400 * NS, "40 d"),
    ],
)
def test_durations_have_two_units_at_most(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_clocks_leave_out_what_says_nothing() -> None:
    assert clock(parse_rfc3339("2024-05-06T07:08:00Z")) == "2024-05-06 07:08"
    assert clock(parse_rfc3339("2024-05-06T07:08:09.25Z")) == "2024-05-06 07:08:09.25"


@pytest.mark.parametrize(
    ("p_value", "start"),
    [
        (0.0002, "at most about 1 in 5000 "),
        (1 / 123_456, "at most about 1 in 120\u202f000 "),
        (0.5, "about 50 in 100 "),
    ],
)
def test_p_values_are_told_in_words(p_value: float, start: str) -> None:
    assert (rarity(p_value) or "").startswith(start)


@pytest.mark.parametrize("p_value", [None, float("nan"), 0.0, -1.0, 2.0])
def test_what_is_no_p_value_is_not_told(p_value: float | None) -> None:
    assert rarity(p_value) is None


def test_small_shares_are_not_rounded_away() -> None:
    assert percent(0.001) == "< 1 %"
