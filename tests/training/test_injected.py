"""What detectors are judged by where nothing is labelled."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stream_ad.detector.calibration import Calibration
from stream_ad.errors import ModelError
from stream_ad.training.injected import FAULTS, AlarmRate, finite_scores, injected, usable
from tests.detector.streams import spec_of, waves, windows_of

SPEC = spec_of()


def test_every_fault_is_injected_and_only_changed_windows_come_back() -> None:
    windows = windows_of(waves(60), SPEC)
    found = [*injected(windows, np.ones(3), seed=1, most=1000)]
    assert [(fault.kind, fault.severity) for fault in found] == [f[:2] for f in FAULTS]
    original = {int(o): v for o, v in zip(windows.offset, windows.values, strict=True)}
    for fault in found:
        assert len(fault.windows) > 40
        for offset, values in zip(fault.windows.offset, fault.windows.values, strict=True):
            assert (values != original[int(offset)]).any()


def test_of_many_windows_some_and_of_few_each_several_times() -> None:
    windows = windows_of(waves(60), SPEC)
    fault = next(injected(windows, np.ones(3), seed=1, most=20))
    assert len(fault.windows) == 20
    assert fault.windows.offset[[0, -1]].tolist() == [0, 59]
    few = next(injected(windows.take(slice(5)), np.ones(3), seed=1, most=20, least=33))
    assert np.bincount(few.windows.offset).tolist() == [7, 7, 7, 6, 6]
    assert len(np.unique(few.windows.values, axis=0)) > 25  # not the same fault each time


def test_a_sensor_without_a_unit_is_left_alone() -> None:
    windows = windows_of(waves(60), SPEC)
    for fault in injected(windows, np.array([1.0, np.nan, 1.0]), seed=1, most=100):
        before = windows.values[fault.windows.offset]
        assert np.array_equal(fault.windows.values[:, :, 1], before[:, :, 1])


def test_where_nothing_moves_nothing_can_be_stuck() -> None:
    windows = windows_of(np.ones((30, 8, 3), np.float32), SPEC)
    stuck = [f for f in injected(windows, np.ones(3), seed=1, most=100) if f.kind == "stuck"]
    assert [len(fault.windows) for fault in stuck] == [0, 0]


def test_usable_is_what_every_detector_can_score() -> None:
    windows = windows_of(waves(6), SPEC)
    windows.values[0, :, 0] = np.nan
    windows.values[1, :, :2] = np.nan
    windows.values[2] = np.nan
    windows.values[3, :, 2] = np.nan
    whole: Any = SimpleNamespace(known=np.array([True, True, True]))
    half: Any = SimpleNamespace(known=np.array([True, False, False]))
    assert usable([whole], windows, 0.5).tolist() == [True, False, False, True, True, True]
    assert usable([half], windows, 0.5).tolist() == [False, False, False, True, True, True]
    assert usable([whole, half], windows, 1.0).tolist() == [False] * 3 + [True] * 3
    assert usable([], windows, 0.5).all()


def detector(raw: list[float], line: float = 2.0) -> Any:
    start = np.arange(100) * SPEC.window_ns
    machine = np.array(["a"] * 100, object)
    calm = np.random.default_rng(0).random(100)
    return SimpleNamespace(
        calibration_=Calibration(machine, start, calm, SPEC.hop_ns, SPEC.window_ns),
        line_=SimpleNamespace(line=line, median=0.5, p_line=0.04),
        score=lambda values, start, machine: SimpleNamespace(raw=np.array(raw)),
    )


def test_what_chance_allows_is_two_standard_errors_of_independent_windows() -> None:
    """A hundred windows one after another without any memory are a hundred independent ones."""
    windows = windows_of(waves(100), SPEC, ("a",))
    raw = np.tile([0.0, 1.0], 50)
    raw[:9] = 3.0
    raw = raw[np.random.default_rng(3).permutation(100)]
    scored = Calibration(windows.machine, windows.start, raw, SPEC.hop_ns, SPEC.window_ns)
    rate = AlarmRate.of(detector([]), windows, raw)
    assert (rate.above, rate.asked) == (0.09, 0.04)
    chance = 2 * math.sqrt(0.04 * 0.96 / scored.independent)
    assert rate.allowed == pytest.approx(0.04 + max(chance, 1 / scored.independent))
    assert AlarmRate(0.1, 0.04, 0.1).within
    assert not AlarmRate(0.11, 0.04, 0.1).within


@pytest.mark.parametrize(
    ("raw", "line", "said"),
    [
        ([0.0, math.nan], 2.0, "the champion gives scores that are not finite numbers"),
        ([0.0, math.inf], 2.0, "the champion gives scores that are not finite numbers"),
        ([0.0, 1.0], math.nan, "the alarm line of the champion is not a finite number"),
        ([0.0, 1.0], 0.5, "the alarm line of the champion is not a finite number above"),
    ],
)
def test_what_is_no_number_is_an_error_that_says_whose(
    raw: list[float], line: float, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        finite_scores(detector(raw, line), windows_of(waves(2), SPEC), "champion")
    assert finite_scores(detector([1.0, 0.0]), windows_of(waves(2), SPEC), "x").tolist() == [1, 0]
