"""Baselines: as the references count them, by the detector's rules, without learning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from stream_ad.config import Config, WindowsConfig, parse_config
from stream_ad.detector import Detector
from stream_ad.errors import ConfigError, MissingDependency, NotEnoughHistory
from stream_ad.evaluation.baselines import BASELINES, fit_baseline
from stream_ad.evaluation.baselines.axes import MOST_AXES, Axes
from stream_ad.evaluation.baselines.forests import HalfSpaceTrees, IsolationForest
from stream_ad.evaluation.baselines.linear import Mahalanobis, Pca
from stream_ad.evaluation.baselines.neighbours import AresRaw, Knn
from stream_ad.evaluation.judgement import spans_of
from stream_ad.evaluation.metrics import auc_roc
from stream_ad.pipeline import Pipeline
from stream_ad.transport.base import Batch
from stream_ad.versions import Judge, Version
from stream_ad.windows import Readings, Windows, WindowSpec

Rows = NDArray[np.float32]

LENGTH, SENSORS = 8, 3


def correlated(n: int, d: int, seed: int = 0) -> Rows:
    """Rows with a few strong directions and some noise, as windows of sensors have."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, 5)) @ rng.normal(size=(5, d)) + 0.3 * rng.normal(size=(n, d))
    return np.asarray(mixed + rng.normal(size=d), np.float32)


def history(n: int = 200, seed: int = 0, sensors: int = SENSORS) -> Windows:
    """Windows of one machine, end to end, in units of very different size."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(n, 1, sensors))
    values = (level + 0.5 * rng.normal(size=(n, LENGTH, sensors))) * 10.0 ** (
        np.arange(sensors) % 5
    )
    return Windows(
        np.full(n, "m", object),
        np.arange(n, dtype=np.int64) * LENGTH * 10**9,
        values.astype(np.float32),
        np.arange(n, dtype=np.int64),
    )


def spec_of(sensors: int = SENSORS) -> WindowSpec:
    names = [f"s{i}" for i in range(sensors)]
    return WindowSpec.from_config(WindowsConfig(sensors=names, period_s=1, length=LENGTH))


def config_of(**detector: object) -> Config:
    return parse_config({"detector": detector})


@pytest.mark.parametrize(("n", "d"), [(300, 20), (30, 80), (50, 50)])
def test_mahalanobis_is_that_of_ledoit_wolf(n: int, d: int) -> None:
    rows, windows = correlated(n, d), correlated(40, d, seed=1)
    reference = LedoitWolf().fit(rows.astype(np.float64))
    ours = Mahalanobis(rows)
    assert ours.shrinkage == pytest.approx(reference.shrinkage_, rel=1e-6)
    expected = reference.mahalanobis(windows.astype(np.float64))
    np.testing.assert_allclose(ours.score(windows), expected, rtol=1e-6)


def test_mahalanobis_beyond_600_axes_gives_the_rest_their_mean_variance() -> None:
    d = MOST_AXES + 60
    rows, windows = correlated(900, d), correlated(20, d, seed=1).astype(np.float64)
    reference = LedoitWolf().fit(rows.astype(np.float64))
    variance, vectors = np.linalg.eigh(reference.covariance_)
    variance[: d - MOST_AXES] = variance[: d - MOST_AXES].mean()
    along = (windows - rows.mean(axis=0, dtype=np.float64)) @ vectors
    expected = np.sum(along**2 / variance, axis=1)
    np.testing.assert_allclose(Mahalanobis(rows).score(windows), expected, rtol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (30, 80)])
def test_pca_is_the_error_of_a_reconstruction_from_95_percent(n: int, d: int) -> None:
    rows, windows = correlated(n, d), correlated(40, d, seed=1).astype(np.float64)
    reference = PCA(n_components=0.95, svd_solver="full").fit(rows.astype(np.float64))
    rebuilt = reference.inverse_transform(reference.transform(windows))
    expected = np.mean((windows - rebuilt) ** 2, axis=1)
    np.testing.assert_allclose(Pca(rows).score(windows), expected, rtol=1e-6)


def test_axes_are_the_same_from_the_covariance_and_from_the_gram_matrix() -> None:
    """Empty columns change the shape and so the route, not the answer."""
    rows = correlated(40, 12)
    tall, wide = Axes.fit(rows), Axes.fit(np.pad(rows, ((0, 0), (0, 60))))
    np.testing.assert_allclose(wide.variance, tall.variance, rtol=1e-9)
    np.testing.assert_allclose(np.abs(wide.axis[:12]), np.abs(tall.axis), atol=1e-9)
    assert (wide.total, wide.squares) == pytest.approx((tall.total, tall.squares))


def test_knn_is_the_mean_distance_to_the_five_nearest() -> None:
    rows, windows = correlated(200, 20), correlated(40, 20, seed=1)
    distances, _ = NearestNeighbors(n_neighbors=5).fit(rows).kneighbors(windows)
    np.testing.assert_allclose(
        Knn(rows, most=1000).score(windows), distances.mean(axis=1), rtol=1e-5
    )


def test_knn_keeps_at_most_as_many_windows_as_asked() -> None:
    rows = np.arange(100, dtype=np.float32)[:, None]
    # 0, 24, 49, 74 and 99 stay
    distance = Knn(rows, most=5).score(np.array([[49.0]]))
    np.testing.assert_allclose(distance, [(49 + 25 + 0 + 25 + 50) / 5])


def test_ares_raw_is_neighbour_error_plus_local_outlier_factor() -> None:
    rows, windows = correlated(200, 20), correlated(40, 20, seed=1)
    lof = LocalOutlierFactor(n_neighbors=10, novelty=True).fit(rows.astype(np.float64))
    _, near = NearestNeighbors(n_neighbors=10).fit(rows).kneighbors(windows)
    mean = rows.mean(axis=0, dtype=np.float64)
    error, own = (np.mean((x - mean) ** 2, axis=1) for x in (windows, rows))
    expected = error - np.median(own[near], axis=1) - 0.5 * lof.score_samples(windows)
    ours = AresRaw(rows, k=10, alpha=0.5, most=1000).score(windows)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_pca_names_the_sensor_at_fault_and_what_it_expected() -> None:
    one = history().values.copy()
    rng = np.random.default_rng(5)
    one[:] = rng.normal(size=(len(one), 1, 1)) + 0.1 * rng.normal(size=one.shape)
    start = history().start
    pca = fit_baseline("pca", Windows(history().machine, start, one, start), spec_of(), config_of())
    odd = np.full((1, LENGTH, SENSORS), 0.5, np.float32)
    odd[0, 6, 1] = 4.0
    odd[0, 2, 0] = np.nan
    why = pca.explain(odd)
    assert why.share[0].argmax() == 1
    assert why.share[0].sum() == pytest.approx(1)
    assert why.actual[0, 1] == 4.0
    assert why.expected[0, 1] == pytest.approx(0.5, abs=0.4)


@pytest.mark.parametrize("linear", [Mahalanobis, Pca])
def test_a_history_that_stands_still_gives_finite_scores(
    linear: type[Mahalanobis] | type[Pca],
) -> None:
    still, moved = linear(np.ones((20, 6))).score(np.array([[1.0] * 6, [1.0] * 5 + [2.0]]))
    assert still == 0
    assert 0 < moved < np.inf


@pytest.mark.parametrize("forest", [IsolationForest, HalfSpaceTrees])
def test_forests_separate_a_planted_outlier(
    forest: Callable[[Rows, int], IsolationForest | HalfSpaceTrees],
) -> None:
    scorer = forest(correlated(400, 24), 0)
    normal = correlated(600, 24)[400:]
    odd = normal + 4 * normal.std(axis=0)
    label = np.repeat([0, 1], len(normal))
    area = auc_roc(label, scorer.score(np.concatenate([normal, odd])))
    assert area is not None
    assert area > 0.95


def test_half_space_trees_do_not_learn_while_they_score() -> None:
    trees = HalfSpaceTrees(correlated(100, 10), 0)
    windows = correlated(50, 10, seed=1)
    first = trees.score(windows)
    assert np.array_equal(trees.score(windows[::-1])[::-1], first)
    assert len(np.unique(first)) > 25


@pytest.mark.parametrize("name", BASELINES)
class TestEveryBaseline:
    """Laws that hold for each."""

    def test_ranks_a_planted_outlier_above_normal_windows(self, name: str) -> None:
        judge = fit_baseline(name, history(), spec_of(), config_of())
        normal = history(100, seed=1).values
        sawtooth = 8 * (-1) ** np.arange(LENGTH)[:, None] * normal.std(axis=(0, 1))
        odd = normal + sawtooth.astype(np.float32)
        scores = judge.score(np.concatenate([normal, odd]))
        area = auc_roc(np.repeat([0, 1], 100), scores.raw)
        assert area is not None
        assert area > 0.95

    def test_same_seed_same_scores(self, name: str) -> None:
        windows = history(50, seed=1).values
        one, other = (
            fit_baseline(name, history(), spec_of(), config_of(seed=3)).score(windows)
            for _ in range(2)
        )
        assert np.array_equal(one.raw, other.raw)

    def test_a_missing_value_reads_as_the_median(self, name: str) -> None:
        judge = fit_baseline(name, history(201), spec_of(), config_of())
        windows = history(5, seed=1).values
        gappy, filled = windows.copy(), windows.copy()
        gappy[:, 2:4, 1] = np.nan
        filled[:, 2:4, 1] = judge.scaler.centre[1]
        assert np.array_equal(judge.score(gappy).raw, judge.score(filled).raw)
        assert np.isfinite(judge.score(gappy).raw).all()

    def test_a_sensor_unknown_to_the_history_changes_nothing(self, name: str) -> None:
        four, windows = history(sensors=4), history(20, seed=1, sensors=4).values
        four.values[:, :, 3] = np.nan
        three = Windows(four.machine, four.start, four.values[:, :, :3], four.offset)
        with_it = fit_baseline(name, four, spec_of(4), config_of())
        without = fit_baseline(name, three, spec_of(3), config_of())
        assert with_it.known.tolist() == [True, True, True, False]
        assert np.array_equal(with_it.score(windows).raw, without.score(windows[:, :, :3]).raw)

    def test_input_is_untouched_and_no_window_gives_no_score(self, name: str) -> None:
        windows = history()
        windows.values[3, 2, 1] = np.nan
        before = windows.values.copy()
        judge = fit_baseline(name, windows, spec_of(), config_of())
        judge.score(windows.values)
        assert np.array_equal(windows.values, before, equal_nan=True)
        assert len(judge.score(windows.values[:0]).raw) == 0

    def test_explanations_have_the_shapes_of_the_detectors(self, name: str) -> None:
        judge = fit_baseline(name, history(), spec_of(), config_of())
        why = judge.explain(history(4, seed=1).values)
        assert why.share.shape == why.expected.shape == why.actual.shape == (4, SENSORS)
        assert why.expected_window.shape == (4, LENGTH, SENSORS)
        assert why.evidence.shape == (4, len(judge.channels))
        assert why.neighbour_distance.shape[0] == 4
        assert (why.share.sum(axis=1) < 1 + 1e-9).all()

    def test_extreme_values_stay_finite(self, name: str) -> None:
        judge = fit_baseline(name, history(), spec_of(), config_of())
        windows = history(2, seed=1).values
        windows[0] = 1e30
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = judge.score(windows)
        assert np.isfinite(scores.raw).all()
        assert scores.raw[0] > scores.raw[1]

    def test_too_little_history_is_said(self, name: str) -> None:
        with pytest.raises(NotEnoughHistory):
            fit_baseline(name, history(6), spec_of(), config_of())

    def test_wide_windows_pass(self, name: str) -> None:
        wide = history(60, sensors=100)  # 800 cells, fewer windows than cells
        judge = fit_baseline(name, wide, spec_of(100), config_of())
        assert np.isfinite(judge.score(wide.values).raw).all()

    def test_passes_through_the_pipeline_and_opens_an_incident_at_a_fault(self, name: str) -> None:
        """1200 seconds of history, then 400 of which the last 200 are far off."""
        rng = np.random.default_rng(2)
        values = np.asarray(rng.normal(size=(1600, SENSORS)), np.float32)
        values[1400:] += np.array([30, -30, 30], np.float32)
        spec, config = spec_of(), config_of()
        windows = Windows(
            np.full(150, "m", object),
            np.arange(150, dtype=np.int64) * spec.window_ns,
            values[:1200].reshape(150, LENGTH, SENSORS),
            np.arange(150, dtype=np.int64),
        )
        judge: Judge = fit_baseline(name, windows, spec, config)
        later = np.arange(1200, 1600)
        readings = Readings(np.full(400, "m", object), later * 10**9, values[later], later)
        pipeline = Pipeline(config, spec, [Version(judge, 1, 1200 * 10**9 + 1)])
        outputs = pipeline.process([Batch(readings, [], 1600)])
        fault = 1400 * 10**9
        hits = [row.alarm for row in outputs.scores if row.window_start >= fault]
        assert len(outputs.scores) == 49
        assert all(hits)
        events = [told.event for told in outputs.incidents]
        assert [event.kind for event in events if event.event == "opened"][-1] == "process"
        spans = spans_of(events)
        assert spans[-1].started_at == fault
        assert spans[-1].ended_at is None


def test_history_and_line_are_taken_as_the_detector_takes_them() -> None:
    """Windows with gaps, in any order; a sensor that appears late; an empty window."""
    windows, config = history(), config_of(epochs=1)
    rng = np.random.default_rng(4)
    windows.values[rng.random(windows.values.shape) < 0.3] = np.nan
    windows.values[:150, :, 2] = np.nan
    windows.values[20] = np.nan
    mixed = windows.take(rng.permutation(len(windows)))
    detector = (
        Detector("ae", "ares", epochs=1).fit_windows(mixed, spec_of()).set_budget(config.alarm)
    )
    baseline = fit_baseline("knn", mixed, spec_of(), config)
    assert baseline.known.tolist() == detector.known.tolist() == [True, True, False]
    ours, theirs = baseline.line_, detector.line_
    assert len(ours.p_values.raw) == len(theirs.p_values.raw) > 0
    assert (ours.days, ours.budget_asked) == (theirs.days, theirs.budget_asked)


def test_an_unknown_name_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="half_space_trees"):
        fit_baseline("lof", history(), spec_of(), config_of())


def test_iforest_without_scikit_learn_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependency, match=r'pip install "stream-ad\[eval\]"'):
        fit_baseline("iforest", history(), spec_of(), config_of())
