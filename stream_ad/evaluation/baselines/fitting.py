"""The table of baselines, and how each is fitted by the detector's own rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config, DetectorConfig
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.line import AlarmLine
from stream_ad.detector.prepare import in_order, prepare
from stream_ad.errors import ConfigError
from stream_ad.evaluation.baselines.baseline import Baseline, RowScorer, rows_of
from stream_ad.evaluation.baselines.forests import HalfSpaceTrees, IsolationForest
from stream_ad.evaluation.baselines.kmeans import KMeans
from stream_ad.evaluation.baselines.linear import Mahalanobis, Pca
from stream_ad.evaluation.baselines.neighbours import AresRaw, Knn
from stream_ad.windows import Windows, WindowSpec

Fit = Callable[[NDArray[np.float32], DetectorConfig], RowScorer]

BASELINES: dict[str, Fit] = {
    "mahalanobis": lambda X, _: Mahalanobis(X),
    "pca": lambda X, _: Pca(X),
    "knn": lambda X, c: Knn(X, most=c.bank_windows),
    "kmeans": lambda X, c: KMeans(X, seed=c.seed),
    "iforest": lambda X, c: IsolationForest(X, seed=c.seed),
    "half_space_trees": lambda X, c: HalfSpaceTrees(X, seed=c.seed),
    "ares_raw": lambda X, c: AresRaw(X, k=c.k, alpha=c.alpha, most=c.bank_windows),
}


def fit_baseline(name: str, windows: Windows, spec: WindowSpec, config: Config) -> Baseline:
    """Fit a baseline to a history as `Detector.fit_windows` fits a detector.

    The same windows are usable, the same split in time with the same gap, the same scaling,
    and a line of its own for the same budget from the same held-out windows. Windows that
    the detector needs to stop its training in time teach a baseline like the others.

    Parameters
    ----------
    name : str
        A key of ``BASELINES``.
    windows : Windows
        The history of a machine group, in any order.
    spec : WindowSpec
    config : Config
        Of ``detector``: k, alpha, bank_windows, calibration_share, seed; ``alarm``;
        ``windows.max_missing``.

    Raises
    ------
    ConfigError
        For another name.
    InputError
        For windows of another shape than the spec's.
    MissingDependency
        For ``kmeans`` and ``iforest`` without scikit-learn.
    NotEnoughHistory
        With too few usable windows.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=60, length=4))
    >>> level = np.random.default_rng(0).normal(size=(100, 1, 1)).astype(np.float32)
    >>> values = level + np.random.default_rng(1).normal(size=(100, 4, 1)).astype(np.float32) / 9
    >>> start = np.arange(100) * spec.window_ns
    >>> history = Windows(np.full(100, "m", object), start, values, np.arange(100))
    >>> knn = fit_baseline("knn", history, spec, Config())
    >>> bool(knn.score(values + 9).raw.min() > knn.line_.line > knn.line_.median)
    True
    """
    if name not in BASELINES:
        raise ConfigError("baseline", name, f"one of {', '.join(BASELINES)}")
    parts = prepare(
        in_order(windows, spec)[0],
        spec.window_ns,
        config.detector.calibration_share,
        max_missing=config.windows.max_missing,
    )
    before_gap, held_out = Windows.concat([parts.training, parts.validation]), parts.held_out
    scorer = BASELINES[name](rows_of(parts.scaler, before_gap.values), config.detector)
    baseline = Baseline(name, parts.scaler, scorer)
    raw = baseline.score(held_out.values).raw
    calibration = Calibration(held_out.machine, held_out.start, raw, spec.hop_ns, spec.window_ns)
    baseline.line_ = AlarmLine.for_budget(calibration, config.alarm)
    return baseline
