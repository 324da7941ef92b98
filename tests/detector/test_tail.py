"""The generalised Pareto tail and the p-values that go over into it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import genpareto, kstest

from stream_ad.detector.tail import ParetoTail, PValues

SHAPES = [-0.4, 0.0, 0.3, 0.8]


@pytest.mark.parametrize("shape", SHAPES)
def test_curve_is_the_survival_of_the_generalised_pareto(shape: float) -> None:
    tail = ParetoTail(threshold=2.0, value=0.1, scale=1.5, shape=shape)
    x = np.array([2.0, 2.1, 3.0, 5.0, 5.7, 5.8, 100.0])
    expected = 0.1 * genpareto.sf(x - 2.0, shape, scale=1.5)
    np.testing.assert_allclose(tail.at(x), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_where_inverts_at(shape: float) -> None:
    tail = ParetoTail(threshold=-1.0, value=0.2, scale=0.3, shape=shape)
    for value in (0.2, 0.1, 1e-3, 1e-9):
        assert tail.at(np.array([tail.where(value)]))[0] == pytest.approx(value, rel=1e-6)


def test_negative_shape_ends_at_a_finite_point_that_no_value_above_zero_reaches() -> None:
    tail = ParetoTail(threshold=0.0, value=1.0, scale=1.0, shape=-0.5)
    np.testing.assert_array_equal(tail.at(np.array([2.0, 3.0, np.inf])), 0.0)
    assert tail.where(1e-12) < 2.0


@pytest.mark.parametrize("shape", SHAPES)
def test_fit_agrees_with_maximum_likelihood_on_a_large_sample(shape: float) -> None:
    x = genpareto.rvs(shape, scale=2.0, size=5_000, random_state=np.random.default_rng(3))
    tail = ParetoTail.fit(x + 7.0, threshold=7.0, value=1.0)
    likely_shape, _, likely_scale = genpareto.fit(x, floc=0)
    assert tail.shape == pytest.approx(likely_shape, abs=0.03)
    assert tail.scale == pytest.approx(likely_scale, rel=0.03)


@pytest.mark.parametrize(
    "peaks",
    [
        np.full(30, 1.0),
        np.concatenate([np.full(29, 1e-30), [1e100]]),
        np.geomspace(1e-300, 1e100, 40),
        np.linspace(1, 2, 30),
    ],
    ids=["equal", "one huge", "400 decades", "a step"],
)
def test_fit_survives_any_peaks(peaks: np.ndarray) -> None:
    tail = ParetoTail.fit(peaks, threshold=0.0, value=0.1)
    x = np.geomspace(1e-300, 1e200, 200)
    assert tail.scale > 0
    assert np.all(np.isfinite(tail.at(x)))
    assert np.all(np.diff(tail.at(x)) <= 0)
    assert np.isfinite(tail.where(1e-6))


def test_counted_p_values_by_hand() -> None:
    p = PValues(np.array([1.0, 2.0, 2.0, 3.0]), None)
    x = np.array([0.5, 1.0, 2.0, 2.5, 3.0, 9.0])
    np.testing.assert_allclose(p.at(x), np.array([5, 5, 4, 2, 2, 1]) / 5)
    np.testing.assert_allclose(p.at(x, "right"), np.array([5, 4, 2, 2, 1, 1]) / 5)


def test_counted_levels_by_hand() -> None:
    p = PValues(np.array([1.0, 2.0, 3.0, 4.0]), None)
    assert [p.where(q) for q in (0.2, 0.3, 0.4, 0.8, 1.0)] == [4.0, 4.0, 3.0, 1.0, 1.0]
    assert p.where(0.19) == np.inf
    # own p-values of the scores: 5/5, 4/5, 3/5, 2/5; nothing counted is rarer than the last
    assert [p.tightest(q) for q in (0.9, 0.8, 0.5, 0.4, 0.1)] == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_fewer_than_thirty_independent_peaks_are_counted_not_fitted() -> None:
    raw = np.random.default_rng(0).exponential(size=1_000)
    assert PValues.fit(raw, independent=149).tail is None
    assert PValues.fit(raw, independent=151).tail is not None


def test_tail_starts_at_the_counted_value_and_never_rises() -> None:
    p = PValues.fit(np.random.default_rng(1).lognormal(size=2_000), 2_000)
    assert p.tail is not None
    t = p.tail.threshold
    x = np.sort(np.concatenate([p.raw, [t, np.nextafter(t, 9e9)], np.linspace(t, 50, 500)]))
    assert p.at(np.array([t]))[0] == p.tail.value == (1 + (p.raw > t).sum()) / 2_001
    assert np.all(np.diff(p.at(x)) <= 0)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(150, 400),
    st.lists(st.sampled_from([0.0, 1.0, 1.0 + 2**-20, 2.0, 7.5, 1e6]), min_size=1, max_size=6),
    st.floats(1e-6, 1.0),
)
def test_levels_and_values_agree_under_ties(
    seed: int, n: int, values: list[float], value: float
) -> None:
    scores = np.random.default_rng(seed).choice(values, n)
    p = PValues.fit(scores, n)
    x = np.linspace(-1, 10, 50)
    assert np.all(np.diff(p.at(x)) <= 0)
    level = p.where(value)
    if np.isfinite(level):
        assert p.at(np.array([level]), "right")[0] <= value * (1 + 1e-6)
    assert p.at(np.array([p.tightest(value)]))[0] >= min(value, 1) * (1 - 1e-6) or value < 2 / (
        1 + n
    )


def test_p_of_fresh_normal_scores_is_uniform() -> None:
    rng = np.random.default_rng(2)
    p = PValues.fit(rng.gamma(2.0, size=20_000), 20_000)
    assert kstest(p.at(rng.gamma(2.0, size=5_000)), "uniform").pvalue > 0.01
