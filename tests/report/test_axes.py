from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.report.axes import FINEST, HEIGHT, TimeAxis, ValueAxis
from stream_ad.report.phrases import NS

DAY = 86_400 * NS
START = 1_704_067_200 * NS


@given(
    st.integers(-(2**61), 2**61),
    st.integers(1, 10**12),
    st.lists(st.integers(0, 5000), min_size=1, max_size=20),
)
def test_times_on_a_grid_are_drawn_exactly(start: int, step: int, slots: list[int]) -> None:
    time = np.array(sorted({start + step * slot for slot in slots}), np.int64)
    axis = TimeAxis.over(time)
    np.testing.assert_array_equal(axis.start + axis.x(time) * axis.unit, time)


@given(st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=20))
def test_any_times_lie_within_the_axis_and_its_precision(times: list[int]) -> None:
    time = np.array(sorted(times), np.int64)
    axis = TimeAxis.over(time)
    x = axis.x(time)
    assert axis.width <= FINEST
    assert x.min() >= 0
    assert x.max() <= axis.width
    error = [abs(axis.start + int(a) * axis.unit - int(t)) for a, t in zip(x, time, strict=True)]
    assert max(error) <= axis.unit / 2


@given(st.integers(-(2**61), 2**61), st.integers(1, 2**61))
def test_every_axis_has_a_readable_number_of_marks_on_it(start: int, span: int) -> None:
    marks = TimeAxis.over(np.array([start, start + span])).ticks()
    assert len(marks) <= 7
    assert all(0 <= mark.at <= 1 for mark in marks)


def test_marks_stand_on_round_times_and_dates_where_they_change() -> None:
    axis = TimeAxis.over(np.array([START + 20 * 3600 * NS, START + 26 * 3600 * NS]))
    assert [(mark.text, mark.more) for mark in axis.ticks()] == [
        ("20:00", "2024-01-01"),
        ("21:00", ""),
        ("22:00", ""),
        ("23:00", ""),
        ("00:00", "2024-01-02"),
        ("01:00", ""),
        ("02:00", ""),
    ]


@pytest.mark.parametrize(
    ("span", "text", "more"),
    [
        (5 * DAY, "01-01", "2024"),
        (6 * NS, "00:00:00", "2024-01-01"),
        (6_000_000, "00.000", "2024-01-01 00:00"),
    ],
)
def test_marks_say_what_their_step_can_tell(span: int, text: str, more: str) -> None:
    first = TimeAxis.over(np.array([START, START + span])).ticks()[0]
    assert (first.at, first.text, first.more) == (0.0, text, more)


def test_scores_are_linear_below_the_line_and_logarithmic_above() -> None:
    axis = ValueAxis(0.0, 4.0, "score")
    levels = axis.y(np.array([0.0, 0.5, 1.0, 10.0, 100.0, 1000.0]))
    assert levels.tolist() == [HEIGHT - i * HEIGHT // 8 for i in (0, 1, 2, 4, 6, 8)]


def test_the_line_stays_visible_beside_an_enormous_score() -> None:
    axis = ValueAxis.of_scores([np.array([0.1, 1e9])])
    zero, line = axis.y(np.array([0.0, 1.0])).tolist()
    assert zero - line > HEIGHT // 15
    assert {"0", "1"} < {mark.text for mark in axis.ticks()}


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5))
def test_value_axes_hold_whatever_comes(values: list[float]) -> None:
    column = np.array(values, float)
    for axis in (ValueAxis.of_values([column]), ValueAxis.of_scores([column])):
        levels = axis.y(column[np.isfinite(column)])
        assert axis.low < axis.high
        assert ((levels >= 0) & (levels <= HEIGHT)).all()
        assert all(0 <= mark.at <= 1 for mark in axis.ticks())
        assert len(axis.ticks()) <= 10


def test_marks_of_close_values_can_be_told_apart() -> None:
    texts = [mark.text for mark in ValueAxis(101_325.1, 101_325.9, "linear").ticks()]
    assert len(set(texts)) == len(texts) >= 3
