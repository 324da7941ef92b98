"""Bad cells are found, masked and named: out of range, standing still, missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.alerting import Findings, QualityCheck, QualityState
from stream_ad.config import WindowsConfig
from stream_ad.windows.spec import NS, WindowSpec

NAN = float("nan")


def grid(sensors: list[dict[str, Any]], length: int = 4, hop: int | None = None) -> WindowSpec:
    config = {"sensors": sensors, "period_s": 1, "length": length, "hop": hop}
    return WindowSpec.from_config(WindowsConfig.model_validate(config))


def check(
    spec: WindowSpec,
    values: Sequence[Sequence[Sequence[float]]],
    start: list[int] | None = None,
    state: QualityState | None = None,
    **limits: Any,
) -> tuple[np.ndarray, list[Findings | None]]:
    """Windows of one machine, each given sensor by sensor; starts in seconds."""
    cells = np.array(values, np.float32).transpose(0, 2, 1).copy()
    starts = np.array(start or [spec.length * i for i in range(len(cells))]) * NS
    known = np.array(limits.get("known", [True] * len(spec.sensors)))
    quality = QualityCheck(spec, known, limits.get("max_missing", 0.5))
    clean, found = quality([state or QualityState()] * len(cells), starts, cells)
    return clean.transpose(0, 2, 1), found


def shares(found: Findings | None) -> dict[str, float]:
    return {} if found is None else {c.channel: c.share for c in found.channels}


def test_good_windows_pass_through_uncopied() -> None:
    spec = grid([{"name": "a", "min": 0}, {"name": "b"}])
    values = np.ones((3, 4, 2), np.float32)
    states, start = [QualityState()] * 3, np.arange(3) * 4 * NS
    clean, found = QualityCheck(spec, np.ones(2, bool), 0.5)(states, start, values)
    assert clean is values
    assert found == [None, None, None]
    assert states[0].to_dict() == {}


def test_out_of_range_cells_are_masked_and_the_farthest_is_shown() -> None:
    spec = grid([{"name": "a", "unit": "C", "min": 0, "max": 100}, {"name": "b"}])
    values = [[[5, 101, -40, 850], [850, 1, 2, 3]], [[0, 100, 50, 1], [1, 2, 3, 4]]]
    clean, (bad, good) = check(spec, values)
    np.testing.assert_array_equal(clean[0], [[5, NAN, NAN, NAN], [850, 1, 2, 3]])
    np.testing.assert_array_equal(clean[1], values[1])
    assert good is None
    assert bad is not None
    (sensor,) = bad.sensors
    assert (sensor.name, sensor.unit, sensor.share) == ("a", "C", 1.0)
    assert (sensor.expected, sensor.actual) == (None, 850.0)
    assert bad.share == 3 / 8
    assert shares(bad) == {"range": 1.0}


def test_bounds_themselves_are_inside_as_float32() -> None:
    spec = grid([{"name": "a", "min": 0.1, "max": 0.7}])
    assert check(spec, [[[0.1, 0.7, 0.1, 0.7]]])[1] == [None]


def test_a_known_sensor_without_any_value_is_missing_and_an_unknown_one_is_not() -> None:
    spec = grid([{"name": "a"}, {"name": "b"}, {"name": "c"}])
    silent = [[[1.0, 2, 3, 4], [NAN] * 4, [NAN] * 4]]
    clean, (found,) = check(spec, silent, known=[True, True, False], max_missing=0.9)
    np.testing.assert_array_equal(clean, silent)
    assert found is not None
    assert [(s.name, s.share, s.actual) for s in found.sensors] == [("b", 1.0, None)]
    assert shares(found) == {"missing": 1.0}
    assert found.share == 4 / 12


def test_a_window_with_too_much_missing_names_every_gap() -> None:
    spec = grid([{"name": "a"}, {"name": "b"}])
    values = [[[1, NAN, NAN, NAN], [1, 2, NAN, NAN]], [[1, 2, NAN, NAN], [1, 2, NAN, NAN]]]
    _, (poor, just_enough) = check(spec, values, max_missing=0.5)
    assert poor is not None
    assert [(s.name, s.share) for s in poor.sensors] == [("a", 3 / 5), ("b", 2 / 5)]
    assert just_enough is None


def test_before_any_sensor_is_known_nothing_is_missing() -> None:
    spec = grid([{"name": "a"}])
    assert check(spec, [[[NAN] * 4]], known=[False])[1] == [None]


def test_standing_still_counts_from_the_moment_it_has_lasted_too_long() -> None:
    # 7 first shows at second 2; three seconds later, at 5, it has stood too long
    spec = grid([{"name": "a", "stuck_s": 3}])
    clean, (first, second, third) = check(spec, [[[1, 2, 7, 7]], [[7, 7, 7, 7]], [[7, 8, 8, 9]]])
    assert first is None
    np.testing.assert_array_equal(clean[1], [[7, NAN, NAN, NAN]])
    np.testing.assert_array_equal(clean[2], [[NAN, 8, 8, 9]])
    assert second is not None
    assert second.sensors[0].actual == 7.0
    assert (second.share, shares(second)) == (3 / 4, {"stuck": 1.0})
    assert third is not None
    assert third.share == 1 / 4


def test_windows_that_overlap_agree_on_every_shared_cell() -> None:
    spec = grid([{"name": "a", "stuck_s": 2}], length=4, hop=1)
    line = [1, 7, 7, 7, 7, 2, 3, 4, 5]
    stuck = [False, False, False, True, True, False, False, False, False]
    windows = [[line[i : i + 4]] for i in range(6)]
    clean, found = check(spec, windows, start=list(range(6)))
    for i in range(6):
        np.testing.assert_array_equal(np.isnan(clean[i, 0]), stuck[i : i + 4])
    assert [f is not None for f in found] == [True, True, True, True, True, False]


def test_an_empty_cell_neither_ends_nor_starts_a_run() -> None:
    spec = grid([{"name": "a", "stuck_s": 3}])
    clean, _ = check(spec, [[[7, NAN, NAN, 7]], [[NAN, 7, 7.5, 7]]])
    np.testing.assert_array_equal(clean, [[[7, NAN, NAN, NAN]], [[NAN, NAN, 7.5, 7]]])


def test_a_hole_between_windows_ends_a_run() -> None:
    spec = grid([{"name": "a", "stuck_s": 5}])
    still = [[[7, 7, 7, 7]], [[7, 7, 7, 7]]]
    assert check(spec, still, start=[0, 4])[1][1] is not None
    assert check(spec, still, start=[0, 400])[1] == [None, None]


def test_out_of_range_and_stuck_counts_once_as_range() -> None:
    spec = grid([{"name": "a", "max": 5, "stuck_s": 1}])
    clean, (found,) = check(spec, [[[1, 9, 9, 2]]])
    np.testing.assert_array_equal(clean, [[[1, NAN, NAN, 2]]])
    assert found is not None
    assert (found.share, shares(found)) == (2 / 4, {"range": 1.0})


def test_worst_sensor_and_channel_come_first_and_five_sensors_at_most() -> None:
    sensors: list[dict[str, Any]] = [{"name": f"s{i}", "max": 5} for i in range(7)]
    spec = grid([*sensors, {"name": "gone"}])
    late = [[9.0 if i >= k else 1.0 for i in range(4)] for k in range(1, 8)]
    values = [[*late, [NAN] * 4]]
    _, (found,) = check(spec, values, max_missing=0.9)
    assert found is not None
    # out of range: 3 + 2 + 1 cells of s0..s2; missing: 4
    assert [s.name for s in found.sensors] == ["gone", "s0", "s1", "s2"]
    assert [c.channel for c in found.channels] == ["range", "missing"]
    _, (many,) = check(spec, [[[9.0] * 4] * 8])
    assert many is not None
    assert [s.name for s in many.sensors] == ["s0", "s1", "s2", "s3", "s4"]


def test_machines_are_watched_apart() -> None:
    spec = grid([{"name": "a", "stuck_s": 5}])
    one, two = QualityState(), QualityState()
    values = np.full((4, 4, 1), 7, np.float32)
    start = np.array([0, 0, 4, 4000]) * NS
    found = QualityCheck(spec, np.ones(1, bool), 0.5)([one, two, one, two], start, values)[1]
    assert [f is not None for f in found] == [False, False, True, False]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[WindowSpec, list[int], np.ndarray]:
    """Draw a recording of two watched sensors, cut into windows that overlap and leave holes."""
    length = draw(st.integers(1, 5))
    hop = draw(st.integers(1, length))
    limit = draw(st.integers(1, 6))
    spec = grid([{"name": "a", "stuck_s": limit}, {"name": "b", "stuck_s": 2}], length, hop)
    steps = draw(st.lists(st.sampled_from([hop, hop, hop, hop, hop + 7]), max_size=12))
    starts = np.cumsum([0, *steps]).tolist()
    cells = st.sampled_from([1.0, 1.0, 1.0, 2.0, NAN])
    total = starts[-1] + length
    rows = draw(st.lists(st.tuples(cells, cells), min_size=total, max_size=total))
    return spec, starts, np.array(rows, np.float32)


def stuck_by_hand(spec: WindowSpec, starts: list[int], recording: np.ndarray) -> np.ndarray:
    """Walk all seconds that windows cover, one by one."""
    covered = sorted({s + i for s in starts for i in range(spec.length)})
    stuck = np.zeros(recording.shape, bool)
    for c, sensor in enumerate(spec.sensors):
        value: float | None = None
        since = before = 0
        for second in covered:
            if second - before > 1:
                value = None
            before = second
            cell = float(recording[second, c])
            if np.isnan(cell):
                continue
            if cell != value:
                value, since = cell, second
            stuck[second, c] = second - since >= (sensor.stuck_s or 0)
    return stuck


@given(recordings(), st.data())
@settings(max_examples=200)
def test_stuck_cells_are_those_of_a_walk_second_by_second_in_any_batches(
    case: tuple[WindowSpec, list[int], np.ndarray], data: st.DataObject
) -> None:
    spec, starts, recording = case
    stuck = stuck_by_hand(spec, starts, recording)
    quality = QualityCheck(spec, np.zeros(2, bool), 1.0)
    state, place = QualityState(), 0
    while place < len(starts):
        state = QualityState.from_dict(json.loads(json.dumps(state.to_dict())))
        batch = starts[place : place + data.draw(st.integers(1, 4))]
        place += len(batch)
        values = np.stack([recording[s : s + spec.length] for s in batch])
        clean, found = quality([state] * len(batch), np.array(batch) * NS, values)
        for i, s in enumerate(batch):
            expected = stuck[s : s + spec.length]
            np.testing.assert_array_equal(np.isnan(clean[i]), expected | np.isnan(values[i]))
            assert (found[i] is not None) == expected.any()
    assert len(json.dumps(state.to_dict())) < 600


@pytest.mark.parametrize("stuck", [None, 2.0])
def test_no_window_is_an_answer_too(stuck: float | None) -> None:
    spec = grid([{"name": "a", "max": 3, "stuck_s": stuck}])
    none = np.empty((0, 4, 1), np.float32)
    clean, found = QualityCheck(spec, np.ones(1, bool), 0.5)([], np.empty(0, np.int64), none)
    assert len(clean) == 0
    assert found == []
