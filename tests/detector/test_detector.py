"""The public class: fit, score, predict, budgets, and clear errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from stream_ad.config import AlarmConfig, Config, DetectorConfig, parse_config
from stream_ad.detector import Detector
from stream_ad.detector.models import MODELS
from stream_ad.detector.models.ae import Ae
from stream_ad.detector.networks import NETWORKS
from stream_ad.detector.scorers import SCORERS
from stream_ad.detector.settings import SETTINGS
from stream_ad.errors import (
    ArtifactMismatch,
    ConfigError,
    InputError,
    ModelError,
    NotEnoughHistory,
    NotFitted,
)
from tests.detector.streams import few_steps, quick, spec_of, waves, windows_of

NAN = np.nan


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return quick(steps=200)


@pytest.fixture(scope="module")
def table() -> Detector:
    rng = np.random.default_rng(0)
    return Detector(epochs=5).fit(rng.normal(size=(300, 1)) + 0.1 * rng.normal(size=(300, 4)))


def test_shapes_and_kinds_of_scores(detector: Detector) -> None:
    s = detector.score(waves(9))
    assert s.raw.shape == s.error.shape == (9,)
    assert s.sensor_error.shape == (9, 3)
    assert {a.dtype for a in (s.raw, s.error, s.sensor_error)} == {np.dtype("f8")}
    np.testing.assert_allclose(s.sensor_error.sum(axis=1), s.error, rtol=1e-5)


def test_no_windows_give_no_scores(detector: Detector) -> None:
    nothing = np.empty((0, 8, 3), np.float32)
    assert len(detector.score(nothing)) == 0
    assert detector.predict(nothing).shape == (0,)
    assert detector.explain(nothing).expected_window.shape == (0, 8, 3)


def test_odd_windows_score_higher_and_alarm(detector: Detector) -> None:
    normal, odd = waves(250)[240:], waves(250)[240:]
    odd[:, 4:, 1] += 5
    assert detector.decision_function(odd).min() > detector.decision_function(normal).max()
    assert detector.predict(odd).all()
    np.testing.assert_array_equal(
        detector.predict(odd), detector.decision_function(odd) > detector.line_.line
    )


def test_the_order_of_the_windows_given_does_not_matter(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of()
    windows = windows_of(waves(240), spec)
    shuffled = windows.take(np.random.default_rng(0).permutation(240))
    few_steps(monkeypatch, 200)
    again = Detector("ae", "ares", epochs=1).fit_windows(shuffled, spec)
    x = waves(20, seed=1)
    assert again.score(x).raw.tobytes() == detector.score(x).raw.tobytes()
    assert again.card == detector.card


def test_held_out_windows_are_the_latest_and_touch_no_training_window(detector: Detector) -> None:
    c, bank = detector.calibration_, detector._fitted().scorer.bank
    assert len(c.raw) == 72  # 30 % of 240
    assert c.start.min() - (bank.start.max() + c.window_ns) >= c.window_ns
    assert (c.hop_ns, c.window_ns) == (8_000_000_000, 8_000_000_000)
    report = detector.report_
    assert report["training"] + report["validation"] + report["calibration"] == 240 - 2
    assert report["left_out"] == 2  # a window of each machine
    assert report["bank"] == len(bank.z) <= report["training"]


def test_the_calibration_holds_what_scoring_gives(detector: Detector) -> None:
    c, windows = detector.calibration_, windows_of(waves(240), spec_of())
    held_out = windows.take(windows.start >= c.start[0])
    assert detector.score(held_out.values).raw.tobytes() == c.raw.tobytes()


def test_a_budget_moves_the_line_and_nothing_else(detector: Detector) -> None:
    x = waves(30, seed=2)
    before = detector.score(x).raw
    mine = quick(steps=200)
    lines = []
    for budget in (5000.0, 0.5):
        alarm = AlarmConfig(budget_per_machine_day=budget)
        assert mine.set_budget(alarm) is mine
        lines.append(mine.line_.line)
        assert mine.card["line"] == mine.line_.to_card()
    assert lines[0] < lines[1]
    assert mine.score(x).raw.tobytes() == before.tobytes()


def test_tables_are_windows_of_one_row(table: Detector) -> None:
    x = np.random.default_rng(1).normal(size=(7, 4))
    assert table.decision_function(x).tobytes() == table.decision_function(x[:, None]).tobytes()
    assert table.spec is None
    assert [s.name for s in table.sensors] == ["x0", "x1", "x2", "x3"]


def test_labelled_anomalies_stay_out_of_training_bank_and_line() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.zeros(200, int)
    y[[5, 50, 120, 190]] = -1
    spoiled = x.copy()
    spoiled[y < 0] = 1e6
    a, b = (Detector(epochs=1).fit(values, y) for values in (x, spoiled))
    assert a.score(x).raw.tobytes() == b.score(x).raw.tobytes()
    assert a.line_.line == b.line_.line
    starts = np.concatenate([a._fitted().scorer.bank.start, a.calibration_.start])
    assert not np.isin(np.flatnonzero(y < 0) * 10**9, starts).any()


class Recording(Ae):
    """Keeps what it was given to learn from."""

    learns_anomalies = True
    given: tuple[torch.Tensor, torch.Tensor | None]

    def fit(self, x: torch.Tensor, validation: torch.Tensor, **rest: Any) -> dict[str, Any]:
        Recording.given = x.clone(), rest["y"]
        return super().fit(x, validation, **rest)


def test_every_label_reaches_the_model_beside_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows count up, so that a window's own value tells which row it was."""
    monkeypatch.setitem(MODELS, "ae", Recording)
    x = np.arange(100.0)[:, None] + np.zeros((1, 3))
    x[30] = NAN  # a labelled row that cannot be used
    y = np.zeros(100, int)
    y[[5, 30, 60, 90]], y[[7, 40, 95]] = -1, 1
    d = Detector("ae", "ares", epochs=1).fit(x, y)
    given, labels = Recording.given
    assert labels is not None
    rows = d._fitted().scaler.unscale(given.numpy())[:, 0, 0].round().astype(int)
    assert (np.diff(rows) > 0).all()  # in time order
    np.testing.assert_array_equal(labels.numpy(), y[rows])
    assert {5, 60, 90} == set(rows[labels.numpy() < 0])  # of the whole history
    assert {7, 40} == set(rows[labels.numpy() > 0])  # row 95 is held out
    assert labels.dtype == torch.int64
    assert d.report_["labelled_anomalies"] == d.report_["learned_anomalies"] == 3
    Detector("ae", "ares", epochs=1).fit(x)
    assert Recording.given[1] is None


def test_a_model_that_learns_no_anomalies_gets_none_and_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MODELS, "ae", Recording)
    monkeypatch.setattr(Recording, "learns_anomalies", False)
    x, y = waves(100), np.zeros(100, int)
    y[[5, 60, 90]] = -1
    d = Detector("ae", "ares", epochs=1).fit(x, y)
    labels = Recording.given[1]
    assert labels is not None
    assert (labels >= 0).all()
    assert d.report_["labelled_anomalies"] == 3
    assert d.report_["learned_anomalies"] == 0


class Mining(Ae):
    """Takes the first half for contamination."""

    def fit(self, x: torch.Tensor, validation: torch.Tensor, **rest: Any) -> dict[str, Any]:
        self.mined = torch.arange(len(x)) < len(x) // 2
        return super().fit(x, validation, **rest)


def test_what_a_model_mines_stays_out_of_the_bank_and_widens_the_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(MODELS, "ae", Mining)
    x = waves(600)
    d = Detector("ae", "ares", epochs=1).fit(x)
    trained, bank = d.report_["training"], d._fitted().scorer.bank
    assert len(bank) == trained - trained // 2
    assert bank.start.min() == trained // 2 * x.shape[1] * 10**9
    assert d._fitted().scorer.k == d.report_["k"] == 100
    d.save(tmp_path / "model")
    again = Detector.load(tmp_path / "model")
    assert again.score(x).raw.tobytes() == d.score(x).raw.tobytes()


def test_what_somebody_called_normal_is_never_mined_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first half is mined; every tenth window of it was labelled, and stays on record."""
    monkeypatch.setitem(MODELS, "ae", Mining)
    x, y = waves(600), np.zeros(600, np.int64)
    y[:150:10] = 1
    d = Detector("ae", "ares", epochs=1).fit(x, y)
    bank, trained = d._fitted().scorer.bank, d.report_["training"]
    assert len(bank) == trained - trained // 2 + 15
    step = x.shape[1] * 10**9
    assert (bank.start[bank.sure] // step).tolist() == [*range(0, 150, 10)]
    d.save(tmp_path / "model")
    again = Detector.load(tmp_path / "model")
    assert np.array_equal(again._fitted().scorer.bank.sure, bank.sure)
    assert again.score(x).raw.tobytes() == d.score(x).raw.tobytes()


def test_missing_cells_do_not_matter_whatever_they_hold(detector: Detector) -> None:
    x = waves(10)
    x[:, 2:4, 1] = NAN
    infinite = x.copy()
    infinite[:, 2:4, 1] = np.inf
    assert detector.score(x).raw.tobytes() == detector.score(infinite).raw.tobytes()


def test_scaling_is_kept_and_refused_where_the_scorer_needs_the_squash(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4))
    x[5] = 1000
    plain, robust = (Detector("linear", "error", scaling=s).fit(x) for s in ("standard", "robust"))
    assert not np.array_equal(plain.score(x).raw, robust.score(x).raw)
    plain.save(tmp_path / "plain")
    again = Detector.load(tmp_path / "plain")
    assert again.score(x).raw.tobytes() == plain.score(x).raw.tobytes()
    with pytest.raises(ConfigError, match="scaling robust with scorer joined"):
        Detector("linear", "joined", scaling="standard").fit(x)
    with pytest.raises(ConfigError, match="scaling robust with model ncae"):
        Detector("ncae", "error", scaling="standard").fit(x)


def test_an_unknown_sensor_neither_feeds_nor_scores() -> None:
    x = waves(200)
    x[:, :, 2] = NAN
    spec = spec_of()
    d = Detector(epochs=1).fit_windows(windows_of(x, spec), spec)
    np.testing.assert_array_equal(d.known, [True, True, False])
    other = waves(200)
    s = d.score(other)
    assert s.raw.tobytes() == d.score(x).raw.tobytes()
    assert (s.sensor_error[:, 2] == 0).all()
    assert np.isnan(d.explain(other).expected_window[:, :, 2]).all()


@pytest.mark.parametrize("appears", [80, 150])
def test_a_sensor_that_appears_late_is_survived(appears: int) -> None:
    x = waves(200)
    x[:appears, :, 2] = NAN
    spec = spec_of()
    d = Detector("ae", "ares", epochs=1).fit_windows(windows_of(x, spec), spec)
    assert d.known[2] == (appears == 80)
    assert np.isfinite(d.score(waves(5)).raw).all()


def test_windows_with_too_much_missing_are_not_learned_from() -> None:
    x = waves(200)
    x[::4, :7] = NAN
    spec = spec_of()
    d = Detector("ae", "ares", epochs=1).fit_windows(windows_of(x, spec), spec, max_missing=0.5)
    assert d.report_["left_out"] >= 50
    everything = Detector("ae", "ares", epochs=1).fit_windows(
        windows_of(x, spec), spec, max_missing=1
    )
    assert everything.report_["left_out"] == 2


def test_extreme_values_give_finite_scores(detector: Detector) -> None:
    x = waves(6)
    x[0, 3, 1], x[1, 3, 1], x[2] = 1e30, -1e38, 3.4e38
    s, e = detector.score(x), detector.explain(x)
    assert np.isfinite(s.raw).all()
    assert s.raw[:3].min() > s.raw[3:].max()
    assert np.isfinite(e.expected_window).all()
    np.testing.assert_allclose(e.share.sum(axis=1), 1)


def test_a_window_without_any_value_is_an_error_that_names_it(detector: Detector) -> None:
    x = waves(6)
    x[4] = NAN
    for method in (detector.score, detector.predict, detector.explain):
        with pytest.raises(InputError, match=r"1 of 6 windows .*\(row 4\)"):
            method(x)


def test_a_broken_model_never_scores_silently(detector: Detector) -> None:
    mine = quick(steps=5)
    with torch.no_grad():
        next(mine._fitted().model.parameters()).fill_(NAN)
    with pytest.raises(ModelError, match="not finite"):
        mine.score(waves(3))


@pytest.mark.parametrize("shape", [(5, 8, 2), (5, 3, 8), (5, 24), (8, 3), (24,)])
def test_a_wrong_shape_is_named_with_the_wanted_one(
    detector: Detector, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match=r"wanted is \(n, 8, 3\)"):
        detector.score(np.zeros(shape))


def test_before_fit_there_are_no_scores(tmp_path: object) -> None:
    d = Detector()
    for call in (d.score, d.predict, d.decision_function, d.explain, d.save):
        with pytest.raises(NotFitted, match="fit"):
            call(np.zeros((1, 2)))  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [0, 1, 7, 10])
def test_too_few_windows_say_how_many_are_needed(n: int) -> None:
    with pytest.raises(NotEnoughHistory, match=rf"{n} windows leave .* needed"):
        Detector("ae", "ares").fit(waves(n).reshape(n, 8, 3))


def test_twenty_windows_are_enough() -> None:
    d = Detector(k=50).fit(waves(20))
    assert np.isfinite(d.decision_function(waves(20))).all()


def test_a_history_that_stands_still_is_not_enough() -> None:
    with pytest.raises(NotEnoughHistory, match="stands still"):
        Detector(epochs=1).fit(np.ones((100, 4)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "gan"),
        ("scorer", "luck"),
        ("network", "rnn"),
        ("index", "tree"),
        ("k", 0),
        ("k", 1.5),
        ("k", True),
        ("alpha", -1),
        ("alpha", NAN),
        ("alpha", 1.1e9),
        ("latent_dim", 0),
        ("bank_windows", 1),
        ("epochs", 0),
        ("calibration_share", 1.0),
        ("false_alarm_rate", 0),
        ("false_alarm_rate", NAN),
        ("false_alarm_rate", "much"),
        ("max_extrapolation", 0.5),
        ("max_extrapolation", np.inf),
        ("max_extrapolation", True),
        ("seed", -1),
        ("seed", 2**32),
        ("device", "abacus"),
    ],
)
def test_a_setting_that_cannot_be_used_names_itself(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"detector\.{key} = .*: allowed is"):
        Detector(**{key: value}).fit(waves(40))  # type: ignore[arg-type]


def test_settings_of_the_config_are_settings_of_the_detector() -> None:
    given = Config().detector.model_dump()
    mine = {key: value for key, value in vars(Detector()).items() if not key.startswith("_")}
    assert given.items() <= mine.items()
    assert mine.keys() == {*SETTINGS, "device"}


def test_every_model_is_the_class_of_its_file_and_in_the_schema() -> None:
    for name, made in MODELS.items():
        assert made.__module__.endswith(f".{name}")
    schema = DetectorConfig.model_json_schema()["properties"]["model"]
    assert set(schema["enum"]) == MODELS.keys()
    with pytest.raises(
        ConfigError, match=r"detector\.model = 'magic': allowed is one of linear, ae"
    ):
        parse_config({"detector": {"model": "magic"}})


@pytest.mark.parametrize(("key", "table"), [("scorer", SCORERS), ("network", NETWORKS)])
def test_the_config_allows_what_there_is(key: str, table: dict[str, object]) -> None:
    assert set(get_args(DetectorConfig.model_fields[key].annotation)) == table.keys()


@pytest.mark.parametrize(
    "given", [{"k": 0}, {"alpha": 2e9}, {"seed": 2**32}, {"bank_windows": 1}, {"epochs": 0.5}]
)
def test_what_training_refuses_the_config_refuses_alike(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as of_config:
        parse_config({"detector": given})
    with pytest.raises(ConfigError) as of_training:
        Detector(**given).fit(waves(40))
    assert str(of_config.value) == str(of_training.value)


def test_a_setting_given_as_another_kind_of_number_is_the_same_setting() -> None:
    x = waves(60)
    a, b = (Detector(k=k, seed=s, epochs=1).fit(x) for k, s in ((5, 3), (np.int64(5), np.int64(3))))  # type: ignore[arg-type]
    assert a.card == b.card
    assert a.score(x).raw.tobytes() == b.score(x).raw.tobytes()


@pytest.mark.parametrize("y", [[0, 1], [[0] * 40], [2] * 40])
def test_labels_are_checked(y: list[int]) -> None:
    with pytest.raises(InputError, match="y "):
        Detector().fit(waves(40), y)


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    spec = spec_of()
    Detector("ae", epochs=3).fit_windows(windows_of(waves(60), spec), spec, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 3


def test_the_bank_is_capped() -> None:
    spec = spec_of()
    d = Detector(epochs=1, bank_windows=25).fit_windows(windows_of(waves(240), spec), spec)
    assert d.report_["bank"] == 25


def test_a_detector_knows_which_windows_it_was_made_for(detector: Detector) -> None:
    spec = spec_of()
    detector.expect(spec)
    others: dict[str, dict[str, Any]] = {
        "sensors ['s0', 's1', 's2'], not ['s2', 's1', 's0']": {"sensors": spec.sensors[::-1]},
        "length 8 slots, not 9 slots": {"length": 9},
        "period_s 1.0, not 60.0": {"period_ns": 60 * 10**9},
        "hop 8 slots, not 4 slots": {"hop": 4},
        "length 8 slots, not 4 slots; windows.hop 8 slots, not 4 slots": {"length": 4, "hop": 4},
    }
    for what, changes in others.items():
        with pytest.raises(ArtifactMismatch) as error:
            detector.expect(dataclasses.replace(spec, **changes))
        assert str(error.value) == f"the detector was made for windows.{what}"


def test_global_random_states_and_threads_are_left_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    threads = torch.get_num_threads()
    d = Detector(epochs=1).fit(waves(40))
    d.explain(waves(3))
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]  # noqa: NPY002
    assert torch.get_num_threads() == threads
