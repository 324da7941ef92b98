"""The split is by time, with a gap of one window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.detector.split import check_enough, split
from stream_ad.errors import NotEnoughHistory


@given(
    st.lists(st.integers(0, 300), max_size=60),
    st.integers(1, 40),
    st.floats(0.05, 0.8),
)
def test_training_ends_a_whole_window_before_the_calibration(
    starts: list[int], span: int, share: float
) -> None:
    start = np.array(sorted(starts), np.int64)
    parts = split(start, span, share)
    together = np.concatenate([parts.training, parts.validation, parts.calibration])
    assert (np.diff(together) > 0).all()  # in order of time, none twice
    learning = start[np.concatenate([parts.training, parts.validation])]
    if len(learning) and len(parts.calibration):
        assert start[parts.calibration[0]] - (learning.max() + span) >= span
    left_out = np.setdiff1d(np.arange(len(start)), together)
    if len(left_out):
        assert (start[left_out] + 2 * span > start[parts.calibration[0]]).all()


def test_windows_that_start_together_stay_together() -> None:
    parts = split(np.repeat(np.arange(10) * 10, 7), 10, 0.25)
    assert parts.calibration[0] % 7 == 0
    assert len(parts.calibration) == 21  # 18 asked, the third start begins before


@given(st.integers(5, 400), st.floats(0.05, 0.8))
def test_the_share_asked_for_is_held_out(n: int, share: float) -> None:
    parts = split(np.arange(n) * 10, 10, share)
    assert len(parts.calibration) == max(1, round(share * n))


def test_too_little_says_how_many_there_are_and_how_many_are_needed() -> None:
    check_enough(20, 6, 4, 0.3)
    with pytest.raises(NotEnoughHistory, match=r"9 windows leave 5 .* 6 needed.* 3 .* 4 needed"):
        check_enough(9, 5, 3, 0.3)
