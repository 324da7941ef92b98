"""From a history of windows to a scaler, a fitted model, a bank and held-out windows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.config import DetectorConfig
from stream_ad.detector.bank import Bank
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.forward import forward
from stream_ad.detector.models import WindowModel, make_model
from stream_ad.detector.prepare import Prepared, prepare
from stream_ad.detector.scaling import Scaler
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import rfc3339

Progress = Callable[[float], None]
FIT_SHARE = 0.9  # of the whole work, for the progress shown


@dataclass(frozen=True, slots=True)
class Learned:
    """What a history taught: the parts of a detector, and the windows held out.

    ``report`` says how many windows went where and how the fit went; ``span`` says what
    the history was.
    """

    scaler: Scaler
    model: WindowModel
    bank: Bank
    held_out: Windows
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
) -> Learned:
    """Fit scaler and model, fill the bank.

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

    Raises
    ------
    NotEnoughHistory
        When too few usable windows remain.
    ModelError
        When the training diverged.
    """
    parts = prepare(windows, window_ns, config.calibration_share, max_missing=max_missing, y=y)
    training = parts.training
    model = _drawn(config, *training.values.shape[1:]).to(device)
    fit = _fit(model, config, parts, labelled=y is not None, negatives=negatives, progress=progress)
    passed = forward(model, parts.scaler, training.values)
    bank = Bank.build(passed.z, passed.error, training.machine, training.start, config.bank_windows)
    if progress is not None:
        progress(1.0)
    used = len(training) + len(parts.validation) + len(parts.held_out)
    report = {
        "windows": len(windows),
        "training": len(training),
        "validation": len(parts.validation),
        "calibration": len(parts.held_out),
        "left_out": len(windows) - used,
        "bank": len(bank),
        **fit,
    }
    return Learned(parts.scaler, model, bank, parts.held_out, report, _span(windows, window_ns))


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

    def scaled(values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(parts.scaler.scale(values)).to(device)

    training, label = parts.training, parts.label
    if len(parts.anomalies):
        training = Windows.concat([training, parts.anomalies])
        label = np.concatenate([label, np.full(len(parts.anomalies), -1)])
        order = np.argsort(training.start, kind="stable")
        training, label = training.take(order), label[order]
    # sensors that first appear in the tail may leave nothing to validate on
    validation = parts.validation if len(parts.validation) else parts.training
    with one_thread():
        return model.fit(
            scaled(training.values),
            scaled(validation.values),
            epochs=config.epochs,
            seed=config.seed,
            y=torch.from_numpy(label).to(device) if labelled else None,
            negatives=None if negatives is None else scaled(negatives),
            progress=None if progress is None else lambda done: progress(FIT_SHARE * done),
        )


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
