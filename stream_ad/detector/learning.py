"""From a history of windows to fitted parts, and evidence of windows they did not learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.config import DetectorConfig
from stream_ad.detector.bank import Bank
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.folds import folds
from stream_ad.detector.forward import forward
from stream_ad.detector.models import MODELS, WindowModel, make_model
from stream_ad.detector.parts import Parts
from stream_ad.detector.prepare import Prepared, prepare
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.scorers import SCORERS, views_for
from stream_ad.detector.split import LEAST_CALIBRATION, LEAST_TRAINING
from stream_ad.errors import ModelError, NotEnoughHistory
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import rfc3339

Progress = Callable[[float], None]
FIT_SHARE = 0.9  # of the whole work, for the progress shown
# neighbours where the history is not clean, more than anomalies of a kind: one in so many of
# the bank, and bounds; the upper one is of time and memory
CONTAMINATED_SHARE, CONTAMINATED_K = 5, (100, 1_000)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a history taught.

    Parameters
    ----------
    parts : Parts
        Of a detector, calibrated.
    held_out : Windows
        Normal windows that were not learned from, for the alarm line.
    raw : float64 array (n,)
        Their raw scores.
    report : dict
        How many windows went where and how the fit went.
    span : dict
        What the history was.
    """

    parts: Parts
    held_out: Windows
    raw: NDArray[np.float64]
    report: dict[str, Any]
    span: dict[str, Any]


def learn(
    windows: Windows,
    window_ns: int,
    config: DetectorConfig,
    device: torch.device,
    *,
    max_missing: float,
    y: NDArray[np.int64] | None = None,
    negatives: NDArray[np.float32] | None = None,
    progress: Progress | None = None,
    clock: bool = True,
) -> Learned:
    """Fit scaler and model, fill the bank, and gather evidence for the alarm line.

    A model that takes a moment to fit learns from all windows; the evidence then is out of
    fold: each fifth of the history is judged by parts that were fitted without it. For one
    that takes long, the latest windows are held out of everything.

    Parameters
    ----------
    windows : Windows
        Ordered by start.
    window_ns : int
        Span of a window.
    config : DetectorConfig
        What to make, of what size, with what effort and seed.
    device : torch.device
        Where to train.
    max_missing : float
        Windows with a larger share of missing cells, or with missing cells only, are not
        used.
    y : int array (n,), optional
        0 unlabelled, +1 labelled normal, -1 labelled anomaly; the latter go to the model's
        `fit` and nowhere else.
    negatives : float32 array (p, T, C), optional
        Out-of-distribution examples in sensor units.
    progress : callable, optional
        Called with the share done.
    clock : bool
        Whether the starts of the windows are times of a clock.

    Raises
    ------
    NotEnoughHistory
        When too few usable windows remain.
    ModelError
        When the training diverged.
    """
    by_folds = MODELS[config.model].closed_form
    prepared = prepare(
        windows,
        window_ns,
        0.0 if by_folds else config.calibration_share,
        max_missing=max_missing,
        y=y,
        period_ns=window_ns // windows.values.shape[1] if clock else None,
        scaling=config.scaling,
    )
    training, held_out = prepared.training, prepared.held_out
    learner = _Learner(config, device, prepared, y is not None, negatives)
    parts, fit = learner.fit(training, prepared.label, progress)
    if by_folds:
        rows, evidence = learner.out_of_fold(window_ns)
        held_out = training.take(rows)
    else:
        evidence = parts.evidence(held_out.values, held_out.start)
    if not np.isfinite(evidence).all():
        raise ModelError("the model gives scores that are not finite for its own history")
    parts.scorer.calibrate(evidence)
    if progress is not None:
        progress(1.0)
    used = len(training) + len(prepared.validation) + len(prepared.held_out)
    report = {
        "windows": len(windows),
        "training": len(training),
        "validation": len(prepared.validation),
        "calibration": len(held_out),
        "out_of_fold": by_folds,
        "left_out": len(windows) - used,
        "labelled_anomalies": len(prepared.anomalies),
        "learned_anomalies": len(prepared.anomalies) if parts.model.learns_anomalies else 0,
        "bank": len(parts.scorer.bank),
        "k": parts.scorer.k,
        **fit,
    }
    raw = parts.scorer.join(evidence)
    return Learned(parts, held_out, raw, report, _span(windows, window_ns))


@dataclass(frozen=True, slots=True)
class _Learner:
    """Fits the parts of a detector, to all of a prepared history or to some of it."""

    config: DetectorConfig
    device: torch.device
    prepared: Prepared
    labelled: bool
    negatives: NDArray[np.float32] | None

    def fit(
        self, training: Windows, label: NDArray[np.int64], progress: Progress | None = None
    ) -> tuple[Parts, dict[str, Any]]:
        """Return parts fitted to training windows, and what the fit reports."""
        config, scaler = self.config, self.prepared.scaler
        if scaler.daily is not None and len(training) < len(self.prepared.training):
            plain = scaler.without_course().scale(training.values)
            scaler = replace(scaler, daily=scaler.daily.again(plain, training.start))
        model = _drawn(config, *training.values.shape[1:]).to(self.device)
        prepared = replace(self.prepared, scaler=scaler, training=training, label=label)
        report = _fit(
            model,
            config,
            prepared,
            labelled=self.labelled,
            negatives=self.negatives,
            progress=progress,
        )
        kept, config = self._clean(training, label, model)
        training, sure = training.take(kept), label[kept] > 0
        passed = forward(model, scaler, training.values, training.start)
        bank = Bank.build(
            passed.z, passed.error, training.machine, training.start, config.bank_windows, sure
        )
        views = None
        if SCORERS[config.scorer].needs_views:
            scaled = scaler.scale(training.values, training.start)
            views = views_for(model.length).fit(scaled, seed=config.seed, sure=sure)
        return Parts.assemble(config, scaler, model, bank, views, self.device), report

    def _clean(
        self, training: Windows, label: NDArray[np.int64], model: WindowModel
    ) -> tuple[NDArray[np.int64], DetectorConfig]:
        """Return which rows stay; look at more neighbours where the model mined any.

        What was mined is left out, but for what somebody has called normal. What mining
        overlooked still lies in the bank, a few of a kind: k beyond their number finds them
        lonely.
        """
        every = np.arange(len(training))
        if model.mined is None or not model.mined.any():
            return every, self.config
        kept = every[~model.mined.cpu().numpy() | (label > 0)]
        values = training.values[kept]
        if np.array_equal(values, values[:1].repeat(len(kept), 0), equal_nan=True):
            return every, self.config  # all that ever moved was mined: nothing to compare with
        least, most = CONTAMINATED_K
        bank = min(len(kept), self.config.bank_windows)
        k = min(max(least, bank // CONTAMINATED_SHARE), most)
        return kept, self.config.model_copy(update={"k": max(self.config.k, k)})

    def out_of_fold(self, window_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return which training windows (n,) were judged by parts that never saw them, and how.

        Centre and spread of the sensors are those of the whole history. A fold is left out
        if all else stands still: nothing can be learned from that.
        """
        training, label = self.prepared.training, self.prepared.label
        learner = replace(self, config=self.config.model_copy(update={"index": "exact"}))
        rows, gathered, still = [], [], None
        for learn_rows, judge_rows in folds(training.start, window_ns):
            if len(learn_rows) < LEAST_TRAINING:
                raise NotEnoughHistory(
                    f"{len(training)} usable windows leave {len(learn_rows)} to learn from while a "
                    "fifth of them is judged and what lies within two windows of it is left out; "
                    f"at least {LEAST_TRAINING} needed: give more history"
                )
            try:
                parts, _ = learner.fit(training.take(learn_rows), label[learn_rows])
            except NotEnoughHistory as error:
                still = error
                continue
            judged = training.take(judge_rows)
            rows.append(judge_rows)
            gathered.append(parts.evidence(judged.values, judged.start))
        if still is not None and sum(map(len, rows)) < LEAST_CALIBRATION:
            raise still
        return np.concatenate(rows), np.concatenate(gathered)


def _drawn(config: DetectorConfig, length: int, sensors: int) -> WindowModel:
    """Build the model with the same weights on every device, leaving torch's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        return make_model(config, length, sensors)


def _fit(
    model: WindowModel,
    config: DetectorConfig,
    parts: Prepared,
    *,
    labelled: bool,
    negatives: NDArray[np.float32] | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Fit the model on training, validation and labelled anomalous windows."""
    device = next(model.parameters()).device

    def scaled(windows: Windows) -> torch.Tensor:
        return torch.from_numpy(parts.scaler.scale(windows.values, windows.start)).to(device)

    training, label = parts.training, parts.label
    if len(parts.anomalies) and model.learns_anomalies:
        training = Windows.concat([training, parts.anomalies])
        label = np.concatenate([label, np.full(len(parts.anomalies), -1)])
        order = np.argsort(training.start, kind="stable")
        training, label = training.take(order), label[order]
    # sensors that first appear in the tail may leave nothing to validate on
    validation = parts.validation if len(parts.validation) else parts.training
    with one_thread():
        return model.fit(
            scaled(training),
            scaled(validation),
            epochs=config.epochs,
            seed=config.seed,
            y=torch.from_numpy(label).to(device) if labelled else None,
            negatives=None if negatives is None else _plain(parts.scaler, negatives, device),
            progress=None if progress is None else lambda done: progress(FIT_SHARE * done),
        )


def _plain(scaler: Scaler, values: NDArray[np.float32], device: torch.device) -> torch.Tensor:
    """Scale windows that come from no time of this machine's day."""
    return torch.from_numpy(replace(scaler, daily=None).scale(values)).to(device)


def _span(windows: Windows, window_ns: int) -> dict[str, Any]:
    """Describe a history so that another one can be told from it."""
    names = np.unique(windows.machine.astype(str))
    digest = hashlib.sha256()
    for part in (windows.start.tobytes(), windows.values.tobytes(), "\0".join(names).encode()):
        digest.update(part)
    return {
        "windows": len(windows),
        "machines": len(names),
        "from": rfc3339(int(windows.start[0])),
        "to": rfc3339(int(windows.start.max()) + window_ns),
        "sha256": digest.hexdigest(),
    }
