"""The detector: windows in; raw scores, an alarm line and reasons out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from stream_ad.config import AlarmConfig, DetectorConfig, SensorConfig
from stream_ad.detector.ares import SCORERS, Scorer
from stream_ad.detector.artifact import read_artifact, write_artifact
from stream_ad.detector.bank import Bank
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.card import describe, restore, stored
from stream_ad.detector.explanation import NEIGHBOURS, Explanation, at_slot, farthest, shares
from stream_ad.detector.forward import forward
from stream_ad.detector.index import ExactIndex
from stream_ad.detector.inputs import as_windows
from stream_ad.detector.learning import learn
from stream_ad.detector.line import AlarmLine
from stream_ad.detector.models import WindowModel
from stream_ad.detector.occlusion import occlude
from stream_ad.detector.prepare import in_order
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.scores import Scores
from stream_ad.detector.settings import check_settings, torch_device
from stream_ad.errors import ArtifactMismatch, InputError, ModelError, NotFitted
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import NS, WindowSpec

MACHINE = "machine"  # the name of the only one, where the input names none


class Detector:
    """Learns what normal windows look like and says how unlike them a window is.

    Scoring never learns: it is a pure function of the fitted detector and the window, bit
    for bit the same alone, in any batch and in any order.

    Parameters
    ----------
    model : str
        A key of ``MODELS``: ``ae``.
    scorer : str
        A key of ``SCORERS``: ``ares`` or ``error``.
    network : str
        ``dense`` or ``tcn`` (temporal convolutions, for long windows).
    k : int
        Neighbours of the scorer, at least 1; more than the bank holds are cut. About 100
        where the history is not clean.
    alpha : float
        Weight of the density in ``ares``, at least 0.
    latent_dim : int, optional
        Size of the latents; None derives it from the window.
    index : str
        ``auto`` or ``exact``.
    bank_windows : int
        At most so many different latents are kept, at least 2.
    epochs : int
        At most so many passes over the history; small histories take more.
    calibration_share : float
        Share of the windows, the latest ones, held out for the alarm line.
    false_alarm_rate : float
        Share of normal windows above the line, 0 to 1, exclusive; `set_budget` replaces it.
    max_extrapolation : float
        How far beyond the held-out windows the line may reach, at least 1.
    seed : int
        Of everything random; torch's and numpy's own generators are left alone.
    device : str
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1`` ...

    Attributes
    ----------
    sensors : tuple of SensorConfig
        In column order.
    spec : WindowSpec or None
        The grid, where the windows had one.
    channels : tuple of str
        Names of the lines of evidence.
    known : bool array (C,)
        Sensors that had any value in the windows learned from.
    calibration_, line_ : Calibration, AlarmLine
        Raw scores of the held-out windows, and the line over them.
    report_ : dict
        How many windows went where, and how the fit went.
    card : dict
        What `save` writes into ``card.json``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(300, 1)) + rng.normal(size=(300, 4)) / 20
    >>> d = Detector(epochs=5).fit(X)
    >>> odd = np.array([[1.0, -1, 1, -1]])
    >>> bool(d.decision_function(odd)[0] > d.decision_function(X).max())
    True
    >>> int(d.predict(odd)[0])
    1
    """

    sensors: tuple[SensorConfig, ...]
    spec: WindowSpec | None
    channels: tuple[str, ...]
    known: NDArray[np.bool_]
    calibration_: Calibration
    line_: AlarmLine
    report_: dict[str, Any]
    card: dict[str, Any]

    def __init__(
        self,
        model: str = "ae",
        scorer: str = "ares",
        *,
        network: str = "dense",
        k: int = 10,
        alpha: float = 0.5,
        latent_dim: int | None = None,
        index: str = "auto",
        bank_windows: int = 10_000,
        epochs: int = 100,
        calibration_share: float = 0.3,
        false_alarm_rate: float = 0.01,
        max_extrapolation: float = 10.0,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.scorer = scorer
        self.network = network
        self.k = k
        self.alpha = alpha
        self.latent_dim = latent_dim
        self.index = index
        self.bank_windows = bank_windows
        self.epochs = epochs
        self.calibration_share = calibration_share
        self.false_alarm_rate = false_alarm_rate
        self.max_extrapolation = max_extrapolation
        self.seed = seed
        self.device = device
        self._parts: tuple[Scaler, WindowModel, Scorer] | None = None

    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, negatives: ArrayLike | None = None
    ) -> Self:
        """Learn from rows or windows of one machine, one after another in time.

        Parameters
        ----------
        X : float array (n, d) or (n, T, C)
            In time order; NaN = missing.
        y : int array (n,), optional
            0 unlabelled, +1 labelled normal, -1 labelled anomaly. Labelled anomalies stay
            out of training, bank and alarm line unless the model learns from them.
        negatives : float array (p, d) or (p, T, C), optional
            Out-of-distribution examples, for models that use them.

        Raises
        ------
        InputError
            For arrays of a wrong shape or kind.
        ConfigError
            For a setting that cannot be used.
        NotEnoughHistory
            With too few usable rows; says how many there are and how many are needed.
        """
        values = as_windows(X, "X", None)
        n, length, sensors = values.shape
        labels = None if y is None else _labels(y, n)
        others = (
            None if negatives is None else as_windows(negatives, "negatives", (length, sensors))
        )
        start = np.arange(n, dtype=np.int64) * (length * NS)
        windows = Windows(np.full(n, MACHINE, object), start, values, np.arange(n, dtype=np.int64))
        self.sensors, self.spec = tuple(SensorConfig(name=f"x{i}") for i in range(sensors)), None
        return self._learn(windows, length * NS, length * NS, y=labels, negatives=others)

    def fit_windows(
        self,
        windows: Windows,
        spec: WindowSpec,
        *,
        max_missing: float = 0.5,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Learn from windows of a machine group, in any order.

        Parameters
        ----------
        windows : Windows
        spec : WindowSpec
            The grid they lie on.
        max_missing : float
            Windows with a larger share of missing cells are not used, 0 to 1.
        progress : callable, optional
            Called with the share of the work done, 0 to 1.

        Raises
        ------
        InputError, ConfigError, NotEnoughHistory
            As `fit`.
        """
        ordered = in_order(windows, spec)
        self.sensors, self.spec = spec.sensors, spec
        return self._learn(
            ordered, spec.window_ns, spec.hop_ns, max_missing=max_missing, progress=progress
        )

    def set_budget(self, alarm: AlarmConfig) -> Self:
        """Replace the line by the one that keeps a budget of false alarms."""
        self._fitted()
        self.line_ = AlarmLine.for_budget(self.calibration_, alarm)
        self.card["line"] = self.line_.to_card()
        return self

    def score(self, values: ArrayLike) -> Scores:
        """Score windows.

        Parameters
        ----------
        values : float array (n, T, C)
            In sensor units; NaN = missing. Every window needs at least one value of a
            sensor that is known.

        Returns
        -------
        Scores

        Raises
        ------
        InputError
            For a wrong shape, and for windows without any value.
        ModelError
            When the model gives something that is not a finite number.
        NotFitted
        """
        windows = self._checked(values)
        scaler, model, scorer = self._fitted()
        passed = forward(model, scaler, windows)
        _refuse_unless_finite(passed.error, windows, scaler)
        raw = scorer.score(passed.z, passed.error)
        _refuse_unless_finite(raw, windows, scaler)
        return Scores(raw, passed.error, passed.sensor_error)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return raw scores (n,); higher = more anomalous. See `score`."""
        return self.score(X).raw

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return 1 for windows above the alarm line, else 0; int64 (n,). See `score`."""
        return (self.score(X).raw > self.line_.line).astype(np.int64)

    def explain(self, X: ArrayLike) -> Explanation:
        """Say which sensors stand out, what was expected, and what is most alike.

        Parameters
        ----------
        X : float array (n, T, C), or (n, d) where a window is one row

        Returns
        -------
        Explanation

        Raises
        ------
        InputError, ModelError, NotFitted
            As `score`.
        """
        values = self._checked(X)
        scaler, model, scorer = self._fitted()
        passed, blame, x_hat = occlude(model, scaler, values)
        _refuse_unless_finite(passed.error, values, scaler)
        contributions = scorer.contributions(passed.z, passed.error)
        _refuse_unless_finite(contributions.sum(axis=1), values, scaler)
        slot, seen = farthest(scaler.scale(values), x_hat)
        window = scaler.expected(x_hat)
        distances, numbers = scorer.index.search(passed.z, NEIGHBOURS)
        return Explanation(
            share=shares(blame),
            expected=at_slot(window, slot, seen),
            actual=at_slot(values.astype(np.float64), slot, seen),
            expected_window=window,
            channels=self.channels,
            evidence=shares(contributions),
            neighbour_machine=scorer.bank.machine[numbers],
            neighbour_start=scorer.bank.start[numbers],
            neighbour_distance=distances,
        )

    def save(self, path: str | Path, **card_extra: Any) -> None:
        """Write the detector as a folder that `load` reads.

        Parameters
        ----------
        path : str or Path
            The folder; a detector that is already there is replaced.
        **card_extra
            JSON values that the card shall hold as well, such as why it was promoted.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        scaler, model, scorer = self._fitted()
        card = self.card | card_extra
        weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
        arrays = stored(scaler, scorer.bank, self.calibration_, self.line_)
        write_artifact(Path(path), card, weights, arrays)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Read a detector that `save` wrote; it gives the same scores, bit by bit.

        Raises
        ------
        ArtifactNotFound, ArtifactCorrupt, ArtifactMismatch
            When files are missing, damaged or of another format.
        ConfigError
            For a device that is not there.
        """
        card, weights, arrays = read_artifact(Path(path))
        target = torch_device(device)
        saved = restore(Path(path), card, weights, arrays)
        self = cls(**saved.settings, device=device)
        self.sensors, self.spec = saved.sensors, saved.spec
        self.calibration_, self.line_ = saved.calibration, saved.line
        self.report_, self.card = saved.report, card
        self._assemble(saved.config, saved.scaler, saved.model.to(target), saved.bank, target)
        return self

    def expect(self, spec: WindowSpec) -> None:
        """Check that the detector was made for windows of this grid.

        Raises
        ------
        ArtifactMismatch
            Names what differs: sensors, their order, length, period or hop.
        """
        _, model, _ = self._fitted()
        span = self.calibration_
        made = {
            "sensors": tuple(sensor.name for sensor in self.sensors),
            "length": model.length,
            "period_ns": span.window_ns // model.length,
            "hop_ns": span.hop_ns,  # the line keeps the budget at this pace only
        }
        asked = {
            "sensors": spec.names,
            "length": spec.length,
            "period_ns": spec.period_ns,
            "hop_ns": spec.hop_ns,
        }
        for what, ours in made.items():
            if ours != asked[what]:
                raise ArtifactMismatch(
                    f"the detector was made for {what} {ours}, not for {asked[what]}"
                )

    def _learn(
        self,
        windows: Windows,
        window_ns: int,
        hop_ns: int,
        *,
        max_missing: float = 1.0,
        y: NDArray[np.int64] | None = None,
        negatives: NDArray[np.float32] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        config = check_settings(vars(self))
        device = torch_device(config.device)
        learned = learn(
            windows,
            window_ns,
            config,
            device,
            max_missing=max_missing,
            y=y,
            negatives=negatives,
            progress=progress,
        )
        self._assemble(config, learned.scaler, learned.model, learned.bank, device)
        held_out = learned.held_out
        raw = self.score(held_out.values).raw
        self.calibration_ = Calibration(held_out.machine, held_out.start, raw, hop_ns, window_ns)
        self.line_ = AlarmLine.for_rate(
            self.calibration_, self.false_alarm_rate, self.max_extrapolation
        )
        self.report_ = learned.report
        self.card = describe(self, config, learned, self._fitted()[2].index.name)
        return self

    def _assemble(
        self,
        config: DetectorConfig,
        scaler: Scaler,
        model: WindowModel,
        bank: Bank,
        device: torch.device,
    ) -> None:
        index = ExactIndex(bank.z, device)
        scorer = SCORERS[config.scorer](bank, index, k=config.k, alpha=config.alpha)
        self.channels, self.known = scorer.channels, scaler.known
        self._parts = (scaler, model.eval(), scorer)

    def _fitted(self) -> tuple[Scaler, WindowModel, Scorer]:
        if self._parts is None:
            raise NotFitted("the detector has learned nothing yet: call fit, or load a saved one")
        return self._parts

    def _checked(self, values: ArrayLike) -> NDArray[np.float32]:
        _, model, _ = self._fitted()
        return as_windows(values, "X", (model.length, model.sensors))


def _labels(y: ArrayLike, n: int) -> NDArray[np.int64]:
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise InputError(f"y has shape {labels.shape}; wanted is ({n},), one label per row of X")
    if not np.isin(labels, (-1, 0, 1)).all():
        raise InputError("y holds other values than 0 (unlabelled), +1 (normal), -1 (anomaly)")
    return labels.astype(np.int64)


def _refuse_unless_finite(
    scores: NDArray[np.float64], values: NDArray[np.float32], scaler: Scaler
) -> None:
    """Say why there is no score: nothing observed, or a model that is broken."""
    if np.isfinite(scores).all():
        return
    empty = np.isnan(values[:, :, scaler.known]).all(axis=(1, 2))
    rows = np.flatnonzero(empty if empty.any() else ~np.isfinite(scores))
    which = ", ".join(str(row) for row in rows[:5]) + (" ..." if len(rows) > 5 else "")
    if empty.any():
        raise InputError(
            f"{len(rows)} of {len(values)} windows hold no value of a known sensor (row {which})"
        )
    raise ModelError(
        f"{len(rows)} of {len(values)} scores are not finite numbers (row {which}): "
        "the detector is broken, train it again"
    )
