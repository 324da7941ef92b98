"""The alarm line keeps its budget where the calibration supports it, and says so where not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import norm

from stream_ad.alerting import AlertState, Details, Rules, WindowVerdict, step
from stream_ad.config import AlarmConfig
from stream_ad.detector.calibration import DAY, Calibration, autocorrelation_time
from stream_ad.detector.line import AlarmLine
from stream_ad.errors import NotEnoughHistory

MINUTE = 60 * 10**9
PER_DAY = DAY // MINUTE


def stream(rng: np.random.Generator, n: int, correlation: float = 0.0) -> np.ndarray:
    """Scores that are exponential one by one and remember the last one (Gaussian AR(1))."""
    noise = rng.normal(size=n) * np.sqrt(1 - correlation**2)
    return np.asarray(-norm.logsf(lfilter([1.0], [1.0, -correlation], noise)))


def calibration(raw: np.ndarray | list[float], window: int = 1) -> Calibration:
    n = len(raw)
    start = np.arange(n, dtype=np.int64) * MINUTE
    machines = np.array(["m"] * n, object)
    return Calibration(machines, start, np.array(raw, float), MINUTE, window * MINUTE)


def incidents_per_day(raw: np.ndarray, line: float, alarm: AlarmConfig) -> float:
    """Count what the real state machine opens."""
    rules, state, opened = Rules(alarm, MINUTE, ()), AlertState(), 0
    for i, high in enumerate((raw > line).tolist()):
        verdict = WindowVerdict(
            "m",
            i * MINUTE,
            (i + 1) * MINUTE,
            scored=True,
            alarm=high,
            score=2.0,
            explain=lambda: Details([], [], []),
        )
        opened += sum(event.event == "opened" for _, event in step(state, verdict, rules).events)
    return opened / (len(raw) / PER_DAY)


def test_days_and_independent_windows_by_hand() -> None:
    # equal scores know no correlation: six hops of a minute hold three windows of two
    normal = calibration([1.0] * 6, window=2)
    assert normal.days == 6 / 1440
    assert normal.independent == 3.0


def test_independent_windows_add_up_over_machines_in_any_order() -> None:
    rng = np.random.default_rng(0)
    one, two = stream(rng, 500, 0.9), stream(rng, 300)
    machine = np.array(["a"] * 500 + ["b"] * 300, object)
    start = np.concatenate([np.arange(500), np.arange(300)]) * MINUTE
    order = rng.permutation(800)
    raw = np.concatenate([one, two])[order]
    both = Calibration(machine[order], start[order], raw, MINUTE, MINUTE)
    parts = calibration(one).independent + calibration(two).independent
    assert both.independent == pytest.approx(parts)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_autocorrelation_time_of_a_gaussian_ar1_is_that_of_its_ranks(correlation: float) -> None:
    raw = stream(np.random.default_rng(1), 100_000, correlation)
    lags = np.arange(1, 200)
    spearman = 6 / np.pi * np.arcsin(correlation**lags / 2)  # Pearson 1907
    expected = 1 + 2 * spearman.sum()
    assert autocorrelation_time(np.arange(len(raw)), raw) == pytest.approx(expected, rel=0.06)


def test_autocorrelation_across_a_hole_counts_at_its_true_distance() -> None:
    rng = np.random.default_rng(2)
    raw = stream(rng, 60_000, 0.8)
    kept = rng.random(60_000) < 0.7
    holes = autocorrelation_time(np.flatnonzero(kept), raw[kept])
    assert holes == pytest.approx(autocorrelation_time(np.arange(60_000), raw), rel=0.08)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3)])
def test_a_supported_budget_is_kept_within_a_factor_of_two(
    correlation: float, m: int, n: int
) -> None:
    alarm = AlarmConfig(m=m, n=n, budget_per_machine_day=2.0)
    for seed in (11, 12, 13):
        rng = np.random.default_rng(seed)
        line = AlarmLine.for_budget(calibration(stream(rng, 14 * PER_DAY, correlation)), alarm)
        assert line.budget_supported
        achieved = incidents_per_day(stream(rng, 60 * PER_DAY, correlation), line.line, alarm)
        assert 1.0 < achieved < 4.0
        assert line.expected_per_day(line.level) == pytest.approx(2.0, rel=1e-6)


def test_a_budget_beyond_the_counted_time_is_met_on_average() -> None:
    # half an incident per calibration: single lines scatter, their geometric mean does not
    alarm = AlarmConfig(budget_per_machine_day=0.1)
    ratios = []
    for seed in range(8):
        rng = np.random.default_rng(100 + seed)
        line = AlarmLine.for_budget(calibration(stream(rng, 5 * PER_DAY)), alarm)
        assert line.budget_supported
        high = norm.logsf(norm.isf(np.exp(-line.line)))  # log p of one window
        ratios.append(2 * np.exp(2 * high) * PER_DAY / 0.1)  # two of three, rare alarms
    assert 0.5 < np.exp(np.mean(np.log(ratios))) < 2


def test_the_line_is_never_rarer_than_the_floor_and_says_so() -> None:
    rng = np.random.default_rng(3)
    normal = calibration(stream(rng, 2 * PER_DAY), window=10)
    alarm = AlarmConfig(m=1, n=1, budget_per_machine_day=0.001, max_extrapolation=10)
    line = AlarmLine.for_budget(normal, alarm)
    floor = 1 / (10 * normal.independent)
    assert not line.budget_supported
    assert line.p_line == pytest.approx(floor, rel=1e-9)
    assert line.supported_budget == pytest.approx(line.expected_per_day(line.level))
    assert 0.001 < line.supported_budget < 1
    # asked for what it supports, it stands at the same place and supports it
    again = AlarmLine.for_budget(
        normal,
        AlarmConfig(m=1, n=1, budget_per_machine_day=line.supported_budget * (1 + 1e-9)),
    )
    assert again.budget_supported
    assert again.line == pytest.approx(line.line, rel=1e-6)


@pytest.mark.parametrize("days", [0.03, 2.0], ids=["counted", "fitted"])
def test_needed_days_are_enough_and_much_less_is_not(days: float) -> None:
    alarm = AlarmConfig(m=1, n=1, close_after=1, budget_per_machine_day=0.05)
    needed = []
    for seed in range(5):
        raw = stream(np.random.default_rng(seed), int(days * PER_DAY))
        line = AlarmLine.for_budget(calibration(raw, window=5), alarm)
        assert not line.budget_supported
        assert line.needed_days is not None
        assert line.needed_days > days
        needed.append(line.needed_days)
    for factor, supported in ((1.6, True), (0.4, False)):
        n = int(factor * np.median(needed) * PER_DAY)
        raw = stream(np.random.default_rng(77), n)
        line = AlarmLine.for_budget(calibration(raw, window=5), alarm)
        assert line.budget_supported is supported


def test_line_by_rate_alarms_at_that_rate() -> None:
    rng = np.random.default_rng(5)
    line = AlarmLine.for_rate(calibration(stream(rng, 20_000)), 0.005, 10)
    assert line.budget_supported
    assert line.p_line == pytest.approx(0.005, rel=0.01)
    assert line.line == pytest.approx(-np.log(0.005), rel=0.1)


def test_line_by_rate_from_few_windows_by_hand() -> None:
    line = AlarmLine.for_rate(calibration([1.0, 5.0, 2.0, 4.0, 3.0]), 0.34, 10)
    assert (line.median, line.level) == (3.0, 4.0)
    assert line.line == pytest.approx(3 + 1.0 * (1 + 2 / 5))  # five independent windows
    assert line.p_line == pytest.approx(2 / 6)
    np.testing.assert_allclose(
        line.p_value([0.0, 4.0, 4.5, 5.0, 6.0]), np.array([6, 3, 2, 2, 1]) / 6
    )
    np.testing.assert_allclose(line.static_score([1.6, 3.0, 4.4, 17.0]), [-1.0, 0, 1, 10])


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 3), st.floats(0.2, 2.0))
def test_a_larger_budget_never_raises_the_line(seed: int, m: int, weight: float) -> None:
    raw = np.random.default_rng(seed).exponential(size=700) ** weight
    lines = []
    for budget in (0.1, 1.0, 5.0, 30.0, 200.0, 1e4):
        alarm = AlarmConfig(m=m, n=3, budget_per_machine_day=budget)
        lines.append(AlarmLine.for_budget(calibration(np.round(raw, 2)), alarm).line)
    assert np.all(np.diff(lines) <= 0)


def test_p_never_rises_with_the_score_and_stops_at_the_floor() -> None:
    line = AlarmLine.for_rate(calibration(stream(np.random.default_rng(6), 3_000)), 0.01, 10)
    p = line.p_value(np.linspace(-5, 60, 5_000))
    assert np.all(np.diff(p) <= 0)
    assert p[0] == 1.0
    assert p[-1] == line.p_floor == 1 / (10 * line.independent)
    assert np.isnan(line.p_value([np.nan])[0])
    assert line.p_value([np.inf])[0] == line.p_floor


def test_alarms_have_a_p_value_at_or_below_that_of_the_line() -> None:
    rng = np.random.default_rng(7)
    for n in (5, 40, 3_000):
        line = AlarmLine.for_budget(calibration(stream(rng, n)), AlarmConfig())
        raw = stream(rng, 20_000)
        assert np.all(line.p_value(raw[raw > line.line]) <= line.p_line * (1 + 1e-12))


@pytest.mark.parametrize(
    "raw",
    [
        [0.0],
        [3.0, 3.0],
        [1.0, 2.0],
        [0.5] * 300,
        [0.0] * 299 + [1.0],
        [0.0] * 200 + [1.0] * 100,
        [0.0] * 290 + [1e30] * 10,
        np.geomspace(1e-200, 1e200, 400),
        [1.0] * 50 + [np.inf] * 2,
        (np.random.default_rng(0).pareto(0.4, 400)),
        (np.random.default_rng(0).uniform(size=400)),
        (-1e9 + np.random.default_rng(0).uniform(size=400)),
    ],
    ids=[
        "one",
        "two equal",
        "two",
        "all equal",
        "one high",
        "two values",
        "1e30",
        "400 decades",
        "overflowed",
        "no mean",
        "bounded",
        "large and narrow",
    ],
)
@pytest.mark.parametrize("budget", [1e-6, 1.0, 1e6])
def test_any_calibration_gives_a_line_above_the_median(
    raw: list[float] | np.ndarray, budget: float
) -> None:
    normal = calibration(raw)
    line = AlarmLine.for_budget(normal, AlarmConfig(budget_per_machine_day=budget))
    assert np.isfinite(line.line)
    assert line.line > line.median
    assert line.line - line.median >= 0.999e-6 * abs(line.median)
    assert 0 < line.p_floor <= line.p_line <= 1
    assert np.isfinite(line.supported_budget)
    assert (line.needed_days is None) == line.budget_supported
    assert np.all(np.isfinite(line.p_value(raw)))
    assert np.all(np.diff(line.p_value(np.sort(raw))) <= 0)


def test_two_machines_do_not_share_an_incident() -> None:
    """A high window at the end of one machine and at the start of the next are not two of two."""
    raw = np.zeros(200)
    raw[[10, 11]], raw[[99, 100]] = 5.0, 9.0
    machine = np.array(["a"] * 100 + ["b"] * 100, object)
    start = np.concatenate([np.arange(100), np.arange(100)]) * MINUTE
    alarm = AlarmConfig(m=2, n=2, budget_per_machine_day=10)
    apart = AlarmLine.for_budget(Calibration(machine, start, raw, MINUTE, MINUTE), alarm)
    together = AlarmLine.for_budget(calibration(raw), alarm)
    days = 200 / PER_DAY
    assert apart.incidents is not None
    assert together.incidents is not None
    assert apart.incidents.at(5.0) == 1 / days
    assert together.incidents.at(5.0) == 2 / days


def test_a_budget_that_any_line_keeps_does_not_lower_the_line_into_permanent_alarm() -> None:
    raw = stream(np.random.default_rng(10), 5_000)
    alarm = AlarmConfig(budget_per_machine_day=1e6)
    line = AlarmLine.for_budget(calibration(raw), alarm)
    assert line.budget_supported
    assert 0.05 < line.p_line < 0.4


def test_without_windows_or_with_a_nan_there_is_no_line() -> None:
    with pytest.raises(NotEnoughHistory, match="held-out"):
        calibration([])
    with pytest.raises(ValueError, match="NaN"):
        calibration([1.0, np.nan])


def test_card_and_arrays_give_the_same_line_back() -> None:
    rng = np.random.default_rng(8)
    normal = calibration(stream(rng, 2_000))
    for line in (
        AlarmLine.for_budget(normal, AlarmConfig()),
        AlarmLine.for_budget(calibration([1.0, 2.0]), AlarmConfig()),
        AlarmLine.for_rate(normal, 0.01, 10),
    ):
        card = json.loads(json.dumps(line.to_card(), allow_nan=False))
        again = AlarmLine.from_card(card, line.arrays())
        raw = stream(rng, 500)
        np.testing.assert_array_equal(again.p_value(raw), line.p_value(raw))
        np.testing.assert_array_equal(again.static_score(raw), line.static_score(raw))
        assert again.to_card() == line.to_card()
        assert again.expected_per_day(4.0) == line.expected_per_day(4.0)


def test_bits_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(9)
    line = AlarmLine.for_budget(calibration(stream(rng, 5_000)), AlarmConfig())
    raw = (2 * stream(rng, 301)).astype(np.float32)
    p, score = line.p_value(raw), line.static_score(raw)
    for size in (1, 2, 3, 7, 64, 300):
        cuts = np.split(raw, range(size, len(raw), size))
        np.testing.assert_array_equal(np.concatenate([line.p_value(c) for c in cuts]), p)
        np.testing.assert_array_equal(np.concatenate([line.static_score(c) for c in cuts]), score)
    np.testing.assert_array_equal(line.p_value(np.repeat(raw, 2)[::2]), p)
