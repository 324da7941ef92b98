"""Tail units: a table by hand, and a curve that only rises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.detector.units import LEAST, MOST, TailUnits

FINITE = st.floats(-1e30, 1e30)


def test_counts_and_tail_by_hand() -> None:
    """Of 1 ... 11 the 90 % quantile is 10; beyond it lies 11, in the mean by 1."""
    units = TailUnits.fit(np.arange(1.0, 12))
    assert (units.knee, units.scale) == (10.0, 1.0)
    # twelve places among eleven values: 12, 12, 7 and 3 of them are at or above
    counted = units(np.array([0.0, 1.0, 6.0, 10.0]))
    np.testing.assert_allclose(counted, -np.log10(np.array([12, 12, 7, 3]) / 12), atol=1e-15)
    # each excess of one mean excess makes it rarer by a factor of e
    tail = units(np.array([11.0, 12.0, 110.0]))
    np.testing.assert_allclose(10**-tail, 0.1 * np.exp([-1, -2, -100]), rtol=1e-12)


def test_shares_of_a_large_sample_come_back() -> None:
    rng = np.random.default_rng(0)
    units = TailUnits.fit(rng.exponential(size=20_000))
    fresh = units(rng.exponential(size=20_000))
    for power in (0.3, 0.5, 0.9, 1.0, 1.5, 2.0, 3.0):
        assert (fresh > power).mean() == pytest.approx(10**-power, rel=0.4 if power > 2 else 0.1)


@pytest.mark.parametrize("n", [100, 999, 1001, 5000])
def test_counted_and_fitted_meet_at_the_knee(n: int) -> None:
    units = TailUnits.fit(np.random.default_rng(n).normal(size=n))
    below, above = units(np.array([units.knee, np.nextafter(units.knee, np.inf)]))
    assert above == pytest.approx(1, abs=1e-9)
    assert 0 <= above - below < 0.1  # a place or two among n


@given(st.lists(FINITE, min_size=1, max_size=60), st.lists(FINITE, min_size=2, max_size=60))
def test_more_evidence_is_never_fewer_units(sample: list[float], values: list[float]) -> None:
    units = TailUnits.fit(np.array(sample))
    got = units(np.sort(np.array([*values, *sample, units.knee])))
    assert np.isfinite(got).all()
    assert (got >= 0).all()
    assert (np.diff(got) >= 0).all()


@given(st.lists(FINITE, min_size=1, max_size=30), st.integers(0, 29))
def test_a_value_has_the_units_it_has_alone(sample: list[float], place: int) -> None:
    units = TailUnits.fit(np.array(sample))
    row = np.array(sample)[[place % len(sample)]]
    assert units(row).tobytes() == units(np.array(sample))[[place % len(sample)]].tobytes()


@pytest.mark.parametrize("level", [0.0, 3.0, -7e8])
@pytest.mark.parametrize("n", [1, 50])
def test_of_a_constant_sample_the_same_says_nothing_and_more_says_much(
    level: float, n: int
) -> None:
    units = TailUnits.fit(np.full(n, level))
    same, less, more = units(np.array([level, level - 1, level + 10]))
    assert same == less == 0
    assert np.isfinite(more)
    assert more > 5


def test_rounding_of_a_constant_is_not_a_rarity() -> None:
    units = TailUnits.fit(np.full(50, 1e6))
    assert units(np.nextafter(np.full(1, 1e6), np.inf))[0] < 1.5
    assert units.scale == max(LEAST, 1e-9 * 1e6)


def test_a_long_sample_is_kept_as_its_quantiles() -> None:
    values = np.random.default_rng(0).exponential(size=50_000)
    units = TailUnits.fit(values)
    assert len(units.sample) == MOST
    assert (units.sample[0], units.sample[-1]) == (values.min(), values.max())
    ranks = (values[:, None] >= np.quantile(values, [0.1, 0.5, 0.8])).mean(axis=0)
    got = units(np.quantile(values, [0.1, 0.5, 0.8]))
    np.testing.assert_allclose(10**-got, ranks, atol=3e-3)


def test_the_sample_given_is_left_as_it_is() -> None:
    values = np.array([3.0, 1, 2])
    TailUnits.fit(values)
    np.testing.assert_array_equal(values, [3, 1, 2])
