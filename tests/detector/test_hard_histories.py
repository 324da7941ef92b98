"""Histories that are hard to learn from: each gives finite scores or an error with numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.detector import Detector
from stream_ad.detector.models import MODELS
from stream_ad.detector.scorers import SCORERS
from stream_ad.errors import NotEnoughHistory
from tests.detector.streams import few_steps, spec_of, waves, windows_of

NAN = np.nan
KINDS = [(model, scorer) for model in MODELS for scorer in SCORERS]
Values = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 30)


@pytest.fixture(params=KINDS, ids="-".join)
def make(request: pytest.FixtureRequest) -> Any:
    model, scorer = request.param
    return lambda **settings: Detector(model, scorer, epochs=1, **settings)


def check(d: Detector, *histories: Values) -> None:
    """Score and explain; nothing but finite numbers, and shares that add up."""
    for x in histories:
        assert np.isfinite(d.decision_function(x)).all()
        e = d.explain(x)
        totals = e.share.sum(axis=1)
        assert (np.isclose(totals, 1) | (totals == 0)).all()
        assert np.isfinite(e.evidence).all()
        assert (np.isfinite(e.expected_window) | ~d.known).all()
    raw = d.calibration_.raw
    assert np.isfinite([d.line_.line, d.line_.median]).all()
    assert ((d.line_.p_value(raw) > 0) & (d.line_.p_value(raw) <= 1)).all()


def test_a_sensor_that_was_never_heard(make: Any) -> None:
    x, other = waves(120), waves(20, seed=1)
    x[:, :, 1] = NAN
    d = make().fit(x)
    check(d, x, other)
    assert not d.known[1]
    assert (d.explain(other).share[:, 1] == 0).all()
    without = other.copy()
    without[:, :, 1] = NAN
    assert d.score(other).raw.tobytes() == d.score(without).raw.tobytes()


def test_a_sensor_that_falls_silent_for_whole_windows_is_not_to_blame(make: Any) -> None:
    d, silent = make().fit(waves(300)), waves(60, seed=1)
    silent[:, :, 1] = NAN
    check(d, silent)
    assert (d.explain(silent).share[:, 1] == 0).all()


@pytest.mark.parametrize("level", [0.0, 7.0, -1e30])
def test_a_constant_sensor(make: Any, level: float) -> None:
    x = waves(120)
    x[:, :, 1] = level
    d = make().fit(x)
    moved = x.copy()
    moved[:, :, 1] = level * 1.5 + 1
    check(d, x, moved)
    assert np.median(d.decision_function(moved)) > d.decision_function(x).max()


def test_values_near_the_end_of_float32(make: Any) -> None:
    x = waves(120) * np.float32(1e29)
    d = make().fit(x)
    odd = x[:9].copy()
    odd[:, 2, 0], odd[:, 3, 1], odd[:, 4, 2] = 3.4e38, -3.4e38, 1e30
    check(d, x, odd)
    assert d.decision_function(odd).min() > np.quantile(d.decision_function(x), 0.9)


def test_some_values_near_the_end_of_float32_in_the_history(make: Any) -> None:
    x = waves(120)
    x[::11, 3, 1], x[::17, 5, 0] = 1e30, -3e38
    check(make().fit(x), x, waves(20))


@pytest.mark.parametrize("sensors", [1, 4])
def test_rows_of_a_table(make: Any, sensors: int) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(200, 1)) + rng.normal(size=(200, sensors)) / 5).astype(np.float32)
    d = make(latent_dim=1).fit(x)
    check(d, x[:, None])
    far = x[:9] + np.float32(40)
    # the error is blind along the component that all rows follow, and a single number that is
    # drawn to a centre keeps nothing apart
    if d.scorer != "error" and not (d.model.startswith("deep_") and d.scorer == "ares"):
        assert d.decision_function(far).min() > d.decision_function(x).max()


@pytest.mark.parametrize("n", [19, 20])
def test_about_twenty_windows_are_enough(make: Any, n: int) -> None:
    check(make(k=50).fit(waves(n)), waves(n), waves(5, seed=1) + 3)


@pytest.mark.parametrize("scorer", SCORERS)
def test_ten_windows_are_the_least_for_a_quick_model(scorer: str) -> None:
    check(Detector("linear", scorer).fit(waves(10)), waves(10))
    for n in (1, 6, 9):
        with pytest.raises(NotEnoughHistory, match=rf"{n} windows leave {n} usable .* 10 needed"):
            Detector("linear", scorer).fit(waves(n))


def test_overlapping_windows_that_leave_too_little_say_so() -> None:
    """Each fifth of 12 windows of 8 slots, one slot apart, shares readings with all others."""
    spec = spec_of(hop=1)
    with pytest.raises(NotEnoughHistory, match=r"12 usable windows leave 0 .* at least 6 needed"):
        Detector("linear").fit_windows(windows_of(waves(12), spec, ("a",)), spec)
    enough = windows_of(waves(60), spec, ("a",))
    check(Detector("linear").fit_windows(enough, spec), enough.values)


def test_ninety_nine_of_a_hundred_windows_are_the_same(make: Any) -> None:
    x = np.repeat(waves(12), 100, axis=0)
    d = make().fit(x)
    check(d, x[::50])
    assert d.decision_function(x[:1] + 50)[0] > d.decision_function(x).max()


def test_a_machine_that_stands_still_but_for_one_window_in_a_hundred(make: Any) -> None:
    x = np.repeat(waves(1), 600, axis=0)
    x[50::100] = waves(6, seed=1)
    d = make().fit(x)
    check(d, x)
    assert d.decision_function(x[:1] + 50)[0] > np.quantile(d.decision_function(x), 0.98)


def test_a_history_without_any_value(make: Any) -> None:
    with pytest.raises(NotEnoughHistory):
        make().fit(np.full((50, 8, 3), NAN))


def test_a_few_cells_only(make: Any) -> None:
    x = waves(200)
    x[np.random.default_rng(0).random(x.shape) < 0.9] = NAN
    x[:, 0, 0] = waves(200)[:, 0, 0]
    check(make().fit(x), x)
