"""The joined scorer: a mean of units, shares that add up, and a way to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.config import SensorConfig, WindowsConfig
from stream_ad.detector import Detector
from stream_ad.detector.artifact import ARRAYS, CARD, WEIGHTS
from stream_ad.detector.bank import Bank
from stream_ad.detector.explanation import blamed
from stream_ad.detector.index import ExactIndex
from stream_ad.detector.joined import Joined
from stream_ad.detector.units import TailUnits
from stream_ad.errors import InputError
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import WindowSpec
from tests.detector.streams import few_steps, spec_of, waves, windows_of

Floats = NDArray[np.float64]
DAY = 86_400 * 10**9
MODELS = ("linear", "ae")


def joined_of(n: int = 60, k: int = 3, cells: int = 1) -> Joined:
    z = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    bank = Bank.build(z, np.ones(n), np.array(["m"] * n, object), np.arange(n), most=n)
    return Joined(bank, ExactIndex(bank.z), k=k, alpha=0.5, cells=cells)


# --- the scorer by itself


@pytest.mark.parametrize(("k", "nearest"), [(1, 1), (3, 1), (10, 3), (30, 10)])
def test_neighbours_are_the_nearest_third_by_what_is_left_out_too(k: int, nearest: int) -> None:
    """The latent's distance and that of the rest, at right angles to it, by Pythagoras."""
    joined, rng = joined_of(k=k, cells=24), np.random.default_rng(1)
    z, error, views = rng.normal(size=(7, 2)).astype(np.float32), rng.random(7), rng.random((7, 3))
    evidence = joined.evidence(z, error, views)
    apart = ((z[:, None].astype(np.float64) - joined.bank.z) ** 2).sum(axis=2)
    whole = np.sqrt(np.sort(apart, axis=1)[:, :nearest] + 24 * error[:, None])
    np.testing.assert_array_equal(evidence[:, :3], views)
    np.testing.assert_allclose(evidence[:, 3], whole.mean(axis=1), rtol=1e-9)


def test_of_a_linear_model_they_are_distances_of_the_windows_themselves() -> None:
    """So where the history lies wholly within its components and the window does not."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))).reshape(200, 4, 2)
    d = Detector("linear", "joined", k=1).fit(x)
    assert d.card["latent_dim"] == 3
    parts, odd = d._fitted(), rng.normal(size=(20, 4, 2)).astype(np.float32)
    far = parts.evidence(odd, None)[:, 3]
    flat, known = (
        parts.scaler.scale(part.astype(np.float32)).reshape(len(part), -1) for part in (odd, x)
    )
    apart = np.linalg.norm(flat[:, None] - known, axis=2).min(axis=1)
    np.testing.assert_allclose(far, apart, rtol=0.05)


def test_the_raw_score_is_the_mean_over_the_lines_each_in_its_units() -> None:
    joined, rng = joined_of(), np.random.default_rng(1)
    normal, odd = rng.exponential(size=(99, 4)), rng.exponential(size=(9, 4)) * [1, 5, 9, 2]
    joined.calibrate(normal)
    lines = [TailUnits.fit(normal[:, i])(odd[:, i]) for i in range(4)]
    np.testing.assert_allclose(joined.join(odd), np.mean(lines, axis=0), rtol=1e-12)


def test_contributions_are_the_units_beyond_those_of_half_of_the_normal() -> None:
    """Of 1 ... 99 half a hundred is at or above 51, one in ten above the 90 % quantile."""
    joined = joined_of()
    joined.calibrate(np.repeat(np.arange(1.0, 100)[:, None], 4, axis=1))
    knee = np.quantile(np.arange(1.0, 100), 0.9)
    parts = joined.contributions(np.array([[1.0, 51.0, 81.0, np.nextafter(knee, 100)]]))
    np.testing.assert_allclose(parts, [[0, 0, np.log10(5 / 2), 1 - np.log10(2)]], atol=1e-9)


def test_an_ordinary_window_scores_about_four_tenths() -> None:
    """The mean of -log10 of a uniform share is 1 / ln 10."""
    joined, rng = joined_of(), np.random.default_rng(1)
    joined.calibrate(rng.exponential(size=(5000, 4)))
    raw = joined.join(rng.exponential(size=(5000, 4)))
    assert raw.mean() == pytest.approx(1 / np.log(10), abs=0.02)


def test_scales_of_the_lines_do_not_matter() -> None:
    rng, scale = np.random.default_rng(1), np.array([0.1, 1, 1e6, 42])
    normal, odd = rng.exponential(size=(99, 4)), 3 * rng.exponential(size=(9, 4))
    plain, scaled = joined_of(), joined_of()
    plain.calibrate(normal)
    scaled.calibrate(normal * scale)
    np.testing.assert_allclose(scaled.join(odd * scale), plain.join(odd), rtol=1e-9)


@pytest.mark.parametrize("n", [1, 4, 99, 3000])
def test_what_was_calibrated_comes_back_bit_by_bit(n: int) -> None:
    joined, again, rng = joined_of(), joined_of(), np.random.default_rng(1)
    joined.calibrate(rng.exponential(size=(n, 4)))
    again.recall(joined.arrays())
    odd = rng.exponential(size=(50, 4)) * 3
    assert again.join(odd).tobytes() == joined.join(odd).tobytes()
    assert again.contributions(odd).tobytes() == joined.contributions(odd).tobytes()


def named(lines: Floats, which: NDArray[np.bool_]) -> Floats:
    return np.concatenate([lines, which[:, None]], axis=1)


def test_what_is_like_the_called_normal_is_held_against_such_windows_only() -> None:
    """Ten times as loud they are: by the units of their own, and the others by those of theirs."""
    joined, rng = joined_of(), np.random.default_rng(1)
    ordinary, loud = rng.exponential(size=(99, 4)), 10 * rng.exponential(size=(30, 4))
    which = np.arange(129) >= 99
    joined.calibrate(named(np.concatenate([ordinary, loud]), which))
    odd = 8 * rng.exponential(size=(40, 4))
    both = [
        np.mean([TailUnits.fit(part[:, i])(odd[:, i]) for i in range(4)], axis=0)
        for part in (ordinary, loud)
    ]
    some = np.arange(40) % 3 == 0
    np.testing.assert_allclose(joined.join(named(odd, some)), np.where(some, both[1], both[0]))
    again = joined_of()
    again.recall(joined.arrays())
    assert again.join(named(odd, some)).tobytes() == joined.join(named(odd, some)).tobytes()


@pytest.mark.parametrize("few", [0, 1, 19])
def test_too_few_of_them_are_held_against_all(few: int) -> None:
    joined, plain, rng = joined_of(), joined_of(), np.random.default_rng(1)
    lines, odd = rng.exponential(size=(99, 4)), rng.exponential(size=(9, 4))
    joined.calibrate(named(lines, np.arange(99) < few))
    plain.calibrate(lines)
    every = np.ones(9, bool)
    assert joined.join(named(odd, every)).tobytes() == plain.join(odd).tobytes()


@pytest.mark.parametrize(("k", "wanted"), [(3, [0, 1, 1]), (9, [0, 0, 1])])
def test_most_of_the_nearest_decide_whether_a_window_is_like_them(
    k: int, wanted: list[int]
) -> None:
    """The nearest third of k: one of one; two of three, where at 3.4 it is one of three."""
    z = np.arange(8, dtype=np.float32)[:, None]
    sure = np.array([0, 0, 0, 1, 0, 0, 1, 1], bool)
    bank = Bank.build(z, np.ones(8), np.array(["m"] * 8, object), np.arange(8), 8, sure)
    joined = Joined(bank, ExactIndex(bank.z), k=k, alpha=0.5)
    at = np.array([[1.1], [3.4], [7.0]], np.float32)
    evidence = joined.evidence(at, np.zeros(3), np.zeros((3, 3)))
    assert evidence[:, 4].tolist() == wanted


def test_a_routine_that_was_called_normal_alarms_no_more_than_anything_else() -> None:
    """Rare it stays; without the label it is in the history as well, and odd."""
    spec, n = spec_of(), 1200
    values = waves(n)
    routine = np.arange(n) % 12 == 0
    values[routine] += 3
    windows, y = windows_of(values, spec), routine.astype(np.int64)
    shares = []
    for labels in (y, np.zeros(n, np.int64)):
        detector = Detector(seed=1).fit_windows(windows, spec, y=labels)
        raw = detector.score(values, windows.start).raw
        line = np.quantile(raw[~routine], 0.95)
        shares.append(float((raw[routine] > line).mean()))
    assert shares[0] < 0.1 < 0.3 < shares[1]


def test_each_line_names_its_sensors_as_loud_as_it_is() -> None:
    """Three tenths of the blame by one view, seven by the rest; by hand."""
    loud = np.array([[3.0, 0, 7], [0, 0, 0], [1, 1, 0]])
    by_view = np.array([[[2.0, 2], [9, 0]], [[1, 0], [1, 0]], [[1, 3], [0, 0]]])
    rest = np.array([[0.0, 5], [3, 1], [1, 1]])
    wanted = [[0.15, 0.85], [0.75, 0.25], [0.25, 0.75]]
    np.testing.assert_allclose(blamed(loud, by_view, rest), wanted)


# --- a detector with it


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 100)


def fitted(model: str, n: int = 240) -> Detector:
    spec = spec_of()
    return Detector(model, "joined", epochs=1).fit_windows(windows_of(waves(n), spec), spec)


def assert_same_bits(a: Detector, b: Detector, x: NDArray[np.float32], *start: object) -> None:
    assert b.score(x, *start).raw.tobytes() == a.score(x, *start).raw.tobytes()  # type: ignore[arg-type]
    ours, theirs = a.explain(x, *start), b.explain(x, *start)  # type: ignore[arg-type]
    for name in ("share", "expected", "expected_window", "evidence", "neighbour_distance"):
        assert getattr(theirs, name).tobytes() == getattr(ours, name).tobytes(), name


@pytest.mark.parametrize("model", MODELS)
def test_a_loaded_detector_gives_the_same_bits(model: str, tmp_path: Path) -> None:
    d = fitted(model)
    d.save(tmp_path / "m")
    loaded = Detector.load(tmp_path / "m")
    x = waves(60, seed=3)
    x[::2, 3:, 1] += 4
    assert_same_bits(d, loaded, x)
    assert loaded.line_.line == d.line_.line
    loaded.save(tmp_path / "again")
    for name in (CARD, WEIGHTS, ARRAYS):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "m" / name).read_bytes()


def test_a_quick_model_takes_its_line_out_of_fold_from_all_windows() -> None:
    quick, slow = fitted("linear"), fitted("ae")
    assert len(quick.calibration_.raw) == quick.report_["training"] == 240
    assert (quick.report_["out_of_fold"], slow.report_["out_of_fold"]) == (True, False)
    assert len(slow.calibration_.raw) == 72  # 30 % held out


def test_windows_seem_odder_out_of_fold_than_where_they_were_learned_from() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4, 6)).cumsum(axis=0).astype(np.float32)  # a walk: folds differ
    d = Detector("linear", "joined").fit(x)
    assert np.median(d.calibration_.raw) > np.median(d.decision_function(x))


def test_the_line_holds_on_windows_never_seen() -> None:
    x = np.random.default_rng(0).normal(size=(1500, 8, 3)).astype(np.float32)
    d = Detector("linear", "joined", false_alarm_rate=0.02).fit(x[:500])
    above = d.predict(x[500:]).mean()
    assert 0.005 < above < 0.04


# --- reasons


def correlated(n: int, sensors: int = 6, seed: int = 0) -> NDArray[np.float32]:
    """Return windows of sensors that follow two hidden waves, each with noise of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(n * 16)
    hidden = np.stack([np.sin(0.05 * t), np.sin(0.31 * t + 1)], axis=1)
    mixed = hidden @ np.random.default_rng(9).normal(size=(2, sensors))
    return np.asarray(
        (mixed + 0.3 * rng.normal(size=mixed.shape)).reshape(n, 16, sensors), np.float32
    )


def shift(x: NDArray[np.float32], sensor: int) -> None:
    x[:, :, sensor] += 4


def stuck(x: NDArray[np.float32], sensor: int) -> None:
    x[:, :, sensor] = 2.5


def spike(x: NDArray[np.float32], sensor: int) -> None:
    x[:, 9, sensor] += 12


FAULTS = {"shift": (shift, 0.9), "stuck": (stuck, 0.9), "spike": (spike, 0.9)}


def leading(d: Detector, fault: str) -> float:
    """Return the share of windows in which the faulty sensor leads."""
    x, hits = correlated(700)[600:], []
    for sensor in range(6):
        odd = x.copy()
        FAULTS[fault][0](odd, sensor)
        hits.append(d.explain(odd).share.argmax(axis=1) == sensor)
    return float(np.mean(hits))


@pytest.fixture(scope="module")
def plain() -> Detector:
    return Detector("linear", "joined").fit(correlated(600))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faulty_sensor_leads(plain: Detector, fault: str) -> None:
    assert leading(plain, fault) >= FAULTS[fault][1]


@pytest.mark.parametrize("sensor", range(3))
def test_a_sensor_that_falls_silent_is_no_lull(sensor: int) -> None:
    """Among sensors that tell nothing of each other: there the others stay as they are."""
    x = np.random.default_rng(0).normal(size=(700, 16, 3)).astype(np.float32)
    d = Detector("linear", "joined").fit(x[:600])
    silent = x[600:].copy()
    silent[:, :, sensor] = np.nan
    assert d.predict(silent).mean() <= 0.03
    assert (d.explain(silent).share[:, sensor] == 0).all()


def test_shares_and_evidence_add_up_to_one(plain: Detector) -> None:
    x = correlated(700)[600:]
    shift(x[::2], 2)
    x[5, :, 1] = np.nan
    e = plain.explain(x)
    np.testing.assert_allclose(e.share.sum(axis=1), 1, rtol=1e-9)
    assert (e.share >= 0).all()
    assert e.share[5, 1] == 0
    assert e.evidence.shape == (100, 4)
    totals = e.evidence.sum(axis=1)
    assert (np.isclose(totals, 1) | (totals == 0)).all()
    assert np.isclose(totals[::2], 1).all()
    assert e.channels == ("level", "prediction", "dispersion", "neighbours")


# --- the course of the day


def day_spec(length: int = 6, sensors: int = 2) -> WindowSpec:
    names = tuple(SensorConfig(name=f"s{i}") for i in range(sensors))
    return WindowSpec.from_config(WindowsConfig(sensors=names, period_s=600, length=length))


def days(count: int, spec: WindowSpec, seed: int = 0) -> Windows:
    """Return windows of one machine: s0 swings by 10 about 100 each day, s1 is noise."""
    rng = np.random.default_rng(seed)
    start = np.arange(0, count * DAY, spec.window_ns, dtype=np.int64)
    time = start[:, None] + np.arange(spec.length) * spec.period_ns
    x = rng.normal(size=(*time.shape, 2))
    x[..., 0] += 100 + 10 * np.sin(2 * np.pi * time / DAY)
    n = len(start)
    return Windows(np.full(n, "m", object), start, x.astype(np.float32), np.arange(n))


@pytest.fixture(scope="module", params=[("linear", "joined"), ("ae", "joined"), ("ae", "ares")])
def daily(request: pytest.FixtureRequest) -> Detector:
    spec = day_spec()
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, 100)
        return Detector(*request.param, epochs=1).fit_windows(days(14, spec), spec)


def test_a_detector_of_days_has_a_course_for_the_sensor_that_has_one(daily: Detector) -> None:
    assert [sensor["daily"] for sensor in daily.card["sensors"]] == [True, False]


@pytest.mark.parametrize("call", ["score", "explain", "decision_function", "predict"])
def test_without_the_time_of_day_it_gives_no_score(daily: Detector, call: str) -> None:
    with pytest.raises(InputError, match=r"start is missing: .* course of the day"):
        getattr(daily, call)(days(1, day_spec()).values)


@pytest.mark.parametrize("shape", [(23,), (24, 1), (), (25,)])
def test_starts_of_another_shape_are_refused(daily: Detector, shape: tuple[int, ...]) -> None:
    for call in (daily.score, daily.explain):
        with pytest.raises(InputError, match=r"start has shape .* wanted is \(24,\)"):
            call(days(1, day_spec()).values, np.zeros(shape, np.int64))


def test_noon_at_midnight_is_odd_and_at_noon_is_not(daily: Detector) -> None:
    windows = days(20, day_spec(), seed=1)
    own = daily.score(windows.values, windows.start).raw
    swapped = daily.score(windows.values, windows.start + DAY // 2).raw
    swings = np.abs(windows.values[:, :, 0].mean(axis=1) - 100) > 7
    assert np.median(swapped[swings]) > np.quantile(own[swings], 0.95)
    other_day = daily.score(windows.values, windows.start + 700 * DAY).raw
    assert other_day.tobytes() == own.tobytes()


def test_expected_values_contain_the_course_of_the_day(daily: Detector) -> None:
    """Of the sensor that is taken out nothing is left but what the hour tells."""
    windows = days(20, day_spec(), seed=1)
    odd = windows.values.copy()
    odd[:, :, 0] += 60
    e = daily.explain(odd, windows.start)
    assert (e.share.argmax(axis=1) == 0).mean() > 0.95
    time = windows.start[:, None] + np.arange(6) * day_spec().period_ns
    usual = 100 + 10 * np.sin(2 * np.pi * time / DAY)
    assert np.abs(e.expected_window[:, :, 0] - usual).mean() < 1.5
    assert np.corrcoef(e.expected[:, 0], usual.mean(axis=1))[0, 1] > 0.95


def test_a_detector_of_days_comes_back_from_disk(daily: Detector, tmp_path: Path) -> None:
    daily.save(tmp_path / "m")
    loaded, windows = Detector.load(tmp_path / "m"), days(3, day_spec(), seed=2)
    assert_same_bits(daily, loaded, windows.values, windows.start)
    loaded.save(tmp_path / "again")
    for name in (CARD, WEIGHTS, ARRAYS):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "m" / name).read_bytes()


def test_rows_without_a_clock_never_have_a_course() -> None:
    windows = days(14, day_spec())
    d = Detector("linear", "joined").fit(windows.values)
    assert not any(sensor["daily"] for sensor in d.card["sensors"])
    assert np.isfinite(d.decision_function(windows.values)).all()
    long = np.repeat(windows.values, 20, axis=1)  # 120 s each: 14 * 24 of them, half a day
    assert np.isfinite(Detector("linear").fit(long).decision_function(long)).all()
