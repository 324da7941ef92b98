"""Machines on their group's scale: what differs between machines of one kind does not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.detector import Detector
from stream_ad.detector.machine_scales import MOST, MachineScales
from stream_ad.errors import InputError
from stream_ad.windows.batches import Windows
from tests.detector.streams import spec_of, waves, windows_of

LEVELS = np.array([[0.0, 0, 0], [500.0, -30, 2]])
QUARTERS = [0.25, 0.5, 0.75]
GAINS = np.array([[1.0, 1, 1], [4.0, 0.2, 1]])


def unlike(n: int = 400, seed: int = 0) -> Windows:
    """Return waves of two machines, the second of which reads on other scales."""
    windows = windows_of(waves(n, seed=seed), spec_of())
    code = (windows.machine == "b").astype(int)
    windows.values[:] = windows.values * GAINS[code][:, None] + LEVELS[code][:, None]
    return windows


def alike(n: int = 400, seed: int = 0) -> Windows:
    return windows_of(waves(n, seed=seed), spec_of())


def test_centre_and_spread_of_every_machine_become_the_groups() -> None:
    """By numpy's quantiles of each machine by itself."""
    windows = unlike()
    scales = MachineScales.fit(windows.values, windows.machine)
    there = scales.to_group(windows.values, windows.machine).astype(np.float64)
    before, after = (
        [
            np.quantile(part[windows.machine == name].reshape(-1, 3), QUARTERS, axis=0)
            for name in "ab"
        ]
        for part in (windows.values.astype(np.float64), there)
    )
    centre = np.median([quarters[1] for quarters in before], axis=0)
    spread = np.median([quarters[2] - quarters[0] for quarters in before], axis=0)
    for quarters in after:
        np.testing.assert_allclose(quarters[1], centre, rtol=1e-4)
        np.testing.assert_allclose(quarters[2] - quarters[0], spread, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_there_and_back_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(0, 50, 3), rng.uniform(0.1, 9, 3), (120, 4, 3)).astype(
        np.float32
    )
    machine = np.array(["a", "b", "c", "nobody"], object)[np.arange(120) % 4]
    scales = MachineScales.fit(values[machine != "nobody"], machine[machine != "nobody"])
    there = scales.to_group(values, machine).astype(np.float64)
    np.testing.assert_allclose(scales.from_group(there, machine), values, rtol=1e-3, atol=1e-3)
    rows = scales.from_group(there[:, 0], machine)
    np.testing.assert_allclose(rows, values[:, 0], rtol=1e-3, atol=1e-3)


def test_machines_unknown_or_hardly_seen_stay_as_they_are() -> None:
    windows = unlike()
    few = Windows.concat([windows.take(windows.machine == "a"), unlike(20)])
    scales = MachineScales.fit(few.values, few.machine)
    assert scales.machines.tolist() == ["a"]
    for name in ("b", "never seen"):
        machine = np.full(len(windows), name, object)
        assert np.array_equal(scales.to_group(windows.values, machine), windows.values)


def test_where_no_machine_has_windows_enough_all_stay_as_they_are() -> None:
    windows = unlike(38)
    scales = MachineScales.fit(windows.values, windows.machine)
    assert len(scales.machines) == 0
    assert np.array_equal(scales.to_group(windows.values, windows.machine), windows.values)


def test_a_sensor_that_stood_still_is_moved_and_one_without_values_is_not() -> None:
    windows = unlike()
    mine = windows.machine == "b"
    windows.values[mine, :, 0] = 700
    windows.values[mine, :, 1] = np.nan
    scales = MachineScales.fit(windows.values, windows.machine)
    assert scales.gain[1, :2].tolist() == [1, 1]
    middle = np.median([np.median(windows.values[~mine, :, 0]), 700])
    there = scales.to_group(windows.values[mine], windows.machine[mine])
    np.testing.assert_allclose(there[0, :, 0], middle, rtol=1e-6)
    assert scales.shift[1, 1] == 0


def test_a_machine_that_hardly_moved_is_not_magnified_without_end() -> None:
    windows = alike()
    windows.values[windows.machine == "b"] *= 1e-6
    scales = MachineScales.fit(windows.values, windows.machine)
    assert scales.gain[1].tolist() == [MOST] * 3
    assert (scales.gain[0] < 1).all()


def fitted(windows: Windows, **more: bool) -> Detector:
    return Detector(seed=1, **more).fit_windows(windows, spec_of())  # type: ignore[arg-type]


def test_a_detector_scores_machines_as_if_they_were_alike() -> None:
    """The same machines on one scale give the same scores but for rounding."""
    wild, tame = fitted(unlike(), scale_per_machine=True), fitted(alike(), scale_per_machine=True)
    odd, same = unlike(40, seed=5), alike(40, seed=5)
    theirs = tame.score(same.values, same.start, same.machine).raw
    raw = wild.score(odd.values, odd.start, odd.machine).raw
    assert np.corrcoef(raw, theirs)[0, 1] > 0.98
    assert np.abs(raw - theirs).mean() < 0.1 * theirs.std()


def test_what_is_told_is_in_the_machines_own_units() -> None:
    detector, windows = fitted(unlike(), scale_per_machine=True), unlike(40, seed=5)
    told = detector.explain(windows.values, windows.start, windows.machine)
    slots = np.abs(windows.values - told.expected_window)
    mine = windows.machine == "b"
    span = np.ptp(windows.values[mine].reshape(-1, 3), axis=0)
    assert (slots[mine].reshape(-1, 3).max(axis=0) < span).all()
    again = detector.explain(windows.values, windows.start, [*windows.machine])  # type: ignore[arg-type]
    assert again.expected_window.tobytes() == told.expected_window.tobytes()
    near = np.abs(windows.values - told.actual[:, None]).min(axis=1)
    np.testing.assert_allclose(near, 0, atol=1e-3)


def test_it_comes_back_from_disk_bit_by_bit(tmp_path: Path) -> None:
    detector, windows = fitted(unlike(), scale_per_machine=True), unlike(40, seed=5)
    detector.save(tmp_path / "model")
    again = Detector.load(tmp_path / "model")
    mine = detector.score(windows.values, windows.start, windows.machine).raw
    theirs = again.score(windows.values, windows.start, windows.machine).raw
    assert theirs.tobytes() == mine.tobytes()
    without = again.score(windows.values, windows.start).raw
    assert without.tobytes() != mine.tobytes()


def test_a_detector_that_does_not_ask_for_it_takes_no_notice_of_machines() -> None:
    detector, windows = fitted(unlike()), unlike(40, seed=5)
    with_names = detector.score(windows.values, windows.start, windows.machine).raw
    assert with_names.tobytes() == detector.score(windows.values, windows.start).raw.tobytes()


def test_as_many_machines_as_windows_are_wanted() -> None:
    detector, windows = fitted(unlike(), scale_per_machine=True), unlike(40, seed=5)
    with pytest.raises(InputError, match=r"machine has shape \(39,\); wanted is \(40,\)"):
        detector.score(windows.values, windows.start, windows.machine[1:])
