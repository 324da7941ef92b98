"""Shares sum to one; expected and actual stand at the slot that differs most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream_ad.detector import Detector
from stream_ad.detector.blocks import BLOCK
from stream_ad.detector.explanation import farthest, shares
from tests.detector.streams import quick, waves

NAN = np.nan


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 5), st.integers(1, 6)),
        elements=st.floats(0, 1e308),
    )
)
def test_shares_are_parts_of_one_or_of_nothing(parts: np.ndarray) -> None:
    got = shares(parts)
    assert ((got >= 0) & (got <= 1)).all()
    anything = parts.max(axis=1) > 0
    np.testing.assert_allclose(got.sum(axis=1), anything.astype(float), rtol=1e-12)


def test_the_slot_of_largest_deviation_skips_missing_cells() -> None:
    scaled = np.array([[[NAN, 0, NAN], [3, -4, NAN], [-5, 1, NAN]]], np.float32)
    slot, seen = farthest(scaled, np.zeros_like(scaled))
    np.testing.assert_array_equal(slot, [[2, 1, 0]])
    np.testing.assert_array_equal(seen, [[True, True, False]])


@pytest.fixture(scope="module")
def detector() -> Detector:
    return quick(steps=400)


def test_a_shift_of_one_sensor_is_laid_at_its_door(detector: Detector) -> None:
    x = waves(250)[240:]
    x[:, :, 1] += 6
    e = detector.explain(x)
    assert (e.share.argmax(axis=1) == 1).mean() >= 0.8
    assert e.share[:, 1].mean() > 0.5


def test_expected_and_actual_stand_at_the_same_slot_in_the_sensors_unit(
    detector: Detector,
) -> None:
    x = waves(250)[240:]
    x[:, 5, 1] += 20
    e = detector.explain(x)
    for row, sensor in np.ndindex(10, 3):
        slots = np.flatnonzero(x[row, :, sensor] == e.actual[row, sensor])
        assert e.expected[row, sensor] in e.expected_window[row, slots, sensor]
    levels = np.array([10, 20, 30])
    typical = np.median(detector.explain(waves(250)[240:]).expected, axis=0)
    np.testing.assert_allclose(typical, levels, atol=1.5)


def summed_error(detector: Detector, x: np.ndarray) -> np.ndarray:
    """Return the error summed over observed cells, of which it is the mean."""
    return np.asarray(detector.score(x).error * np.isfinite(x).sum(axis=(1, 2)))


def test_a_sensor_is_blamed_for_what_the_error_falls_by_without_it(detector: Detector) -> None:
    x = waves(250)[240:]
    x[:, :, 1] += 40
    x[0, :4, 0] = NAN
    falls = np.empty((len(x), 3))
    for sensor in range(3):
        without = x.copy()
        without[:, :, sensor] = NAN
        falls[:, sensor] = summed_error(detector, x) - summed_error(detector, without)
    falls = falls.clip(0)
    share = falls / falls.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(detector.explain(x).share, share, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sensor", range(3))
def test_a_sensor_far_out_is_named_and_expected_where_the_others_say(
    detector: Detector, sensor: int
) -> None:
    """Far outside the history a network blames the healthy sensors and expects nonsense."""
    true = waves(260)[240:]
    x = true.copy()
    x[:, :, sensor] += 60 * true[:, :, sensor].std()
    e = detector.explain(x)
    np.testing.assert_array_equal(e.share.argmax(axis=1), sensor)
    apart = np.abs(e.expected_window - true).mean(axis=(0, 1))
    assert (apart < 0.75 * np.abs(true - true.mean((0, 1))).mean(axis=(0, 1))).all()


def test_reasons_are_the_same_bits_whether_or_not_all_trials_fit_one_block(
    detector: Detector,
) -> None:
    """Few windows are passed along with their trials in one block, many in two rounds."""
    x = waves(250)[-100:]  # 3 sensors: 64 windows are the most that one block holds
    x[::2, :, 1] += 6
    x[::3, :5, 2] = NAN
    many = detector.explain(x)
    for rows in (slice(0, 1), slice(3, 67), slice(30, 95)):
        few = detector.explain(x[rows])
        for name in ("share", "expected", "expected_window", "evidence", "neighbour_distance"):
            np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[rows])


def test_few_windows_cost_one_block_of_the_model(detector: Detector) -> None:
    model, calls = detector._fitted().model, []
    hook = model.register_forward_pre_hook(lambda _, x: calls.append(len(x[0])))
    try:
        detector.explain(waves(250)[-64:])
        assert calls == [BLOCK]
        calls.clear()
        detector.explain(waves(250)[-65:])
        assert calls == [BLOCK, BLOCK]
    finally:
        hook.remove()


def test_an_ordinary_window_shares_its_own_residuals(detector: Detector) -> None:
    e = detector.explain(waves(250)[240:])
    np.testing.assert_allclose(e.share.sum(axis=1), 1)


def test_a_sensor_never_observed_in_the_window_has_no_values(detector: Detector) -> None:
    x = waves(3)
    x[:, :, 2] = NAN
    e = detector.explain(x)
    assert np.isnan(e.actual[:, 2]).all()
    assert np.isnan(e.expected[:, 2]).all()
    assert (e.share[:, 2] == 0).all()
    np.testing.assert_allclose(e.share.sum(axis=1), 1)


def test_the_nearest_normal_windows_come_from_the_bank_in_order(detector: Detector) -> None:
    e = detector.explain(waves(240)[:6])
    assert e.neighbour_distance.shape == e.neighbour_start.shape == (6, 5)
    assert (np.diff(e.neighbour_distance, axis=1) >= 0).all()
    assert (e.neighbour_distance[:, 0] == 0).all()  # these windows are in the bank
    np.testing.assert_array_equal(e.neighbour_machine[:, 0], ["a", "b"] * 3)
    np.testing.assert_array_equal(e.neighbour_start[:, 0] // 8_000_000_000, [0, 0, 1, 1, 2, 2])


def test_evidence_has_one_share_per_channel(detector: Detector) -> None:
    x = waves(20)
    x[::2] += 5
    e = detector.explain(x)
    assert e.channels == detector.channels == ("reconstruction", "density")
    totals = e.evidence.sum(axis=1)
    assert e.evidence.shape == (20, 2)
    assert (e.evidence >= 0).all()
    assert (np.isclose(totals, 1) | (totals == 0)).all()
    np.testing.assert_allclose(totals[::2], 1)
