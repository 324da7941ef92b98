"""Incidents open, change and close by the rule, under ids that a replay gives again."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.alerting import (
    AlertState,
    Details,
    Findings,
    Rules,
    WindowVerdict,
    ce_id,
    close_all,
    step,
)
from stream_ad.config import AlarmConfig, WindowsConfig
from stream_ad.records import (
    ChannelEvidence,
    IncidentEvent,
    Neighbour,
    SensorEvidence,
    incident_id,
)
from stream_ad.windows.spec import NS, WindowSpec, rfc3339

HOP = 60 * NS
NAMES = ("temp", "flow", "load")


def rules(**alarm: object) -> Rules:
    return Rules(AlarmConfig.model_validate(alarm), HOP, NAMES, "presses")


def window(place: int, score: float | None, leader: str = "temp", **more: object) -> WindowVerdict:
    """Return the window ``place`` hops after the epoch; a score of None: not scored."""
    others = [name for name in NAMES if name != leader]
    shares = {leader: 0.6, others[0]: 0.3, others[1]: 0.1}

    def explain() -> Details:
        return Details(
            [
                SensorEvidence(name=name, unit="C", share=share, expected=place, actual=score)
                for name, share in shares.items()
            ],
            [ChannelEvidence(channel="error", share=1.0)],
            [Neighbour(machine_id="m", start="1970-01-01T00:00:00Z", distance=float(place))],
        )

    value = 0.0 if score is None else score
    plain = {
        "machine_id": "m",
        "start": place * HOP,
        "end": (place + 1) * HOP,
        "scored": score is not None,
        "alarm": value > 1,
        "score": value,
        "raw": 10 * value,
        "line": 10.0,
        "p": 0.01 / max(value, 1),
        "sensor_share": np.array([shares[name] for name in NAMES]),
        "explain": explain,
        "model_id": "default",
        "model_version": 7,
    }
    return WindowVerdict(**(plain | more))  # type: ignore[arg-type]


def run(
    verdicts: list[WindowVerdict], rules: Rules, state: AlertState | None = None
) -> list[tuple[int, IncidentEvent]]:
    state = AlertState() if state is None else state
    return [event for verdict in verdicts for event in step(state, verdict, rules).events]


def told(events: list[tuple[int, IncidentEvent]]) -> list[tuple[str, str]]:
    return [(event.event, event.window_start) for _, event in events]


def at(place: int) -> str:
    return rfc3339(place * HOP)


# ------------------------------------------------------------------ the rule against an oracle


@dataclass
class Oracle:
    """The whole sequence at once, by the words of the contract."""

    m: int
    n: int
    close_after: int
    opened: list[tuple[int, int]] = field(default_factory=list)  # (window, started at)
    closed: list[int] = field(default_factory=list)

    def walk(self, windows: list[tuple[int, bool, bool]]) -> Oracle:
        """Windows are (place, scored, alarm)."""
        seen: list[tuple[int, bool]] = []  # every scored window since the last close
        is_open = False
        for place, scored, alarm in windows:
            if not scored:
                continue
            seen.append((place, alarm))
            if not is_open:
                alarms = [p for p, a in seen if a and place - self.n < p <= place]
                if len(alarms) >= self.m:
                    is_open = True
                    self.opened.append((place, min(alarms)))
            elif len(seen) >= self.close_after and not any(a for _, a in seen[-self.close_after :]):
                is_open, seen = False, []
                self.closed.append(place)
        return self


@st.composite
def rule_and_windows(draw: st.DrawFn) -> tuple[Rules, list[tuple[int, bool, bool]]]:
    n = draw(st.integers(1, 5))
    rule = rules(m=draw(st.integers(1, n)), n=n, close_after=draw(st.integers(1, 5)))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3, 9]), max_size=40))
    flags = st.tuples(st.sampled_from([True, True, True, False]), st.booleans())
    places = np.cumsum(steps).tolist()
    return rule, [(p, s, s and a) for p in places for s, a in [draw(flags)]]


def verdict_of(place: int, scored: bool, alarm: bool) -> WindowVerdict:
    return window(place, (1.5 if alarm else 0.5) if scored else None)


@given(rule_and_windows())
@settings(max_examples=300)
def test_opens_and_closes_as_the_contract_says(
    case: tuple[Rules, list[tuple[int, bool, bool]]],
) -> None:
    rule, windows = case
    alarm = rule.alarm
    oracle = Oracle(alarm.m, alarm.n, alarm.close_after).walk(windows)
    events = [event for _, event in run([verdict_of(*w) for w in windows], rule)]
    opened = [(e.window_start, e.started_at) for e in events if e.event == "opened"]
    assert opened == [(at(place), at(start)) for place, start in oracle.opened]
    assert [e.window_start for e in events if e.event == "closed"] == [
        at(place) for place in oracle.closed
    ]
    assert len({event.incident_id for event in events}) == len(oracle.opened)


@st.composite
def life(draw: st.DrawFn) -> list[WindowVerdict]:
    """Windows with any scores, leaders, holes and findings."""
    verdicts, place = [], 0
    for _ in range(draw(st.integers(0, 30))):
        place += draw(st.sampled_from([1, 1, 1, 2, 7]))
        score = draw(st.sampled_from([None, 0.1, 0.5, 1.1, 1.1, 1.7, 2.1, 3.9, 4.3, 11.0]))
        bad = draw(st.sampled_from([None, None, 0.25, 0.5, 1.0]))
        leader = draw(st.sampled_from(NAMES))
        quality = None if bad is None else findings(leader, bad)
        verdicts.append(window(place, score, draw(st.sampled_from(NAMES)), quality=quality))
    return verdicts


def findings(leader: str, share: float) -> Findings:
    sensor = SensorEvidence(name=leader, unit=None, share=1.0, expected=None, actual=850.5)
    return Findings(share, (sensor,), (ChannelEvidence(channel="range", share=1.0),))


LEVELS = st.sampled_from(["info", "warning", "error", "critical"])


@given(life(), st.data(), LEVELS, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=120)
def test_saving_and_loading_at_any_point_changes_nothing(
    verdicts: list[WindowVerdict], data: st.DataObject, least: str, m: int, close_after: int
) -> None:
    rule = rules(m=m, n=3, close_after=close_after, min_severity=least)
    whole = run(verdicts, rule)
    parts, state = [], AlertState()
    for verdict in verdicts:
        if data.draw(st.booleans()):
            state = AlertState.from_dict(json.loads(json.dumps(state.to_dict())))
        if data.draw(st.booleans()):
            state = AlertState.from_dict(orjson.loads(orjson.dumps(state.to_dict())))
        parts += step(state, verdict, rule).events
    assert parts == whole


@given(life(), LEVELS)
@settings(max_examples=120)
def test_every_told_life_is_opened_changed_and_closed_once_in_numbered_events(
    verdicts: list[WindowVerdict], least: str
) -> None:
    rule = rules(m=2, n=3, close_after=2, min_severity=least)
    state = AlertState()
    events = run(verdicts, rule, state) + close_all(state, "m", "reset", rule)
    lives: dict[str, list[tuple[int, IncidentEvent]]] = {}
    for number, event in events:
        lives.setdefault(event.incident_id, []).append((number, event))
    for told_life in lives.values():
        assert [number for number, _ in told_life] == list(range(1, len(told_life) + 1))
        kinds = [event.event for _, event in told_life]
        assert kinds == ["opened", *["updated"] * (len(kinds) - 2), "closed"]
        for (_, before), (_, after) in pairwise(told_life):
            changed = before.severity != after.severity or before.sensors[:1] != after.sensors[:1]
            assert changed or after.event != "updated"
            assert (before.score or 0) <= (after.score or 0)
    assert not state.open
    assert not state.recent


# ------------------------------------------------------------------ by hand


def test_two_of_three_opens_at_the_second_alarm_and_starts_at_the_first() -> None:
    rule = rules(m=2, n=3, close_after=2)
    events = run([window(i, s) for i, s in enumerate([0, 1.2, 0, 1.5, 0, 0])], rule)
    assert told(events) == [("opened", at(3)), ("closed", at(5))]
    (_, opened), (_, closed) = events
    assert opened.started_at == closed.started_at == at(1)
    assert opened.incident_id == incident_id("m", "process", at(1))
    assert [ce_id(event.incident_id, number) for number, event in events] == [
        f"{opened.incident_id}-1",
        f"{opened.incident_id}-2",
    ]
    assert (opened.closed_reason, closed.closed_reason) == (None, "recovered")
    assert (opened.machine_group, opened.model_id, opened.model_version) == (
        "presses",
        "default",
        7,
    )


def test_an_alarm_out_of_reach_of_n_hops_does_not_count() -> None:
    rule = rules(m=2, n=3, close_after=3)
    assert told(run([window(0, 1.5), window(3, 1.5)], rule)) == []
    assert told(run([window(0, 1.5), window(2, 1.5)], rule)) == [("opened", at(2))]


def test_windows_without_score_neither_open_nor_close() -> None:
    rule = rules(m=2, n=4, close_after=2)
    scores = [1.5, None, None, 1.5, 0, None, None, None, 0]
    events = run([window(i, s) for i, s in enumerate(scores)], rule)
    assert told(events) == [("opened", at(3)), ("closed", at(8))]


def test_a_hole_in_time_keeps_an_incident_open() -> None:
    rule = rules(m=1, n=1, close_after=2)
    events = run([window(0, 1.5), window(900, 0), window(5000, 0)], rule)
    assert told(events) == [("opened", at(0)), ("closed", at(5000))]


def test_what_led_to_an_incident_is_used_up_by_it() -> None:
    # windows 0-2 opened the first; after it closed at 3, window 4 alone is one alarm of two
    rule = rules(m=2, n=5, close_after=1)
    scores = [1.5, 1.5, 1.5, 0, 1.5, 1.5]
    events = run([window(i, s) for i, s in enumerate(scores)], rule)
    assert told(events) == [("opened", at(1)), ("closed", at(3)), ("opened", at(5))]
    assert events[2][1].started_at == at(4)


def test_severity_follows_the_highest_score_and_never_falls() -> None:
    rule = rules(m=1, n=1, close_after=9)
    scores = [1.5, 2.0, 2.1, 1.2, 3.0, 4.1, 9.0, 0.3]
    events = run([window(i, s) for i, s in enumerate(scores)], rule)
    assert [(e.event, e.severity, e.score) for _, e in events] == [
        ("opened", "warning", 1.5),
        ("updated", "error", 2.1),
        ("updated", "critical", 4.1),
    ]


def test_severity_bounds_are_those_of_the_config() -> None:
    rule = rules(m=1, n=1, severity={"error": 3.0, "critical": 3.5})
    assert run([window(0, 2.9)], rule)[0][1].severity == "warning"
    assert run([window(0, 3.2)], rule)[0][1].severity == "error"
    assert run([window(0, 3.6)], rule)[0][1].severity == "critical"


def test_events_describe_the_highest_window_and_are_dated_by_their_own() -> None:
    rule = rules(m=2, n=3, close_after=1)
    verdicts = [window(0, 3.0, missing_share=0.1), window(1, 1.5, "flow", missing_share=0.2)]
    (_, opened), (_, closed) = run([*verdicts, window(2, 0.5, missing_share=0.3)], rule)
    assert (opened.score, opened.raw_score, opened.alarm_line) == (3.0, 30.0, 10.0)
    assert opened.p_value == 0.01 / 3
    assert opened.severity == "error"
    assert [s.name for s in opened.sensors] == ["temp", "flow", "load"]
    assert (opened.sensors[0].expected, opened.sensors[0].actual) == (0.0, 3.0)
    assert opened.neighbours is not None
    assert opened.neighbours[0].distance == 0.0
    assert (opened.window_start, opened.window_end) == (at(1), at(2))
    assert (closed.window_start, closed.window_end) == (at(2), at(3))
    assert (opened.missing_share, closed.missing_share) == (0.2, 0.3)


def test_a_high_alarm_that_fell_out_of_memory_does_not_describe_the_incident() -> None:
    rule = rules(m=2, n=2)
    events = run([window(0, 9.0), window(2, 1.5), window(3, 1.2)], rule)
    assert [(e.score, e.severity, e.started_at) for _, e in events] == [(1.5, "warning", at(2))]


def test_another_leading_sensor_is_told_once_it_also_leads_over_time() -> None:
    rule = rules(m=1, n=1, close_after=9)
    one_odd = [window(0, 1.1), window(1, 1.2), window(2, 1.3, "flow")]
    assert [e.event for _, e in run(one_odd, rule)] == ["opened"]
    # sums of temp: .6 .6 .3 .3 .3 -> 2.1; of flow: .3 .3 .6 .6 .6 -> 2.4
    events = run([*one_odd, window(3, 1.2, "flow"), window(4, 1.2, "flow")], rule)
    assert [(e.event, e.sensors[0].name) for _, e in events] == [
        ("opened", "temp"),
        ("updated", "flow"),
    ]


def test_an_incident_below_the_least_severity_is_silent_until_it_rises() -> None:
    rule = rules(m=2, n=2, close_after=1, min_severity="error")
    state = AlertState()
    results = [step(state, window(i, s), rule) for i, s in enumerate([1.5, 1.5, 1.5, 2.5, 1.1, 0])]
    assert [[e.event for _, e in r.events] for r in results] == [
        [], [], [], ["opened"], [], ["closed"],
    ]  # fmt: skip
    (number, opened) = results[3].events[0]
    assert (number, opened.started_at, opened.window_start) == (1, at(0), at(3))
    name = opened.incident_id
    assert [r.incident_id for r in results] == [None, None, None, name, name, name]


def test_a_silent_incident_closes_without_a_word() -> None:
    rule = rules(m=1, n=1, close_after=1, min_severity="critical")
    state = AlertState()
    assert run([window(0, 1.5), window(1, 0)], rule, state) == []
    assert state == AlertState()


def test_closing_for_another_reason_names_it_and_forgets_alarms() -> None:
    rule = rules(m=2, n=3)
    state = AlertState()
    run([window(0, 1.5), window(1, 2.5, quality=findings("flow", 0.5))], rule, state)
    events = close_all(state, "m", "moved", rule)
    assert [(e.kind, e.event, e.closed_reason, e.window_start) for _, e in events] == [
        ("data_quality", "closed", "moved", at(1)),
        ("process", "closed", "moved", at(1)),
    ]
    assert (state.open, state.recent) == ({}, [])
    run([window(2, 1.5)], rule, state)
    assert close_all(state, "m", "reset", rule) == []
    assert run([window(3, 1.5)], rule, state) == []


def test_bad_data_open_an_incident_of_their_own_at_the_first_window() -> None:
    rule = rules(m=2, n=3, close_after=2)
    bad = [window(0, None, quality=findings("flow", 0.25)), window(1, None)]
    events = run([*bad, window(2, None)], rule)
    assert told(events) == [("opened", at(0)), ("closed", at(2))]
    opened = events[0][1]
    assert opened.incident_id == incident_id("m", "data_quality", at(0))
    assert (opened.kind, opened.severity) == ("data_quality", "info")
    assert opened.sensors[0].actual == 850.5
    assert opened.evidence == [ChannelEvidence(channel="range", share=1.0)]
    numbers = (opened.score, opened.raw_score, opened.alarm_line, opened.p_value)
    assert numbers == (None, None, None, None)
    assert (opened.neighbours, opened.model_id, opened.model_version) == (None, None, None)


def test_bad_data_tell_when_another_sensor_is_worse() -> None:
    rule = rules(close_after=2)
    share = [("flow", 0.25), ("flow", 0.25), ("load", 0.5), ("load", 0.5), ("load", 0.5)]
    verdicts = [window(i, None, quality=findings(*s)) for i, s in enumerate(share)]
    assert [(e.event, e.sensors[0].name, e.window_start) for _, e in run(verdicts, rule)] == [
        ("opened", "flow", at(0)),
        ("updated", "load", at(4)),
    ]


def test_bad_data_are_told_before_the_process_and_below_the_least_severity_not_at_all() -> None:
    both = [window(0, 1.5, quality=findings("flow", 0.25))]
    assert [e.kind for _, e in run(both, rules(m=1, n=1))] == ["data_quality", "process"]
    strict = rules(m=1, n=1, min_severity="warning")
    assert [e.kind for _, e in run(both, strict)] == ["process"]


def test_only_windows_that_may_describe_an_incident_are_explained() -> None:
    asked: list[int] = []

    def counting(place: int, score: float) -> WindowVerdict:
        def explain() -> Details:
            asked.append(place)
            return Details([], [], [])

        return window(place, score, explain=explain)

    run([counting(i, s) for i, s in enumerate([0.5, 1.5, 1.2, 1.4, 1.6, 0.2])], rules(m=2, n=3))
    assert asked == [1, 2, 4]


def test_rules_take_hop_and_names_from_the_window_grid() -> None:
    spec = WindowSpec.from_config(WindowsConfig(sensors=["a", "b"], period_s=2, length=8, hop=4))
    rule = Rules.of(AlarmConfig(n=3), spec, "presses")
    assert (rule.hop_ns, rule.memory_ns, rule.sensors) == (8 * NS, 24 * NS, ("a", "b"))


def test_state_with_an_open_incident_stays_below_four_kilobytes() -> None:
    names = tuple(f"line-3/station-{i:02d}/bearing-temperature" for i in range(5))
    sensors = [
        SensorEvidence(name=n, unit="mm/s", share=1 / 7, expected=1 / 3, actual=-2e30 / 3)
        for n in names
    ]
    near = [Neighbour(machine_id="press-1", start=at(i), distance=1 / 3) for i in range(5)]
    why = Details(sensors, [ChannelEvidence(channel="density", share=1 / 3)] * 3, near)
    quality = Findings(1 / 3, tuple(sensors), (ChannelEvidence(channel="stuck", share=1 / 3),) * 3)
    state, rule = AlertState(), Rules(AlarmConfig(), HOP, names)
    share = np.full(5, 1 / 5)
    for i in range(50):
        verdict = window(i, 1 + i / 3, explain=lambda: why, sensor_share=share, quality=quality)
        step(state, verdict, rule)
    assert len(state.open) == 2
    assert len(orjson.dumps(state.to_dict())) < 4_000


def test_ids_fit_the_record_and_no_two_incidents_share_one() -> None:
    rule = rules(m=1, n=1, close_after=1)
    events = run([window(i, 1.5 * (i % 2)) for i in range(40)], rule)
    names = [e.incident_id for _, e in events if e.event == "opened"]
    assert len(set(names)) == len(names) == 20
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


def test_an_ordinary_window_costs_next_to_nothing() -> None:
    state, rule, verdict = AlertState(), rules(), window(0, 0.1)

    def microseconds() -> float:
        begin = time.perf_counter()
        for _ in range(2_000):
            step(state, verdict, rule)
        return (time.perf_counter() - begin) / 2_000 * 1e6

    assert min(microseconds() for _ in range(7)) < 5


@pytest.mark.parametrize("share", [None, np.array([0.2, 0.5, 0.3])])
def test_sensor_shares_may_be_unknown(share: np.ndarray | None) -> None:
    events = run([window(i, 1.5, sensor_share=share) for i in range(2)], rules(m=2, n=3))
    assert [e.event for _, e in events] == ["opened"]
