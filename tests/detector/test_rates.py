"""Incidents counted on held-out scores are those that the alarm rule would have opened."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.alerting import AlertState, Details, Rules, WindowVerdict, step
from stream_ad.config import AlarmConfig
from stream_ad.detector.rates import HeldOut, IncidentRate

HOP = 10


@st.composite
def held_out_scores(draw: st.DrawFn) -> HeldOut:
    n = draw(st.integers(1, 5))
    alarm = AlarmConfig(m=draw(st.integers(1, n)), n=n, close_after=draw(st.integers(1, 5)))
    machine, start, raw = [], [], []
    for number in range(draw(st.integers(1, 3))):
        hops = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=1, max_size=25))
        machine += [number] * len(hops)
        start += (np.cumsum(hops) * HOP).tolist()
        raw += draw(st.lists(st.integers(0, 5), min_size=len(hops), max_size=len(hops)))
    return HeldOut(np.array(machine), np.array(start), np.array(raw, float), alarm, alarm.n * HOP)


def opened_by_the_machine(held_out: HeldOut, line: float) -> list[int]:
    """Walk the real state machine over every machine; rows whose window opened an incident."""
    rules = Rules(held_out.alarm, HOP, ())
    states = [AlertState() for _ in range(int(held_out.machine.max()) + 1)]
    opened = []
    for i, (number, start, raw) in enumerate(
        zip(held_out.machine.tolist(), held_out.start.tolist(), held_out.raw.tolist(), strict=True)
    ):
        verdict = WindowVerdict(
            str(number),
            start,
            start + HOP,
            scored=True,
            alarm=raw > line,
            score=2.0,
            explain=lambda: Details([], [], []),
        )
        result = step(states[number], verdict, rules)
        if any(event.event == "opened" for _, event in result.events):
            opened.append(i)
    return opened


@given(held_out_scores(), st.integers(-1, 5))
@settings(max_examples=300)
def test_counted_incidents_are_those_of_the_state_machine(held_out: HeldOut, line: int) -> None:
    assert held_out.incidents(line)[0].tolist() == opened_by_the_machine(held_out, line)


@given(held_out_scores())
def test_opening_level_is_the_mth_largest_of_the_last_n_hops(held_out: HeldOut) -> None:
    for i, u in enumerate(held_out.opening_levels()):
        seen = [
            held_out.raw[j]
            for j in range(i + 1)
            if held_out.machine[j] == held_out.machine[i]
            and held_out.start[j] > held_out.start[i] - held_out.alarm.n * HOP
        ]
        expected = sorted(seen, reverse=True)[held_out.alarm.m - 1 : held_out.alarm.m]
        assert u == (expected[0] if expected else -np.inf)


@given(held_out_scores(), st.integers(0, 5))
def test_an_incident_reaches_from_its_opening_to_its_last_alarm(
    held_out: HeldOut, line: int
) -> None:
    opened, last = held_out.incidents(line)
    assert np.all(opened <= last)
    assert np.all(last[:-1] < opened[1:])
    assert np.all(held_out.raw[opened] > line)
    assert np.all(held_out.raw[last] > line)


def held_out_of(raw: list[float], **alarm: int) -> HeldOut:
    rules = AlarmConfig(**alarm)
    n = len(raw)
    return HeldOut(np.zeros(n, int), np.arange(n) * HOP, np.array(raw), rules, rules.n * HOP)


def test_rates_by_hand() -> None:
    # single alarms, closed at once: above 9 no incident, above 7 one, above 5 two
    rate = IncidentRate.fit(held_out_of([0, 9, 0, 7, 0, 5, 0], m=1, n=1, close_after=1), 2.0, 7)
    assert rate.levels.tolist() == [9, 7, 5]
    assert rate.rates.tolist() == [0.5, 1.0, 1.5]
    assert [rate.at(x) for x in (10, 9, 8, 7, 5, -3)] == [0.5, 0.5, 1.0, 1.0, 1.5, 1.5]
    assert [rate.where(b) for b in (0.4, 0.5, 0.9, 1.0, 1.5, 99)] == [np.inf, 9, 9, 7, 5, 5]


def test_no_budget_asks_for_a_line_so_low_that_incidents_merge() -> None:
    # above 4 three incidents; above 3 the valleys alarm too and all is one
    rate = IncidentRate.fit(
        held_out_of([0, 0, 0, 0, 0, 5, 4, 5, 4, 5, 3.5], m=1, n=1, close_after=1), 1.0, 11
    )
    assert rate.levels.tolist() == [5, 4]
    assert rate.where(1e9) == 4


def test_rate_never_rises_with_the_line() -> None:
    rng = np.random.default_rng(0)
    rate = IncidentRate.fit(held_out_of(rng.exponential(size=3_000).tolist()), 10.0, 3_000)
    assert rate.tail is not None
    at = [rate.at(x) for x in np.linspace(0, 12, 300)]
    assert np.all(np.diff(at) <= 0)
    lines = [rate.where(b) for b in np.geomspace(1e-4, 1e4, 200)]
    assert np.all(np.diff(lines) <= 0)
