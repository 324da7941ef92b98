"""Rows take the latest window that ended at or before them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.evaluation import rows_from_windows

machines = st.sampled_from(["a", "b", "c"])
times = st.integers(-5, 20)
rows_of = st.lists(st.tuples(machines, times))
windows_of = st.lists(st.tuples(machines, times, st.floats(-9, 9), st.booleans()))


def columns(table: list[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[i] for row in table] for i in range(width)]


@settings(deadline=None)
@given(rows_of, windows_of)
def test_rows_equal_a_search_through_all_windows(
    rows: list[tuple[str, int]], windows: list[tuple[str, int, float, bool]]
) -> None:
    score, alarm = rows_from_windows(*columns(rows, 2), *columns(windows, 4))  # type: ignore[arg-type]
    assert len(score) == len(alarm) == len(rows)
    for i, (machine, time) in enumerate(rows):
        best: tuple[str, int, float, bool] | None = None
        for window in windows:
            ended = window[0] == machine and window[1] <= time
            if ended and (best is None or window[1] >= best[1]):
                best = window
        if best is None:
            assert np.isnan(score[i])
            assert not alarm[i]
        else:
            assert (score[i], alarm[i]) == best[2:]


def test_a_window_counts_from_its_end_on_and_never_before() -> None:
    score, alarm = rows_from_windows(
        ["a"] * 5, [9, 10, 19, 20, 10**18], ["a", "a"], [20, 10], [2.0, 1.0], [False, True]
    )
    np.testing.assert_array_equal(score, [np.nan, 1.0, 1.0, 2.0, 2.0])
    np.testing.assert_array_equal(alarm, [False, True, True, False, False])


def test_arrays_and_lists_of_names_are_the_same_machines() -> None:
    score, _ = rows_from_windows(
        np.array(["pump", "fan"]), [5, 5], ["fan", "pump-2"], [5, 5], [3.0, 4.0], [True, True]
    )
    np.testing.assert_array_equal(score, [np.nan, 3.0])


def test_a_window_without_a_score_is_not_replaced_by_an_older_one() -> None:
    score, _ = rows_from_windows(["a"], [9], ["a", "a"], [4, 8], [1.0, np.nan], [True, False])
    assert np.isnan(score[0])
