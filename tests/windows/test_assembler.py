"""Windows from readings: the assembler against the oracle, however the readings arrive."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_ad.config import WindowsConfig
from stream_ad.windows import WindowSpec
from stream_ad.windows.assembler import Assembler, RecordGate
from stream_ad.windows.spec import NS
from tests.windows.oracle import Row, windows_of


def make_spec(**settings: Any) -> WindowSpec:
    defaults: dict[str, Any] = {"sensors": ["a", "b"], "period_s": 1, "length": 4, "hop": 2}
    return WindowSpec.from_config(WindowsConfig(**(defaults | settings)))


def columns(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    time = np.array([row[0] for row in rows], np.int64)
    cells = [[np.nan if v is None else v for v in row[1]] for row in rows]
    return time, np.array(cells, np.float32).reshape(len(rows), 2)


def run(
    spec: WindowSpec, rows: list[Row], cuts: list[int], handover: bool
) -> tuple[dict[int, Any], int, int]:
    """Push the rows cut into chunks; with handover, every chunk meets a restored machine."""
    machine = Assembler(spec)
    made: dict[int, Any] = {}
    late = jump = 0
    time, values = columns(rows)
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for a, b in itertools.pairwise(bounds):
        starts, windows = machine.push(time[a:b], values[a:b])
        assert not set(starts.tolist()) & set(made), "a window closed twice"
        made |= dict(zip(starts.tolist(), windows, strict=True))
        late, jump = late + machine.late, jump + machine.jump
        if handover:
            machine = Assembler.from_dict(spec, json.loads(json.dumps(machine.to_dict())))
    return made, late, jump


value = st.none() | st.integers(-9, 9).map(float) | st.just(0.1)
step = st.integers(-5 * NS, 5 * NS) | st.sampled_from([0, NS, NS, NS, NS // 3, 60 * NS, -60 * NS])


@st.composite
def recordings(draw: st.DrawFn) -> list[Row]:
    """Draw times that mostly ascend, with disorder, gaps, jumps to 2099 and back."""
    rows: list[Row] = []
    now = draw(st.integers(0, 40)) * NS
    for move in draw(st.lists(step | st.just(4_000_000_000 * NS), max_size=60)):
        now = min(max(now + move, 0), 9_000_000_000 * NS)
        rows.append((now, (draw(value), draw(value))))
        if move > 3_000_000_000 * NS and draw(st.booleans()):
            now -= move  # one isolated reading, then back
    return rows


specs = st.builds(
    make_spec,
    length=st.integers(1, 7),
    hop=st.just(1),
    period_s=st.sampled_from([1.0, 0.5, 2.0]),
    disorder_s=st.sampled_from([0.0, 0.4, 3.0]),
    max_gap_s=st.sampled_from([0.0, 1.0, 3.0, float("inf")]),
    max_jump_s=st.sampled_from([10.0, 100.0]),
) | st.integers(1, 6).flatmap(
    lambda hop: st.builds(
        make_spec,
        length=st.integers(hop, 9),
        hop=st.just(hop),
        disorder_s=st.sampled_from([0.0, 2.0]),
        max_jump_s=st.just(20.0),
    )
)


@settings(max_examples=300, deadline=None)
@given(specs, recordings(), st.lists(st.integers(0, 60), max_size=5), st.booleans())
def test_any_cutting_gives_the_windows_of_the_oracle(
    spec: WindowSpec, rows: list[Row], cuts: list[int], handover: bool
) -> None:
    want = windows_of(rows, spec)
    made, late, jump = run(spec, rows, cuts, handover)
    assert sorted(made) == sorted(want.windows)
    assert (late, jump) == (want.late, want.jump)
    for start, cells in want.windows.items():
        expected = np.array([[np.nan if v is None else v for v in row] for row in cells])
        np.testing.assert_array_equal(made[start], expected.astype(np.float32))


@settings(max_examples=100, deadline=None)
@given(specs, recordings(), st.lists(st.integers(0, 60), max_size=5))
@example(make_spec(), [(0, (1.0, None)), (NS, (2.0, None))], [1])
def test_the_state_does_not_depend_on_the_cutting(
    spec: WindowSpec, rows: list[Row], cuts: list[int]
) -> None:
    whole, parts = Assembler(spec), Assembler(spec)
    time, values = columns(rows)
    whole.push(time, values)
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for a, b in itertools.pairwise(bounds):
        parts.push(time[a:b], values[a:b])
    assert whole.to_dict() == parts.to_dict()


def test_a_reading_from_2099_does_not_blind_the_machine() -> None:
    spec = make_spec(length=2, hop=2)
    rows: list[Row] = [(t * NS, (float(t), 0.0)) for t in range(6)]
    rows.insert(3, (4_070_908_800 * NS, (0.0, 0.0)))
    made, late, jump = run(spec, rows, [], handover=False)
    assert (sorted(made), late, jump) == ([0, 2 * NS], 0, 1)


def test_a_confirmed_jump_goes_on_at_the_new_time() -> None:
    spec = make_spec(length=2, hop=2)
    days = 3 * 86_400
    rows: list[Row] = [(t * NS, (1.0, 1.0)) for t in (0, 1, 2, days, days + 1, days + 2)]
    made, late, jump = run(spec, rows, [], handover=False)
    assert (sorted(made), late, jump) == ([0, 2 * NS, days * NS], 0, 0)


def test_one_reading_makes_nothing_and_waits() -> None:
    made, late, jump = run(make_spec(), [(5 * NS, (1.0, 1.0))], [], handover=True)
    assert (made, late, jump) == ({}, 0, 0)


def test_a_slot_takes_the_latest_value_by_event_time_and_ties_by_arrival() -> None:
    spec = make_spec(length=1, hop=1, disorder_s=1)
    rows: list[Row] = [
        (0, (9.0, 9.0)),
        (NS // 2, (1.0, None)),
        (NS // 4, (2.0, 5.0)),  # older: only the second sensor learns from it
        (NS // 2, (3.0, None)),  # same time, later arrival
        (5 * NS, (0.0, 0.0)),
    ]
    made, _, _ = run(spec, rows, [2, 3], handover=True)
    np.testing.assert_array_equal(made[0], np.array([[3.0, 5.0]], np.float32))


def test_a_long_gap_costs_no_more_than_a_short_one() -> None:
    spec = make_spec(period_s=0.001, max_jump_s=1e9)
    machine = Assembler(spec)
    years = 30 * 365 * 86_400 * NS
    time = np.array([0, 1, 2, years, years + NS], np.int64)
    machine.push(time, np.zeros((5, 2), np.float32))
    assert len(machine.to_dict()["values"]) < 1_000


def test_open_slots_are_the_only_thing_that_grows() -> None:
    spec = make_spec(length=64, hop=64)
    machine = Assembler(spec)
    machine.push(np.arange(100_000) * NS, np.zeros((100_000, 2), np.float32))
    assert len(json.dumps(machine.to_dict())) < 64 * 2 * 4 * 2 + 64 * 8 * 2 + 500


def test_hostile_jumps_do_not_take_quadratic_time() -> None:
    spec = make_spec()
    time = np.arange(20_000) * NS
    time[3::2] += 4_000_000_000 * NS  # every other reading lies in the next century
    machine = Assembler(spec)
    machine.push(time, np.zeros((len(time), 2), np.float32))
    assert machine.jump == 9_998  # the last of them still waits


def test_window_records_ascend_and_never_repeat() -> None:
    spec = make_spec()
    gate = RecordGate(spec)
    start = np.array([10, 10, 20, 15, 30]) * NS
    values = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 4, 2), np.float32)
    starts, kept = gate.push(start, values)
    assert (starts // NS).tolist() == [10, 20, 30]
    assert kept[:, 0, 0].tolist() == [0, 2, 4]
    assert gate.late == 2


@given(st.lists(st.integers(0, 50).map(lambda s: s * NS), max_size=30), st.integers(0, 30))
def test_window_records_do_not_depend_on_the_cutting(starts: list[int], cut: int) -> None:
    spec = make_spec(max_jump_s=10)
    time = np.array(starts, np.int64)
    values = np.zeros((len(time), 4, 2), np.float32)
    whole = RecordGate(spec)
    first = RecordGate(spec)
    a = whole.push(time, values)[0]
    b = first.push(time[:cut], values[:cut])[0]
    second = RecordGate.from_dict(spec, json.loads(json.dumps(first.to_dict())))
    c = second.push(time[cut:], values[cut:])[0]
    assert a.tolist() == [*b.tolist(), *c.tolist()]
    assert second.to_dict() == whole.to_dict()
