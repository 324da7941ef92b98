"""The benchmark of retraining: its factory, its operator, its judging, and a quick run."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import orjson
import pytest

from simulators import FAULT_KINDS
from stream_ad.evaluation.judgement import ScoredWindows
from stream_ad.evaluation.outputs import Run
from stream_ad.records import IncidentEvent
from stream_ad.windows import Readings, WindowSpec, rfc3339
from tests.benchmarks import retraining
from tests.benchmarks.aging import DAY_S, AgingSource, Change, Event, Plan, Shift
from tests.benchmarks.retraining_crafted import Crafted, Heard
from tests.benchmarks.retraining_figure import Panel, draw
from tests.benchmarks.retraining_judging import (
    DAY_NS,
    Count,
    Period,
    by_kind,
    count,
    drowned,
    phases,
    weeks,
)
from tests.benchmarks.retraining_labels import LABELLED, UNLABELLED, Effect, Met
from tests.benchmarks.retraining_mixed import ROBUST, SHARE, Mixed, overlap, windows
from tests.benchmarks.retraining_operator import AfterChanges, Case, OfSpans
from tests.benchmarks.retraining_parts import PLAN, QUICK_PLAN, WHOLE, Found
from tests.benchmarks.retraining_results import figures
from tests.benchmarks.retraining_seasons import (
    NEVER,
    RUNS,
    WITH,
    WITHOUT,
    Seasons,
    Trainings,
    Worth,
)
from tests.benchmarks.slopes import REFITTED, TOUCHED, Ramp, Refitted

HOUR_NS = DAY_NS // 24
SMALL = Plan(
    machines=2, days=4, history_days=1, period_s=600.0, season_sd=0.0, faults=0, changes=()
)
STEP = Change(2.0, {"power": Shift(3.0, 1.0), "flow": Shift(0.0, 2.0)})


def _values(source: AgingSource) -> np.ndarray:
    return np.concatenate([batch.records.values for batch in source.batches()])


def _times(source: AgingSource) -> tuple[np.ndarray, np.ndarray]:
    records = [b.records for b in source.batches() if isinstance(b.records, Readings)]
    return np.concatenate([r.machine for r in records]), np.concatenate([r.time for r in records])


# ---------------------------------------------------------------------- the factory


def test_a_change_shifts_its_sensors_on_all_machines_from_its_moment_on() -> None:
    plain, changed = SMALL.source(3), replace(SMALL, changes=(STEP,)).source(3)
    machine, time = _times(plain)
    before, after = _values(plain), _values(changed)
    late = time >= plain.at(2.0)
    assert np.array_equal(before[~late], after[~late], equal_nan=True)
    names = plain.factory.layout.sensor_names
    power, flow = names.index("power"), names.index("flow")
    for row, name in enumerate(plain.factory.layout.machine_ids):
        mine = late & (machine == name) & ~np.isnan(before).any(axis=1)
        moved = after[mine] - before[mine]
        assert moved[:, power] == pytest.approx(3.0 * plain.spread[row, power], rel=1e-3)
        assert after[mine, flow] == pytest.approx(2.0 * before[mine, flow], rel=1e-5)
        assert not moved[:, [c for c in range(8) if c not in {power, flow}]].any()


def test_a_season_is_a_wave_of_the_asked_height_on_every_sensor() -> None:
    plain = SMALL.source(3)
    season = replace(SMALL, season_sd=2.0, season_days=1.0).source(3)
    machine, time = _times(plain)
    first = machine == plain.factory.layout.machine_ids[0]
    wave = (_values(season) - _values(plain))[first] / plain.spread[0]
    assert np.nanmax(np.abs(wave), axis=0) == pytest.approx(np.full(8, 2.0), rel=0.01)
    day = round(DAY_S / SMALL.period_s)
    assert np.nanmax(np.abs(wave[day : 2 * day] - wave[:day])) < 0.01
    assert len(np.unique(np.round(np.nanargmax(wave[:day], axis=0), 0))) > 1
    assert time[0] == plain.factory.start_ns


def test_every_machine_has_every_kind_of_fault_after_the_history_at_times_of_its_own() -> None:
    source = PLAN.source(7)
    events = source.events()
    for machine in source.factory.layout.machine_ids:
        mine = [event for event in events if event.machine == machine]
        assert sorted(event.kind for event in mine) == sorted(FAULT_KINDS)
        assert all(a.end <= b.start for a, b in pairwise(mine))
    assert min(event.start for event in events) >= source.until
    assert max(event.end for event in events) <= source.at(PLAN.days)
    for week in weeks(source)[:-1]:
        assert sum(week.since <= event.start < week.until for event in events) > 5


def test_a_routine_touches_nothing_but_its_span() -> None:
    plan = replace(SMALL, routine={"power": Shift(5.0, 1.0)})
    plain = plan.source(3)
    span = Event("machine-02", "routine", plain.at(1.5), plain.at(1.6))
    moved = _values(replace(plain, routines=[span])) != _values(plain)
    machine, time = _times(plain)
    inside = (machine == span.machine) & (time >= span.start) & (time < span.end)
    power = plain.factory.layout.sensor_names.index("power")
    known = ~np.isnan(_values(plain)[:, power])
    assert np.array_equal(moved[known, power], inside[known])
    other = np.delete(np.arange(8), power)
    assert not (moved & ~np.isnan(_values(plain)))[:, other].any()


# ---------------------------------------------------------------------- the judging


def _event(machine: str, kind: str, name: str, what: str, start: int, end: int) -> IncidentEvent:
    told: dict[str, Any] = {
        "incident_id": name,
        "kind": kind,
        "event": what,
        "machine_id": machine,
        "started_at": rfc3339(start),
        "window_start": rfc3339(end - HOUR_NS),
        "window_end": rfc3339(end),
    }
    return IncidentEvent.model_construct(**told)


def _run(alarms: dict[str, list[int]], hours: int, events: list[IncidentEvent]) -> Run:
    """Return a run of windows of an hour, alarms by machine and hour."""
    start = np.tile(np.arange(hours) * HOUR_NS, len(alarms))
    machine = np.repeat(np.array([*alarms], object), hours)
    alarm = np.concatenate([np.isin(np.arange(hours), mine) for mine in alarms.values()])
    static = alarm * 2.0
    scored = ScoredWindows(machine, start, start + HOUR_NS, static, alarm)
    return Run(scored, static, events)


SPEC = WindowSpec.from_config(
    replace(SMALL, period_s=3600.0, hop=1).config(0, 1.0).windows.model_copy(update={"length": 1})
)


def test_a_period_counts_false_incidents_faults_found_and_faults_told() -> None:
    def incident(machine: str, name: str, start: int, opened: int, end: int) -> list[IncidentEvent]:
        times = (start * HOUR_NS, opened * HOUR_NS)
        return [
            _event(machine, "process", name, "opened", *times),
            _event(machine, "process", name, "closed", times[0], end * HOUR_NS),
        ]

    events = [
        *incident("a", "1", 2, 3, 5),  # overlaps nothing
        *incident("a", "2", 10, 11, 14),  # opens in the first fault
        *incident("b", "3", 18, 19, 40),  # was open before the second one
        _event("b", "drift", "4", "opened", 20 * HOUR_NS, 21 * HOUR_NS),
    ]
    run = _run({"a": [2, 10, 30], "b": [20]}, 48, events)
    faults = [
        Event("a", "spike", 10 * HOUR_NS, 12 * HOUR_NS),
        Event("b", "drift", 30 * HOUR_NS, 32 * HOUR_NS),
        Event("b", "stuck", 45 * HOUR_NS, 46 * HOUR_NS),
    ]
    clear = np.array([True, True, False])
    day, next_day = (Period("", d * DAY_NS, (d + 1) * DAY_NS) for d in range(2))
    first, second = count(run, faults, clear, [day, next_day], SPEC)
    assert first == Count(
        days=2.0,
        false=1,
        drifts=1,
        windows=48 - 2,
        alarms=2,
        faults=1,
        found=1,
        told=1,
        clear=1,
        clear_found=1,
        clear_told=1,
    )
    assert (second.faults, second.found, second.told) == (2, 1, 0)
    assert (second.clear, second.clear_found) == (1, 1)
    assert (second.windows, second.alarms) == (48 - 3, 1)
    assert Count.pooled([first, second]).false == 1
    assert by_kind(run, faults, clear) == {"drift": (1, 1), "spike": (1, 1), "stuck": (0, 0)}


def test_a_fault_is_drowned_where_its_machine_was_in_alarm_for_half_of_the_day_before() -> None:
    run = _run({"a": [*range(12)], "b": [*range(11)]}, 48, [])
    faults = [Event(m, "spike", h * HOUR_NS, 50 * HOUR_NS) for m in "ab" for h in (24, 25)]
    assert drowned(run, faults).tolist() == [True, False, False, False]


def test_phases_cut_at_each_change_and_three_days_after_it() -> None:
    source = PLAN.source(1)
    found = phases(source)
    assert [(p.since, p.until) for p in found] == [
        (source.at(a), source.at(b))
        for a, b in ((14, 29.4), (29.4, 32.4), (32.4, 44.6), (44.6, 47.6), (47.6, 60))
    ]
    assert [p.name for p in found if "settled" in p.name] == [
        "change 1 settled",
        "change 2 settled",
    ]
    assert [len({w.until - w.since for w in part}) for part in (weeks(source)[:-1],)] == [1]


# ---------------------------------------------------------------------- the operator


def _case(name: str, machine: str, started: int, ended: int | None = None) -> Case:
    return Case(name * 16, machine, "process", started, ended)


def test_the_operator_calls_the_earliest_open_incident_since_a_change_the_new_normal() -> None:
    cases = {
        name: _case(name, machine, *times)
        for name, machine, times in (
            ("a", "m1", (50, None)),  # open since before the change
            ("b", "m1", (102, 110)),  # closed
            ("c", "m3", (105, None)),
            ("d", "m2", (105, None)),
        )
    }
    says = AfterChanges([100], 20, 10)
    assert says(119, cases) == []
    assert says(120, {"a": cases["a"]}) == []
    (label,) = says(130, cases)
    assert (label.incident_id, label.new_normal) == ("d" * 16, "group")
    assert label.labelled_at == rfc3339(130)
    assert says(140, cases) == []
    only = AfterChanges([100], 20, 10, new_normal=False)(120, cases)
    assert [(one.machine_id, one.label, one.new_normal) for one in only] == [
        ("m2", "normal", "no"),
        ("m3", "normal", "no"),
    ]


def test_the_operator_speaks_once_of_every_incident_that_is_over_and_overlaps_a_span() -> None:
    says = OfSpans("anomaly", [Event("m1", "spike", 10, 20)])
    cases = {
        "a": _case("a", "m1", 15),
        "b": _case("b", "m2", 15, 18),
        "c": _case("c", "m1", 20, 30),
    }
    assert says(25, cases) == []
    cases["a"].ended_at = 25
    (label,) = says(30, cases)
    assert (label.incident_id, label.label, label.ended_at) == ("a" * 16, "anomaly", rfc3339(25))
    assert says(40, cases) == []


# ---------------------------------------------------------------------- what is learned


def test_a_tenth_of_the_history_is_out_of_order_and_nothing_else() -> None:
    plan = Plan(machines=1, days=14, history_days=7, season_sd=0.0, changes=())
    source = plan.source(5)
    spec = WindowSpec.from_config(plan.config(5, 1.0).windows)
    clean, poisoned = windows(source, spec)
    differs = ((clean.values != poisoned.values) & ~np.isnan(clean.values)).any(axis=(1, 2))
    early = clean.start + spec.window_ns <= source.until
    assert not differs[~early].any()
    assert 0.5 * SHARE < differs[early].mean() < 2 * SHARE
    faulty = overlap(clean, source.events(), spec)
    assert faulty.any()
    assert not faulty[early].any()


# ---------------------------------------------------------------------- what is printed


def _found() -> Found:
    """Return what would hold every target."""
    good = Count(days=100, false=100, windows=9, faults=9, found=9, clear=9, clear_found=9)
    names = [phase.name for phase in phases(PLAN.source(0))]
    worth = Worth([good], [good] * len(names), {"spike": (9, 9)}, (0, 0))
    asked = "half of what machine-01 showed ... stream-ad label ID normal --new-normal"
    season = Seasons(
        ["week 1"],
        names,
        dict.fromkeys(RUNS, worth),
        {WITH: Trainings(9, 9, 2, []), WITHOUT: Trainings(9, 9, 0, [])},
        Trainings(2, 0, 0, [asked]),
    )
    ramps = [Ramp(t, s, 1, drift=True, static_score=9, refits=3) for t in TOUCHED for s in REFITTED]
    hears = Heard(0.05, [1.0])
    kinds = ("before", "after", "all of it learned", "nobody feeds it")
    met, missed = Met(10, 9, 10, 9), Met(10, 1, 10, 1)
    found = Found()
    for part, result in {
        "seasons": season,
        "ramps": Refitted(ramps, ramps),
        "mixed": {ROBUST: Mixed(0.9, 0.89)},
        "crafted": Crafted(dict.fromkeys(kinds, hears), 1.0, 1, Trainings(3, 2, 0, [])),
        "normal": Effect(met, {LABELLED: missed, UNLABELLED: met}, {}, 3, 0.1),
        "anomalies": Effect(missed, {LABELLED: met, UNLABELLED: missed}, {}, 3, 0.1),
    }.items():
        found.put(part, 100, result)
    return found


def test_targets_are_the_issues() -> None:
    assert set(WHOLE) == {"seasons", "ramps", "mixed", "crafted", "normal", "anomalies"}
    judged = list(figures(_found(), 2))
    targets = {f.name: (f.target, f.bound) for f in judged if f.target is not None}
    assert [f.name for f in judged if not f.held] == []
    for change in ("change_1_settled", "change_2_settled"):
        assert targets[f"{change}.expected"] == (50, "at least")
        assert targets[f"{change}.over_asked"] == (0.5, "at least")
        assert targets[f"{change}.over_asked.at_most"] == (2.0, "at most")
    assert targets["recall.gained"] == (0.0, "at least")
    assert targets["benign.drift_incidents"] == (0, "exactly")
    assert targets["new_normal.accepted"] == (2, "exactly")
    assert targets["slow_fault.told"] == (1.0, "at least")
    assert targets["mixed.ncae_joined.cost"] == (2.0, "at most")


def test_a_slow_fault_that_retrains_swallowed_is_missed() -> None:
    found = _found()
    (whole,) = found.ramps.values()
    swallowed = [replace(ramp, alarms=0.1) if ramp.slope == 2 else ramp for ramp in whole.often]
    found.put("ramps", 100, Refitted(whole.never, swallowed))
    assert "slow_fault.told" in {f.name for f in figures(found, 2) if not f.held}


def test_drift_incidents_count_as_benign_outside_of_a_change_only() -> None:
    found = _found()
    (season,) = found.seasons.values()
    good = season.worth[WITH]
    noisy = [replace(good.phases[0], drifts=number + 1) for number in range(5)]
    worth = {**season.worth, WITH: good._replace(phases=noisy)}
    found.put("seasons", 100, replace(season, worth=worth))
    by_name = {f.name: f.value for f in figures(found, 2)}
    assert by_name["benign.drift_incidents"] == 1 + 3 + 5


def test_the_drawing_has_a_line_for_each_run_in_each_panel() -> None:
    lines = {"one": [1.0, np.nan, 3.0], "two & more": [0.0, 1.0, 2.0]}
    text = draw([Panel("A < B", 4.0, lines, 1.0), Panel("C", 4.0, lines)], [0, 7, 14, 20], {"x": 9})
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}circle")) == 2 * (2 + 3)
    thick = [p for p in root.findall(f"{space}path") if p.get("stroke-width") == "2"]
    assert len(thick) == 2 * 2 + 2  # and the legend
    assert "asked" in {node.text for node in root.findall(f"{space}text")}


def test_a_quick_run_keeps_what_is_right_or_wrong(tmp_path: Path) -> None:
    json, svg = tmp_path / "figures.json", tmp_path / "figure.svg"
    assert retraining.main(["--quick", "--json", str(json), "--figure", str(svg)]) == 0
    figures = orjson.loads(json.read_bytes())["figures"]
    assert figures["new_normal.accepted"] == len(QUICK_PLAN.changes) == 1
    assert figures["new_normal.refused"] >= 1
    assert figures["slow_fault.told"] == 1
    assert figures["change_1_settled.expected"] > 0
    root = ET.fromstring(svg.read_text())
    assert NEVER in {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
