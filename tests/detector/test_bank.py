"""The bank: each latent once, in time order, within its cap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.detector.bank import Bank
from stream_ad.errors import NotEnoughHistory


def build(z: list[list[float]], most: int = 100) -> Bank:
    n = len(z)
    names = np.array([f"m{i}" for i in range(n)], object)
    return Bank.build(
        np.array(z, np.float32), np.arange(n, dtype=np.float64), names, np.arange(n) * 10, most
    )


def test_duplicates_become_one_with_their_count_and_the_earliest_origin() -> None:
    bank = build([[3, 1], [0, 0], [3, 1], [3, 1], [-0.0, 0]])
    np.testing.assert_array_equal(bank.z, [[3, 1], [0, 0]])
    np.testing.assert_array_equal(bank.count, [3, 2])
    np.testing.assert_array_equal(bank.error, [0, 1])
    np.testing.assert_array_equal(bank.start, [0, 10])
    assert list(bank.machine) == ["m0", "m1"]


@given(st.lists(st.integers(0, 50), min_size=2, max_size=80), st.integers(2, 20))
def test_a_small_cap_keeps_first_and_last_evenly_spaced(values: list[int], most: int) -> None:
    different = list(dict.fromkeys(values))
    if len(different) < 2:
        return
    bank = build([[value] for value in values], most)
    kept = [different.index(int(value)) for value in bank.z[:, 0]]
    assert len(kept) == min(most, len(different))
    assert kept[0] == 0
    assert kept[-1] == len(different) - 1
    gaps = np.diff(kept)
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_what_stays_keeps_its_own_error_origin_and_count() -> None:
    values = [[float(i % 700), 4000.0 * (i % 700 == 333)] for i in range(1400)]
    bank = build(values, most=256)
    assert len(bank) == 256
    assert 333 in bank.z[:, 0]
    np.testing.assert_array_equal(bank.error, bank.z[:, 0])
    np.testing.assert_array_equal(bank.start, 10 * bank.z[:, 0])
    assert set(bank.count.tolist()) == {2}


def test_a_history_that_stands_still_is_an_error_with_its_numbers() -> None:
    with pytest.raises(NotEnoughHistory, match=r"4 windows .* 1 different"):
        build([[1, 2]] * 4)
