"""Synthetic anomalies: what they touch, what they leave, and how severity counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.detector.synthetic import FAULTS, NOISE, inject, negatives, rare_anomalies
from stream_ad.errors import InputError
from tests.detector.streams import waves

KINDS = [*FAULTS, *NOISE]
CELL_BY_CELL = [kind for kind in KINDS if kind not in ("delay", "smote_noise")]
Values = NDArray[np.float32]


def holed(n: int = 40, length: int = 12, sensors: int = 4, seed: int = 0) -> Values:
    """Return waves with missing cells, one window without values, one sensor without any."""
    x = waves(n, length, sensors, seed)
    x[np.random.default_rng(seed).random(x.shape) < 0.1] = np.nan
    x[1], x[:, :, 3] = np.nan, np.nan
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_touched_stays_bit_by_bit(kind: str) -> None:
    x = holed()
    before = x.tobytes()
    odd, touched = inject(x, kind, 0.8, seed=3)
    assert x.tobytes() == before
    assert odd.dtype == np.float32
    calm = ~np.broadcast_to(touched[:, None, :], x.shape)
    assert odd[calm].tobytes() == x[calm].tobytes()
    assert (np.isnan(odd) == np.isnan(x)).all()
    assert not touched[1].any()
    assert not touched[:, 3].any()
    per_window = np.delete(touched, 1, axis=0).sum(axis=1)
    assert (per_window == {"gaussian": 3, "smote_noise": 3}.get(kind, 1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_severity_zero_changes_nothing(kind: str) -> None:
    x = holed()
    assert inject(x, kind, 0, seed=3)[0].tobytes() == x.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_touched_sensor_changes_at_severity_one(kind: str) -> None:
    x = waves(30, 12, 4)
    odd, touched = inject(x, kind, 1, seed=3)
    assert ((odd != x).any(axis=1) == touched).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_repeats_and_another_does_not(kind: str) -> None:
    x = holed()
    (a, where), (b, again) = (inject(x, kind, 0.7, seed=5) for _ in range(2))
    assert a.tobytes() == b.tobytes()
    assert (where == again).all()
    assert a.tobytes() != inject(x, kind, 0.7, seed=6)[0].tobytes()


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(CELL_BY_CELL),
    seed=st.integers(0, 1000),
    severities=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_severer_anomaly_is_the_same_one_larger(
    kind: str, seed: int, severities: tuple[float, float]
) -> None:
    x = holed(20, seed=seed)
    (less, where), (more, again) = (inject(x, kind, s, seed) for s in sorted(severities))
    assert (where == again).all()
    moved = [np.nan_to_num(np.abs(odd.astype(float) - x)) for odd in (less, more)]
    assert (moved[1] >= moved[0] - 1e-5).all()  # but for the rounding of float32 at levels of 40


def test_a_later_course_is_farther_off_where_it_never_repeats() -> None:
    x = np.cumsum(np.ones((6, 10, 2), np.float32), axis=1)
    off = [np.abs(inject(x, "delay", s, 1)[0] - x) for s in (0, 0.13, 0.4, 0.77, 1)]
    assert all((b >= a - 1e-6).all() and b.sum() > a.sum() for a, b in pairwise(off))


def test_smote_with_noise_is_farther_off_on_the_average() -> None:
    x = waves(60)
    off = [np.abs(inject(x, "smote_noise", s, 1)[0] - x).mean() for s in (0, 0.5, 1, 2, 4)]
    assert off == sorted(off)
    assert len(set(off)) == 5


def courses(kind: str, severity: float, course: list[float], n: int = 64) -> Values:
    """Return the course of the only sensor after the fault, of many windows alike."""
    x = np.tile(np.array(course, np.float32)[None, :, None], (n, 1, 1))
    return inject(x, kind, severity, seed=0)[0][:, :, 0]


def test_a_spike_is_one_slot_of_so_many_spreads_up_or_down() -> None:
    odd = courses("spike", 4, [0, 0, 0, 0])
    assert (np.sort(np.abs(odd), axis=1) == [0, 0, 0, 4]).all()
    assert {-4.0, 4.0} <= set(odd.ravel().tolist())
    assert (np.abs(odd) == 4).any(axis=0).all()  # any slot


def test_a_drift_reaches_its_severity_in_the_last_slot() -> None:
    odd = np.abs(courses("drift", 6, [0, 0, 0, 0]))
    assert {tuple(row) for row in odd.tolist()} == {(1.5, 3, 4.5, 6), (0, 2, 4, 6)}


def test_a_stuck_sensor_holds_the_value_of_an_early_slot() -> None:
    odd = courses("stuck", 1, [1, 2, 3, 4])
    assert {tuple(row) for row in odd.tolist()} == {(1, 1, 1, 1), (1, 2, 2, 2)}
    half = courses("stuck", 0.5, [1, 3, 5, 7])
    assert {tuple(row) for row in half.tolist()} == {(1, 2, 3, 4), (1, 3, 4, 5)}


def test_a_delay_is_a_share_of_the_window() -> None:
    assert courses("delay", 0.5, [1, 2, 4, 8])[0].tolist() == [1, 1, 1, 2]
    assert courses("delay", 0.125, [0, 2, 4, 8])[0].tolist() == [0, 1, 3, 6]  # half a slot


def test_a_gain_counts_from_the_median_of_the_sensor() -> None:
    assert courses("scale", 0.5, [1, 2, 3, 10])[0].tolist() == [0.25, 1.75, 3.25, 13.75]


def test_a_lost_correlation_is_the_course_of_another_window() -> None:
    x = waves(20, 12, 3)
    odd, touched = inject(x, "lost_correlation", 1, seed=2)
    for row, sensor in np.argwhere(touched):
        found = np.flatnonzero((np.abs(x[:, :, sensor] - odd[row, :, sensor]) < 1e-5).all(axis=1))
        assert len(found) == 1
        assert found[0] != row


@pytest.mark.parametrize("kind", FAULTS)
def test_several_sensors_have_a_fault_each(kind: str) -> None:
    x = waves(30, 12, 5)
    x[:, :, 4] = np.nan
    for sensors in (1, 3, 4, 9):
        odd, touched = inject(x, kind, 1, seed=1, sensors=sensors)
        assert (touched.sum(axis=1) == min(sensors, 4)).all()
        changed = ((odd != x) & ~np.isnan(x)).any(axis=1)
        assert (changed == touched).all()


def test_noise_has_the_deviation_asked_for() -> None:
    x = np.zeros((400, 10, 10), np.float32)
    odd, touched = inject(x, "subset_noise", 2, seed=0)
    assert (touched.sum(axis=1) == 3).all()
    assert (touched.mean(axis=0) > 0.2).all()
    assert odd.transpose(0, 2, 1)[touched].std() == pytest.approx(2, rel=0.03)
    assert inject(x, "gaussian", 3, seed=0)[0].std() == pytest.approx(3, rel=0.03)


def test_smote_goes_towards_a_near_window() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat([0.0, 1000.0], 150)[:, None, None] + rng.normal(size=(300, 2, 2))
    odd, _ = inject(clusters, "smote_noise", 1e-3, seed=0)
    assert np.abs(odd - clusters).max() < 0.1
    odd, _ = inject(clusters, "smote_noise", 1, seed=0)
    assert ((odd > 500) == (clusters > 500)).all()


@pytest.mark.parametrize("kind", ["spike", "drift", "gaussian", "subset_noise", "smote_noise"])
def test_severity_counts_in_spreads(kind: str) -> None:
    x, spread = waves(30), np.array([1.0, 10, 0.1])
    plain, touched = inject(x / spread, kind, 3, seed=1)
    units, again = inject(x, kind, 3, seed=1, spread=spread)
    assert (touched == again).all()
    np.testing.assert_allclose(units, plain * spread, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sensor_without_a_spread_is_left_alone(kind: str) -> None:
    x = waves(30)
    odd, touched = inject(x, kind, 1, seed=1, spread=[np.nan, 1, np.nan])
    assert (touched == [False, True, False]).all()
    assert (odd[:, :, [0, 2]] == x[:, :, [0, 2]]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 4, 2), (1, 1, 1), (1, 5, 2), (2, 1, 3)])
def test_small_shapes_and_huge_values_are_survived(kind: str, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 3e38, np.float32)
    x[::2] *= -1
    odd, touched = inject(x, kind, 1, seed=0, spread=np.full(shape[2], 1e38))
    assert odd.shape == shape
    assert touched.shape == (shape[0], shape[2])
    assert np.isfinite(odd).all()


@pytest.mark.parametrize(
    ("kind", "severity", "said"),
    [
        ("nonsense", 1, "kind = 'nonsense': allowed is spike"),
        ("spike", -1, "severity = -1 of spike: allowed is a number, at least 0"),
        ("stuck", 1.1, "at least 0, at most 1"),
        ("drift", float("nan"), "severity = nan"),
        ("scale", float("inf"), "severity = inf"),
    ],
)
def test_what_cannot_be_injected_is_an_input_error(kind: str, severity: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        inject(waves(4), kind, severity, seed=0)
    with pytest.raises(InputError, match="shape"):
        inject(np.zeros((4, 2)), "spike", 1, seed=0)


Make = Callable[[Values, int, int], Values]
MANY: list[Make] = [negatives, rare_anomalies]


@pytest.mark.parametrize("make", MANY)
def test_many_anomalies_repeat_by_seed_and_keep_what_is_missing(make: Make) -> None:
    x = waves(60, 12, 4)
    x[:, 3:5, 1], x[:, :, 3] = np.nan, np.nan
    before = x.tobytes()
    a, b, c = (make(x, 40, seed) for seed in (1, 1, 2))
    assert x.tobytes() == before
    assert a.tobytes() == b.tobytes() != c.tobytes()
    assert a.dtype == np.float32
    assert (np.isnan(a) == np.isnan(x[:1])).all()


@pytest.mark.parametrize("make", MANY)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (7, 1, 5), (500, 1, 4)])
@pytest.mark.parametrize("count", [1, 33, 700])
def test_as_many_as_asked_for_from_any_history(
    make: Make, shape: tuple[int, int, int], count: int
) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    made = make(x, count, 0)
    assert made.shape[1:] == x.shape[1:]
    assert np.isfinite(made).all()
    lost = 0 if shape[1] == 1 or make is rare_anomalies else 0.7 * count  # what no fault changed
    assert count - lost <= len(made) <= count


def test_negatives_of_rows_differ_in_three_of_ten_sensors() -> None:
    x = np.repeat(np.arange(50, dtype=np.float32), 10).reshape(50, 1, 10)
    odd = negatives(x, 400, 0)
    moved = odd - np.median(odd, axis=2, keepdims=True)
    assert ((moved != 0).sum(axis=2) == 3).all()
    assert moved[moved != 0].std() == pytest.approx(2, rel=0.1)


def test_negatives_of_windows_are_of_every_kind_and_never_as_they_were() -> None:
    x = waves(40, 12, 4)
    rows = {row.tobytes() for row in x}
    odd = negatives(x, 70, 0)
    assert len(odd) == 70
    assert not any(row.tobytes() in rows for row in odd)
    only = negatives(x, 50, 0, kinds=[("spike", 5.0)])
    moved = (only[:, None] - x[None]).reshape(50, 40, -1)
    own = (moved != 0).sum(axis=2).argmin(axis=1)  # the window it was made of
    moved = np.abs(moved[np.arange(50), own])
    assert ((moved != 0).sum(axis=1) == 1).all()  # 30 % of four sensors
    assert moved.max(axis=1) == pytest.approx(np.full(50, 5.0), rel=1e-4)


def test_negatives_leave_out_what_no_fault_changed() -> None:
    still = np.zeros((20, 6, 2), np.float32)
    assert len(negatives(still, 10, 0, kinds=[("stuck", 1.0)])) == 0


def test_rare_anomalies_come_from_few_rows_and_their_noise_from_after_smote() -> None:
    """Along a line of rows the noise across it is whole; SMOTE of noisy rows would shrink it."""
    x = np.zeros((2000, 1, 30), np.float32)
    x[:, 0, 0] = 1000 * np.arange(2000)
    odd = rare_anomalies(x, 100, 0)  # 5 % of all
    assert odd[:, 0, 1:].std() == pytest.approx(3, rel=0.05)
    copies, between = odd[:40, 0, 0], odd[40:, 0, 0]
    assert np.abs(copies - 1000 * np.round(copies / 1000)).max() < 20
    assert (np.abs(between - 1000 * np.round(between / 1000)) > 20).mean() > 0.8
    assert len(np.unique(np.round(copies / 1000))) == 40  # 2 % of the rows, each once
    more = rare_anomalies(x, 200, 0)
    assert set(np.round(more[100:140, 0, 0])) != set(np.round(copies))
