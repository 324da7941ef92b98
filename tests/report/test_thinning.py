from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.report.thinning import extremes, highest, stretches

floats = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))
columns = st.lists(floats, max_size=60).map(lambda v: np.array(v, float))
limits = st.integers(2, 20)


def bins(values: NDArray[np.float64], limit: int) -> list[list[float]]:
    size = -(-len(values) // limit)
    return [list(values[i : i + size]) for i in range(0, len(values), size)]


@given(columns, limits)
def test_highest_keeps_the_maximum_of_every_bin(values: NDArray[np.float64], limit: int) -> None:
    rows = highest(values, limit)
    assert len(rows) <= max(limit, 0)
    assert (np.diff(rows) > 0).all()
    if len(values) <= limit:
        assert rows.tolist() == list(range(len(values)))
        return
    expected = [max((v for v in part if v == v), default=np.nan) for part in bins(values, limit)]
    np.testing.assert_array_equal(values[rows], expected)


@given(columns, limits)
def test_extremes_keep_both_ends_of_every_bin(values: NDArray[np.float64], limit: int) -> None:
    rows = extremes(values, limit)
    assert len(rows) <= limit
    assert (np.diff(rows) > 0).all()
    if len(values) <= limit:
        return
    kept = set(values[rows].tolist())
    for part in bins(values, limit // 2):
        known = [v for v in part if v == v]
        assert not known or {min(known), max(known)} <= kept


def test_a_bin_without_values_stays_as_a_gap() -> None:
    values = np.array([1.0, 2.0, np.nan, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(values[highest(values, 3)], [2.0, np.nan, 4.0])


def test_a_peak_of_one_window_in_a_million_survives() -> None:
    values = np.zeros(1_000_000)
    values[654_321] = 9.0
    rows = highest(values, 4_000)
    assert len(rows) <= 4_000
    assert 654_321 in rows


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ([], []),
        ([5], [0]),
        ([0, 10, 20, 50, 60], [0, 0, 0, 0, 0]),  # exactly three steps is no gap
        ([0, 10, 20, 51, 61, 99], [0, 0, 0, 1, 1, 2]),
    ],
)
def test_a_gap_is_more_than_three_median_steps(time: list[int], expected: list[int]) -> None:
    assert stretches(np.array(time, np.int64)).tolist() == expected
