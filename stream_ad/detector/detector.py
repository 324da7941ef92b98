"""The detector: windows in; raw scores, an alarm line and reasons out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.config import AlarmConfig, SensorConfig
from stream_ad.detector.artifact import ADVICE, read_artifact, write_artifact
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.card import describe, restore, stored
from stream_ad.detector.explanation import (
    NEIGHBOURS,
    Explanation,
    at_slot,
    blamed,
    farthest,
    shares,
)
from stream_ad.detector.index_choice import check_index
from stream_ad.detector.inputs import as_negatives, as_windows
from stream_ad.detector.learning import learn
from stream_ad.detector.line import AlarmLine
from stream_ad.detector.machine_scales import MachineScales
from stream_ad.detector.occlusion import occlude
from stream_ad.detector.parts import Parts
from stream_ad.detector.prepare import in_order
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.scores import Scores
from stream_ad.detector.settings import check_settings, torch_device
from stream_ad.errors import ArtifactCorrupt, ArtifactMismatch, InputError, ModelError, NotFitted
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
        A key of ``MODELS``: ``linear``, ``ae``, ``lis_ae``, ``linsep_lis_ae``, ``ncae``,
        ``deep_svdd``, ``deep_sad`` or ``anorand``.
    scorer : str
        A key of ``SCORERS``: ``joined``, ``ares`` or ``error``.
    network : str
        ``dense`` or ``tcn`` (temporal convolutions, for long windows).
    scaling : str
        ``robust``, or ``standard`` for tables with ``ares`` or ``error``: see `Scaler`.
    scale_per_machine : bool
        Puts every machine that `fit_windows` knows onto the group's scale: `MachineScales`.
    k : int
        Neighbours of ``ares``, at least 1; more than the bank holds are cut. About 100 where
        the history is not clean. ``joined`` looks at a third of them.
    alpha : float
        Weight of the density in ``ares``, at least 0.
    latent_dim : int, optional
        Size of the latents; None derives it from the window.
    index : str
        ``auto``, ``exact`` or ``hnsw`` (needs the package hnswlib): see `make_index`.
    bank_windows : int
        At most so many different latents are kept, at least 2: a part of every rare state,
        of the rest those evenly spaced in time. ``auto`` leaves exact search above 10,000.
    epochs : int
        At most so many passes over the history; small histories take more.
    calibration_share : float
        Share of the windows, the latest ones, held out for the alarm line of ``ae``;
        ``linear`` is calibrated out of fold, on all of them.
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
        model: str = "linear",
        scorer: str = "joined",
        *,
        network: str = "dense",
        scaling: str = "robust",
        scale_per_machine: bool = False,
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
        self.scaling = scaling
        self.scale_per_machine = scale_per_machine
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
        self._parts: Parts | None = None
        self._scales: MachineScales | None = None

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
            out of bank and alarm line, and out of training unless the model learns from
            them; ``report_`` says how many there were and how many were learned from.
        negatives : float array (p, d) or (p, T, C), optional
            Out-of-distribution examples, for models that use them; those without any value
            are left out.

        Raises
        ------
        InputError
            For arrays of a wrong shape or kind, and negatives without any value.
        ConfigError
            For a setting that cannot be used.
        NotEnoughHistory
            With too few usable rows; says how many there are and how many are needed.
        MissingDependency
            For an index whose package is not installed.
        """
        values = as_windows(X, "X", None)
        n, length, sensors = values.shape
        labels = None if y is None else _labels(y, n)
        others = None if negatives is None else as_negatives(negatives, (length, sensors))
        start = np.arange(n, dtype=np.int64) * (length * NS)
        windows = Windows(np.full(n, MACHINE, object), start, values, np.arange(n, dtype=np.int64))
        self.sensors, self.spec = tuple(SensorConfig(name=f"x{i}") for i in range(sensors)), None
        return self._learn(windows, length * NS, length * NS, y=labels, negatives=others)

    def fit_windows(
        self,
        windows: Windows,
        spec: WindowSpec,
        *,
        y: NDArray[np.int64] | None = None,
        max_missing: float = 0.5,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Learn from windows of a machine group, in any order.

        Parameters
        ----------
        windows : Windows
        spec : WindowSpec
            The grid they lie on.
        y : int64 array (n,), optional
            As of `fit`.
        max_missing : float
            Windows with a larger share of missing cells are not used, 0 to 1.
        progress : callable, optional
            Called with the share of the work done, 0 to 1.

        Raises
        ------
        InputError, ConfigError, NotEnoughHistory, MissingDependency
            As `fit`.
        """
        ordered, labels = in_order(windows, spec, None if y is None else _labels(y, len(windows)))
        self.sensors, self.spec = spec.sensors, spec
        return self._learn(
            ordered,
            spec.window_ns,
            spec.hop_ns,
            max_missing=max_missing,
            y=labels,
            progress=progress,
        )

    def set_budget(self, alarm: AlarmConfig) -> Self:
        """Replace the line by the one that keeps a budget of false alarms."""
        self._fitted()
        self.line_ = AlarmLine.for_budget(self.calibration_, alarm)
        self.card["line"] = self.line_.to_card()
        return self

    def score(
        self,
        values: ArrayLike,
        start: NDArray[np.int64] | None = None,
        machine: NDArray[np.object_] | None = None,
    ) -> Scores:
        """Score windows.

        Parameters
        ----------
        values : float array (n, T, C)
            In sensor units; NaN = missing. Every window needs at least one value of a
            sensor that is known.
        start : int64 array (n,), optional
            When the windows begin, nanoseconds since the epoch; needed by a detector that
            learned the course of the day, which one fitted by `fit` never does.
        machine : object array (n,), optional
            Whose they are; read by a detector with ``scale_per_machine``. Windows of nobody are
            taken to be on the group's scale.

        Returns
        -------
        Scores

        Raises
        ------
        InputError
            For a wrong shape, for windows without any value, and without needed starts.
        ModelError
            When the model gives something that is not a finite number.
        NotFitted
        """
        parts, windows = self._fitted(), self._checked(values, start, machine)
        passed = parts.passed(windows, start)
        _refuse_unless_finite(passed.error, windows, parts.scaler)
        raw = parts.scorer.score(passed.z, passed.error, passed.views)
        _refuse_unless_finite(raw, windows, parts.scaler)
        return Scores(raw, passed.error, passed.sensor_error)

    def decision_function(
        self, X: ArrayLike, start: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return raw scores (n,); higher = more anomalous. See `score`."""
        return self.score(X, start).raw

    def predict(self, X: ArrayLike, start: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return 1 for windows above the alarm line, else 0; int64 (n,). See `score`."""
        return (self.score(X, start).raw > self.line_.line).astype(np.int64)

    def explain(
        self,
        X: ArrayLike,
        start: NDArray[np.int64] | None = None,
        machine: NDArray[np.object_] | None = None,
    ) -> Explanation:
        """Say which sensors stand out, what was expected, and what is most alike.

        Parameters
        ----------
        X : float array (n, T, C), or (n, d) where a window is one row
        start : int64 array (n,), optional
        machine : object array (n,), optional
            As in `score`.

        Returns
        -------
        Explanation

        Raises
        ------
        InputError, ModelError, NotFitted
            As `score`.
        """
        parts, values = self._fitted(), self._checked(X, start, machine)
        scaler, scorer = parts.scaler, parts.scorer
        passed, blame, x_hat = occlude(parts.model, scaler, values, start)
        _refuse_unless_finite(passed.error, values, scaler)
        scaled = scaler.scale(values, start)
        views, by_view = (None, None) if parts.views is None else parts.views(scaled)
        evidence = scorer.evidence(passed.z, passed.error, views)
        contributions = scorer.contributions(evidence)
        _refuse_unless_finite(contributions.sum(axis=1), values, scaler)
        slot, seen = farthest(scaled, x_hat)
        window = scaler.expected(x_hat, start)
        distances, numbers = scorer.index.search(passed.z, NEIGHBOURS)
        return Explanation(
            share=shares(blame) if by_view is None else blamed(contributions, by_view, blame),
            expected=self._own(at_slot(window, slot, seen), machine),
            actual=self._own(at_slot(values.astype(np.float64), slot, seen), machine),
            expected_window=self._own(window, machine),
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
        parts = self._fitted()
        card = self.card | card_extra
        weights = {name: value.cpu().numpy() for name, value in parts.model.state_dict().items()}
        arrays = stored(parts, self._scales, self.calibration_, self.line_)
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
        MissingDependency
            When it was made with an index whose package is not installed.
        """
        card, weights, arrays = read_artifact(Path(path))
        target = torch_device(device)
        saved = restore(Path(path), card, weights, arrays)
        self = cls(**saved.settings, device=device)
        self.sensors, self.spec = saved.sensors, saved.spec
        self.calibration_, self.line_ = saved.calibration, saved.line
        self.report_, self.card, self._scales = saved.report, card, saved.scales
        # what the line was made with: another index or k would give other scores
        used = {"index": card.get("index", "exact"), "k": saved.report.get("k", saved.config.k)}
        config = saved.config.model_copy(update=used)
        model = saved.model.to(target)
        parts = Parts.assemble(config, saved.scaler, model, saved.bank, saved.views, target)
        try:
            parts.scorer.recall(saved.scorer)
        except (LookupError, ValueError) as cause:
            raise ArtifactCorrupt(
                f"{path}: what joins the evidence is missing or damaged: {cause}: {ADVICE}"
            ) from cause
        self._take(parts)
        return self

    def expect(self, spec: WindowSpec) -> None:
        """Check that the detector was made for windows of this grid.

        Raises
        ------
        ArtifactMismatch
            Names the settings that differ: sensors or their order, period, length or hop.
        """
        model = self._fitted().model
        span = self.calibration_
        period_ns = span.window_ns // model.length
        pairs = {
            "windows.sensors": ([sensor.name for sensor in self.sensors], [*spec.names]),
            "windows.period_s": (period_ns / NS, spec.period_ns / NS),
            "windows.length": (f"{model.length} slots", f"{spec.length} slots"),
            # the line keeps the budget at this pace only
            "windows.hop": (f"{span.hop_ns // period_ns} slots", f"{spec.hop} slots"),
        }
        different = [f"{key} {a}, not {b}" for key, (a, b) in pairs.items() if a != b]
        if different:
            raise ArtifactMismatch(f"the detector was made for {'; '.join(different)}")

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
        check_index(config.index)
        device = torch_device(config.device)
        self._scales = None
        if config.scale_per_machine:
            normal = windows if y is None else windows.take(y >= 0)
            self._scales = MachineScales.fit(normal.values, normal.machine)
            moved = self._scales.to_group(windows.values, windows.machine)
            windows = replace(windows, values=moved)
        learned = learn(
            windows,
            window_ns,
            config,
            device,
            max_missing=max_missing,
            y=y,
            negatives=negatives,
            progress=progress,
            clock=self.spec is not None,
        )
        self._take(learned.parts)
        held_out = learned.held_out
        self.calibration_ = Calibration(
            held_out.machine, held_out.start, learned.raw, hop_ns, window_ns
        )
        self.line_ = AlarmLine.for_rate(
            self.calibration_, self.false_alarm_rate, self.max_extrapolation
        )
        self.report_ = learned.report
        self.card = describe(self, config, learned)
        return self

    def _take(self, parts: Parts) -> None:
        self._parts, self.channels, self.known = parts, parts.scorer.channels, parts.scaler.known

    def _fitted(self) -> Parts:
        if self._parts is None:
            raise NotFitted("the detector has learned nothing yet: call fit, or load a saved one")
        return self._parts

    def _own(
        self, values: NDArray[np.float64], machine: NDArray[np.object_] | None
    ) -> NDArray[np.float64]:
        """Return what stands on the group's scale in the units that the machine reads in."""
        if self._scales is None or machine is None:
            return values
        return self._scales.from_group(values, np.asarray(machine, object))

    def _checked(
        self,
        values: ArrayLike,
        start: NDArray[np.int64] | None,
        machine: NDArray[np.object_] | None,
    ) -> NDArray[np.float32]:
        parts = self._fitted()
        windows = as_windows(values, "X", (parts.model.length, parts.model.sensors))
        if start is None and parts.scaler.daily is not None:
            raise InputError("start is missing: the detector knows the course of the day")
        if start is not None and np.shape(start) != (len(windows),):
            shape = np.shape(start)
            raise InputError(f"start has shape {shape}; wanted is ({len(windows)},), one a window")
        if machine is None or self._scales is None:
            return windows
        machine = np.asarray(machine, object)
        if np.shape(machine) != (len(windows),):
            shape = np.shape(machine)
            raise InputError(
                f"machine has shape {shape}; wanted is ({len(windows)},), one a window"
            )
        return self._scales.to_group(windows, machine)


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
