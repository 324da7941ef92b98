"""The course of a cycle: only where there is one, off and on again, and on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from stream_ad.detector import Detector
from stream_ad.detector.cycle import FLOOR, Cycle

STROKE = np.array([0, 0, 9, 6, 3, 0, 0, 0])[:, None]
STRAY = np.array([0.1, 0.1, 2, 1, 0.5, 0.1, 0.1, 0.1])[:, None]


def strokes(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Return cycles of a sensor with a course, beside one without."""
    noise = np.random.default_rng(seed).normal(size=(n, 8, 2))
    noise[:, :, :1] = STROKE + STRAY * noise[:, :, :1]
    return noise.astype(np.float32)


def fitted(x: NDArray[np.float32]) -> Cycle:
    cycle = Cycle.fit(x)
    assert cycle is not None
    return cycle


def test_each_slot_gets_the_mean_0_and_nearly_the_same_spread() -> None:
    x = strokes(400)
    level = fitted(x).off(x.copy())[:, :, 0]
    known = StandardScaler().fit(x[:, :, 0])
    np.testing.assert_allclose(level.mean(axis=0), 0, atol=1e-5)
    around = known.var_.mean()
    wanted = np.sqrt(around * known.var_ / (known.var_ + FLOOR * around))
    np.testing.assert_allclose(level.std(axis=0), wanted, rtol=1e-4)


def test_a_sensor_without_a_course_stays_as_it_is() -> None:
    x = strokes(400)
    np.testing.assert_array_equal(fitted(x).off(x.copy())[:, :, 1], x[:, :, 1])


@pytest.mark.parametrize("hop", [1, 3, 8, 13])
def test_rolling_windows_have_no_course(hop: int) -> None:
    """Neither of noise nor of a wave or walk, wherever in it they start."""
    rng, t = np.random.default_rng(0), np.arange(6000)
    row = np.stack([rng.normal(size=6000), np.sin(t / 9), rng.normal(size=6000).cumsum()], axis=1)
    x = np.stack([row[i : i + 8] for i in range(0, 5900, hop)]).astype(np.float32)
    assert Cycle.fit(x) is None


def test_what_was_taken_off_comes_on_again() -> None:
    x = strokes(100)
    x[::3, 2:4] = np.nan
    cycle = fitted(x)
    np.testing.assert_allclose(cycle.on(cycle.off(x.copy())), x, atol=1e-5)


def test_missing_cells_are_left_out_of_the_course() -> None:
    x = strokes(4000)
    holed = x.copy()
    holed[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    np.testing.assert_allclose(fitted(holed).gain, fitted(x).gain, rtol=0.1)
    np.testing.assert_allclose(fitted(holed).shift, fitted(x).shift, atol=0.6)


def test_a_course_without_any_stray_keeps_its_unit() -> None:
    x = np.repeat(STROKE[None].astype(np.float32), 9, axis=0)
    cycle = fitted(x)
    assert (cycle.gain == 1).all()
    np.testing.assert_allclose(cycle.off(x.copy()), 0, atol=1e-6)


@pytest.mark.parametrize("history", [np.full((3, 8, 2), np.nan), np.zeros((3, 8, 2))])
def test_where_nothing_is_seen_or_moves_there_is_no_course(history: NDArray[np.float64]) -> None:
    assert Cycle.fit(history.astype(np.float32)) is None


# --- a detector of cycles


@pytest.fixture(scope="module")
def machine() -> Detector:
    return Detector().fit(strokes(300))


def test_a_slot_that_is_always_quiet_is_heard_when_it_moves(machine: Detector) -> None:
    """By far less than the swing of the course."""
    odd = strokes(100, seed=1)
    odd[:, 6, 0] += 1.5
    usual = machine.decision_function(strokes(100, seed=1))
    assert (machine.decision_function(odd) > np.quantile(usual, 0.99)).mean() > 0.95
    assert (machine.explain(odd).share.argmax(axis=1) == 0).mean() > 0.95


def test_what_is_expected_is_in_sensor_units_and_has_the_course(machine: Detector) -> None:
    odd = strokes(100, seed=1)
    odd[:, 6, 0] += 1.5
    expected = machine.explain(odd).expected_window[:, :, 0].mean(axis=0)
    np.testing.assert_allclose(expected, STROKE.ravel(), atol=0.6)


def test_the_card_names_the_sensors_and_the_same_bits_come_back(
    machine: Detector, tmp_path: Path
) -> None:
    assert [sensor["cycle"] for sensor in machine.card["sensors"]] == [True, False]
    machine.save(tmp_path / "m")
    x = strokes(50, seed=2)
    loaded = Detector.load(tmp_path / "m")
    assert loaded.decision_function(x).tobytes() == machine.decision_function(x).tobytes()
    whole, theirs = machine.explain(x).expected_window, loaded.explain(x).expected_window
    assert theirs.tobytes() == whole.tobytes()
