"""Folds: each row judged once, by what was learned far enough away in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.detector.folds import FOLDS, folds


def slots(start: int, span: int) -> set[int]:
    return set(range(start, start + span))


@given(st.lists(st.integers(-200, 300), min_size=1, max_size=80), st.integers(1, 40))
def test_each_row_is_judged_once_and_nothing_near_it_is_learned_from(
    starts: list[int], span: int
) -> None:
    start = np.array(sorted(starts), np.int64)
    told = list(folds(start, span))
    judged = np.concatenate([judge for _, judge in told])
    np.testing.assert_array_equal(judged, np.arange(len(start)))  # in order, for `concatenate`
    assert len(told) <= FOLDS
    for learn, judge in told:
        apart = np.abs(start[learn][:, None] - start[judge])
        assert not len(learn) or apart.min() >= 2 * span
        # nothing is left out but what lies that near the stretch
        first, last = start[judge].min(), start[judge].max()
        rest = np.setdiff1d(np.arange(len(start)), learn)
        assert ((start[rest] > first - 2 * span) & (start[rest] < last + 2 * span)).all()


@given(st.integers(1, 6), st.integers(20, 80))
def test_overlapping_windows_share_no_slot_with_what_judges_them(hop: int, n: int) -> None:
    span = 6
    start = np.arange(n, dtype=np.int64) * hop
    for learn, judge in folds(start, span):
        seen = set().union(*(slots(int(s), span) for s in start[learn]))
        ours = set().union(*(slots(int(s), span) for s in start[judge]))
        assert not seen & ours
        # nor with a window that does: a whole span lies between
        if seen:
            assert min(abs(a - b) for a in seen for b in ours) > span


def test_machines_that_run_together_are_judged_together() -> None:
    start = np.repeat(np.arange(50) * 10, 7)
    for learn, judge in folds(start, 10):
        assert len(judge) == 70  # a fifth of the 50 starts of all 7 machines
        assert not set(start[learn]) & set(start[judge])


def test_the_stretches_hold_a_fifth_each() -> None:
    sizes = [len(judge) for _, judge in folds(np.arange(1000) * 10, 10)]
    assert sizes == [200] * 5


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_windows_than_folds_are_each_judged_alone(n: int) -> None:
    told = [(learn.tolist(), judge.tolist()) for learn, judge in folds(np.arange(n) * 100, 10)]
    assert told == [([k for k in range(n) if k != i], [i]) for i in range(n)]


def test_windows_that_all_start_together_leave_nothing_to_learn_from() -> None:
    assert [(len(a), len(b)) for a, b in folds(np.full(9, 5), 10)] == [(0, 9)]
