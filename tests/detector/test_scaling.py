"""Scaling: centre, spread, floors, squash, and the way back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import StandardScaler

from stream_ad.detector.scaling import Scaler

NAN = np.nan


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1)


def test_centre_is_the_median_and_spread_the_interquartile_range() -> None:
    scaler = Scaler.fit(column(*range(101)))
    assert scaler.centre[0] == 50
    np.testing.assert_allclose(scaler.spread[0], 50 / 1.349, rtol=1e-6)


def test_spread_of_normal_noise_is_its_standard_deviation() -> None:
    x = np.random.default_rng(0).normal(5, 3, size=(20_000, 1, 1)).astype(np.float32)
    np.testing.assert_allclose(Scaler.fit(x).spread[0], 3, rtol=0.03)


def scaler_of(*levels: float) -> Scaler:
    """Return a scaler of one sensor with this centre and spread, whose history had no bounds."""
    centre, spread, low, high = (np.array([x], np.float32) for x in (*levels, -np.inf, np.inf))
    return Scaler(centre, spread, low, high)


def test_what_is_expected_lies_within_what_was_seen() -> None:
    """The reconstruction of a far window may overshoot; the squash's inverse is exponential."""
    scaler = Scaler.fit(column(10, 20, 30, NAN))
    expected = scaler.expected(column(-9, 0, 9)).ravel()
    np.testing.assert_array_equal(expected, [10, 20, 30])


def test_squash_is_three_asinh_of_a_third() -> None:
    scaler = scaler_of(1, 2)
    got = scaler.scale(column(1, 3, -59, 60_001))
    wanted = 3 * np.arcsinh(np.array([0, 1, -30, 30_000]) / 3)
    np.testing.assert_allclose(got.ravel(), wanted, rtol=1e-6)


def test_a_mostly_constant_sensor_takes_the_wide_range() -> None:
    scaler = Scaler.fit(column(*[0] * 80, *[1] * 20))
    np.testing.assert_allclose(scaler.spread[0], 1 / 5.152, rtol=1e-6)


def test_a_constant_sensor_stands_at_zero_and_shows_when_it_moves() -> None:
    scaler = Scaler.fit(column(*[200] * 50))
    still, moved = scaler.scale(column(200, 220)).ravel()
    assert still == 0
    np.testing.assert_allclose(moved, 3 * np.arcsinh(10 / 3), rtol=1e-6)  # 10 % = 10 units


def test_a_sensor_constant_at_zero_survives() -> None:
    scaler = Scaler.fit(column(*[0] * 50))
    assert scaler.scale(column(0)).item() == 0
    assert scaler.scale(column(1)).item() > 10


def test_one_huge_value_does_not_make_a_constant_sensor_deaf() -> None:
    scaler = Scaler.fit(column(*[5] * 999, 1e30))
    assert scaler.scale(column(6)).item() > 3


def test_rounding_noise_of_float32_is_not_a_signal() -> None:
    noise = np.random.default_rng(0).choice([-1, 0, 1], size=300) * np.spacing(np.float32(1e6))
    scaler = Scaler.fit((np.float32(1e6) + noise.astype(np.float32)).reshape(-1, 1, 1))
    assert scaler.spread[0] >= 0.99


def test_missing_stays_missing_and_unknown_is_missing() -> None:
    x = np.array([[[1, NAN]], [[NAN, NAN]], [[3, NAN]]], np.float32)
    scaler = Scaler.fit(x)
    np.testing.assert_array_equal(scaler.known, [True, False])
    np.testing.assert_array_equal(np.isnan(scaler.scale(x))[:, 0, 0], [False, True, False])
    assert np.isnan(scaler.scale(np.ones_like(x))[:, :, 1]).all()
    assert np.isnan(scaler.unscale(np.ones_like(x))[:, :, 1]).all()


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.just(2), st.just(2)),
        elements=st.one_of(
            st.floats(-(2.0**126), 2.0**126, width=32),
            st.just(NAN),
            st.sampled_from([0.0, 1e38, -1e38]),
        ),
    ),
    st.sampled_from(["robust", "standard"]),
)
def test_any_history_gives_finite_scales_and_finite_values(x: np.ndarray, scaling: str) -> None:
    scaler = Scaler.fit(x, scaling)
    assert (scaler.spread[scaler.known] > 0).all()
    assert np.isfinite(scaler.spread[scaler.known]).all()
    extremes = np.concatenate([x, np.full_like(x, 3.4e38), np.full_like(x, -3.4e38)])
    scaled = scaler.scale(extremes)
    missing = np.isnan(extremes) | ~scaler.known
    np.testing.assert_array_equal(np.isnan(scaled), missing)
    assert np.isfinite(scaled[~missing]).all()
    assert np.isfinite(scaler.unscale(scaled)[~missing]).all()


@given(st.floats(-1e6, 1e6, width=32), st.floats(2.0**-6, 2.0**20, width=32))
def test_unscale_is_the_way_back(x: float, spread: float) -> None:
    scaler = scaler_of(7, spread)
    back = scaler.unscale(scaler.scale(column(x))).item()
    # the centre, 7, takes some of float32's digits
    np.testing.assert_allclose(back, x, rtol=1e-4, atol=1e-4 * spread + 7e-6)


def test_standard_is_that_of_the_reference_library() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(500, 1, 3)) * [1, 50, 0.1] + [0, 9, -7]).astype(np.float32)
    scaler = Scaler.fit(x, "standard")
    expected = StandardScaler().fit_transform(x[:, 0].astype(np.float64))
    np.testing.assert_allclose(scaler.scale(x)[:, 0], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scaler.unscale(scaler.scale(x)), x, rtol=1e-4, atol=1e-4)


def test_a_constant_sensor_has_the_same_unit_either_way() -> None:
    x = column(*[200] * 50)
    assert Scaler.fit(x, "standard").spread == Scaler.fit(x).spread == 2


def test_input_is_left_as_it_is() -> None:
    x = column(1, 2, NAN)
    before = x.copy()
    Scaler.fit(x).scale(x)
    np.testing.assert_array_equal(x, before)
