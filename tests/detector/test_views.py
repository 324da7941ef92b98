"""The views equal their definitions, written out; gaps say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis
from sklearn.linear_model import Ridge

from stream_ad.detector.views import (
    DISPERSIONS,
    FLOOR,
    LEVELS,
    NEAREST,
    QUIET,
    RIDGE,
    SHRINK,
    VIEWS,
    WALK,
    Views,
)

NAN = np.nan
T, C = 8, 3
LEVEL, PREDICTION, DISPERSION = range(3)
Floats = NDArray[np.float64]


def history(n: int = 200, length: int = T, sensors: int = C, seed: int = 0) -> NDArray[np.float32]:
    """Return noise of sensors that move together, each window at a level of its own."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(sensors, sensors)) + np.eye(sensors)
    noise = rng.normal(size=(n, length, sensors)) * rng.uniform(0.5, 2, size=(n, 1, sensors))
    level = rng.normal(size=(n, 1, sensors))
    return np.asarray((noise / 3 + level) @ mixed, np.float32)


def level_of(x: NDArray[np.float32]) -> Floats:
    return np.asarray(x[:, x.shape[1] // 2 :].astype(np.float64).mean(axis=1))


def ending_of(x: NDArray[np.float32]) -> Floats:
    return np.asarray(x[:, -max(x.shape[1] // 8, 1) :].astype(np.float64).mean(axis=1))


def course_of(x: NDArray[np.float32]) -> Floats:
    slots = x.shape[1]
    before = x[:, : slots - max(slots // 8, 1)].astype(np.float64)
    means = [before[:, -(slots // part) :].mean(axis=1) for part in (4, 2)]
    return np.hstack([before[:, -1], before[:, -2], *means])


def dispersion_of(x: NDArray[np.float32]) -> Floats:
    return np.asarray(np.log(x.astype(np.float64).std(axis=1) + QUIET))


def walk_of(normal: Floats) -> Floats:
    means = [np.mean(part, axis=0) for part in np.array_split(normal, 5)]
    steps = [means[i + 1] - means[i] for i in range(4)]
    return np.asarray(WALK * np.mean([np.outer(step, step) for step in steps], axis=0))


def inverse_of(normal: Floats) -> Floats:
    """Return the inverse of the shrunk covariance, widened by the walk."""
    covariance = np.cov(normal.T, bias=True).reshape(len(normal.T), -1)
    own = np.diag(np.diag(covariance))
    some = 1e-3 * np.trace(covariance) / len(own) + np.zeros(len(own))
    shrunk = (1 - SHRINK) * covariance + SHRINK * (own + np.diag(some)) + FLOOR * np.eye(len(own))
    return np.asarray(np.linalg.inv(shrunk + walk_of(normal)))


def nearest(normal: Floats, rows: Floats, inverse: Floats) -> tuple[Floats, Floats]:
    """Return the mean distance of each row to the nearest normal ones, and the mean of those."""
    apart = np.array([[mahalanobis(row, one, inverse) for one in normal] for row in rows])
    order = apart.argsort(axis=1)[:, :NEAREST]
    return np.take_along_axis(apart, order, axis=1).mean(axis=1), normal[order].mean(axis=1)


def nearest_levels(normal: Floats, rows: Floats) -> Floats:
    return nearest(normal, rows, inverse_of(normal))[0]


def nearest_dispersions(normal: Floats, rows: Floats) -> Floats:
    return nearest(normal, rows, np.eye(rows.shape[1]))[0]


@pytest.mark.parametrize(("length", "sensors"), [(8, 3), (4, 1), (5, 2), (17, 9)])
def test_level_and_dispersion_are_distances_to_the_nearest_of_the_history(
    length: int, sensors: int
) -> None:
    x, odd = history(LEVELS, length, sensors), 3 * history(40, length, sensors, seed=1)
    amounts, _ = Views.fit(x)(odd)
    wanted = nearest_levels(level_of(x), level_of(odd))
    np.testing.assert_allclose(amounts[:, LEVEL], wanted, rtol=1e-6)
    wanted = nearest_dispersions(dispersion_of(x), dispersion_of(odd))
    np.testing.assert_allclose(amounts[:, DISPERSION], wanted, rtol=1e-6)


def test_of_a_long_history_some_windows_are_compared_with() -> None:
    x = history(DISPERSIONS + 100)
    views = Views.fit(x)
    for kept, whole, most in (
        (views.level_rows, level_of(x), LEVELS),
        (views.lively_rows, dispersion_of(x), DISPERSIONS),
    ):
        apart = np.abs(kept[:, None] - whole).max(axis=2)
        assert apart.min(axis=1).max() < 1e-6
        assert len(np.unique(apart.argmin(axis=1))) == len(kept) == most


def test_what_lies_between_two_kinds_of_normal_is_none() -> None:
    """At the middle of the history, and as lively as neither kind."""
    noise = np.random.default_rng(0).normal(size=(3, LEVELS // 2, T, C)).astype(np.float32)
    views = Views.fit(np.concatenate([noise[0] - 20, 8 * noise[0] + 20]))
    usual = np.concatenate([views(noise[1] - 20)[0], views(8 * noise[1] + 20)[0]])
    between = views(2.8 * noise[2])[0]
    for view in (LEVEL, DISPERSION):
        assert np.median(between[:, view]) > np.quantile(usual[:, view], 0.95)


@pytest.mark.parametrize(("length", "sensors"), [(8, 3), (4, 1), (5, 2), (17, 9)])
def test_prediction_is_the_largest_residual_of_a_ridge_regression(
    length: int, sensors: int
) -> None:
    x, odd = history(300, length, sensors), 3 * history(40, length, sensors, seed=1)
    before, after = course_of(x), ending_of(x)
    penalty = RIDGE * before.var(axis=0).mean() * len(x)
    ridge = Ridge(alpha=penalty).fit(before, after)
    spread = np.sqrt((after - ridge.predict(before).reshape(after.shape)).var(axis=0) + FLOOR)
    residual = ending_of(odd) - ridge.predict(course_of(odd)).reshape(len(odd), -1)
    amounts, parts = Views.fit(x)(odd)
    wanted = np.abs(residual) / spread
    np.testing.assert_allclose(amounts[:, PREDICTION], wanted.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(parts[:, PREDICTION], wanted**2, rtol=1e-6, atol=1e-9)


def test_a_sensors_part_is_its_squared_deviation_from_the_nearest_in_its_own_spread() -> None:
    x, odd = history(LEVELS), history(9, seed=1) + 2
    _, parts = Views.fit(x)(odd)
    for view, told, metric in (
        (LEVEL, level_of, inverse_of(level_of(x))),
        (DISPERSION, dispersion_of, np.eye(C)),
    ):
        usual = nearest(told(x), told(odd), metric)[1]
        apart = (told(odd) - usual) ** 2 / (told(x).var(axis=0) + FLOOR)
        np.testing.assert_allclose(parts[:, view], apart, rtol=1e-5, atol=1e-9)


def test_each_fault_is_loudest_in_the_view_that_is_made_for_it() -> None:
    x = history(500)
    views, normal = Views.fit(x), history(100, seed=3)
    usual = np.quantile(views(normal)[0], 0.9, axis=0)

    def loudest(odd: NDArray[np.float32]) -> int:
        return int(np.bincount((views(odd)[0] / usual).argmax(axis=1)).argmax())

    whole, late, still = normal + np.float32(30), normal.copy(), normal.copy()
    late[:, -1, 1] += 8  # a step that has only just come
    still[:] = normal[:, :1]
    assert loudest(whole) == LEVEL
    assert loudest(late) == PREDICTION
    assert loudest(still) == DISPERSION


@pytest.mark.parametrize("place", [slice(0, 3), slice(5, 8), slice(1, 8, 2), slice(3, 6)])
def test_a_gap_is_no_step_and_no_lull(place: slice) -> None:
    """A steady sensor says the same with and without the cells that are missing."""
    views, x = Views.fit(history()), history(20, seed=1)
    x[:, :, 1] = 0.7
    gap = x.copy()
    gap[:, place, 1] = NAN
    for whole, holed in zip(views(x), views(gap), strict=True):
        np.testing.assert_allclose(holed, whole, rtol=1e-6, atol=1e-6)


def test_the_dispersion_is_that_of_the_cells_that_are_there() -> None:
    x, odd = history(LEVELS), history(20, seed=1)
    odd[:, 2:5, 1] = NAN
    there = np.nanstd(odd.astype(np.float64), axis=1)
    wanted = nearest_dispersions(dispersion_of(x), np.log(there + QUIET))
    np.testing.assert_allclose(Views.fit(x)(odd)[0][:, DISPERSION], wanted, rtol=1e-6)


def test_a_sensor_that_is_wholly_missing_lies_at_the_mean_and_is_not_to_blame() -> None:
    x, odd = history(LEVELS), history(20, seed=1)
    odd[:, :, 1] = NAN
    amounts, parts = Views.fit(x)(odd)
    assert (parts[:, :, 1] == 0).all()
    for view, told, far in (
        (LEVEL, level_of, nearest_levels),
        (DISPERSION, dispersion_of, nearest_dispersions),
    ):
        rows = told(odd)
        rows[:, 1] = told(x)[:, 1].mean()
        np.testing.assert_allclose(amounts[:, view], far(told(x), rows), rtol=1e-6)
    np.testing.assert_allclose(amounts[:, PREDICTION] ** 2, parts[:, PREDICTION].max(axis=1))


def test_a_single_cell_says_nothing_of_dispersion() -> None:
    views, x = Views.fit(history()), history(5, seed=1)
    x[:, 1:, 2] = NAN
    _, parts = views(x)
    assert (parts[:, DISPERSION, 2] == 0).all()
    assert (parts[:, LEVEL, 2] > 0).all()


def test_gaps_in_the_history_do_not_make_a_whole_window_odd() -> None:
    x = history(400)
    holed = x.copy()
    holed[::2, :, 1] = NAN
    fresh = history(100, seed=1)
    some, whole = (np.median(Views.fit(past)(fresh)[0], axis=0) for past in (holed, x))
    ratio = some / whole
    assert ((ratio > 0.7) & (ratio < 1.5)).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_windows_shorter_than_four_slots_have_a_level_only(length: int) -> None:
    x, odd = history(100, length), history(9, length, seed=1) + 5
    amounts, parts = Views.fit(x)(odd)
    wanted = nearest_levels(level_of(x), level_of(odd))
    np.testing.assert_allclose(amounts[:, LEVEL], wanted, rtol=1e-6)
    assert (amounts[:, 1:] == 0).all()
    assert (parts[:, 1:] == 0).all()


def test_a_constant_sensor_stands_still_at_no_cost_and_shows_when_it_moves() -> None:
    x = history()
    x[:, :, 1] = 0
    views, moved = Views.fit(x), x[:10].copy()
    amounts, parts = views(x)
    assert np.isfinite(amounts).all()
    np.testing.assert_allclose(parts[:, :, 1], 0, atol=1e-12)
    moved[:, T // 2 :, 1] = 1
    assert (views(moved)[0].min(axis=0) > amounts.max(axis=0)).all()
    assert (views(moved)[1].argmax(axis=2) == 1).all()


def test_a_history_in_which_nothing_moves_is_survived() -> None:
    views = Views.fit(np.zeros((2, T, C), np.float32))
    assert (views(np.zeros((3, T, C), np.float32))[0] == 0).all()
    assert np.isfinite(views(np.full((3, T, C), 120, np.float32))[0]).all()


def test_no_windows_give_no_rows() -> None:
    amounts, parts = Views.fit(history())(np.empty((0, T, C), np.float32))
    assert (amounts.shape, parts.shape) == ((0, len(VIEWS)), (0, len(VIEWS), C))


@pytest.mark.parametrize(("length", "sensors"), [(8, 3), (17, 9), (1, 5)])
def test_every_batch_size_gives_the_same_bytes(length: int, sensors: int) -> None:
    x = history(300, length, sensors)
    x[np.random.default_rng(1).random(x.shape) < 0.05] = NAN
    views = Views.fit(x)
    whole = views(x)
    for size in range(1, 301):
        first = (size * 37) % (301 - size)
        for part, full in zip(views(x[first : first + size]), whole, strict=True):
            assert part.tobytes() == full[first : first + size].tobytes(), size


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(2, 12), st.integers(1, 9), st.integers(1, 4)),
        elements=st.one_of(st.floats(-130, 130, width=32), st.just(NAN), st.just(0.0)),
    )
)
def test_any_scaled_history_gives_finite_views_of_anything(x: NDArray[np.float32]) -> None:
    views = Views.fit(x)
    for odd in (x, np.full_like(x, 130), np.full_like(x, NAN)):
        amounts, parts = views(odd)
        assert np.isfinite(amounts).all()
        assert np.isfinite(parts).all()
        assert (amounts >= 0).all()
        assert (parts >= 0).all()
    assert (views(np.full_like(x, NAN))[1] == 0).all()
