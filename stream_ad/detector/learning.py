"""From a history of windows to a scaler, a fitted model, a bank and held-out windows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.detector.bank import Bank
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.forward import forward
from stream_ad.detector.history import check_enough, split
from stream_ad.detector.models import MODELS, WindowModel
from stream_ad.detector.scaling import Scaler
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import missing_share, rfc3339

Progress = Callable[[float], None]
FIT_SHARE = 0.9  # of the whole work, for the progress shown


@dataclass(frozen=True, slots=True)
class Recipe:
    """What `learn` makes: names of model and network, sizes, effort, seed, device."""

    model: str
    network: str
    latent_dim: int | None
    bank_windows: int
    epochs: int
    calibration_share: float
    seed: int
    device: torch.device


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
    recipe: Recipe,
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
    recipe : Recipe
    max_missing : float
        Windows with a larger share of missing cells, or with missing cells only, are not
        used.
    y : int array (n,), optional
        Labelled anomalies (-1) go to the model's `fit` and nowhere else.
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
    y = np.zeros(len(windows), np.int64) if y is None else y
    normal = np.flatnonzero(~np.isnan(windows.values).all(axis=(1, 2)) & (y >= 0))
    parts = split(windows.start[normal], window_ns, recipe.calibration_share)
    training = windows.take(normal[parts.training])
    scaler = Scaler.fit(training.values)
    training, validation, held_out = (
        usable(part, scaler, max_missing)
        for part in (
            training,
            windows.take(normal[parts.validation]),
            windows.take(normal[parts.calibration]),
        )
    )
    labelled = usable(windows.take(y < 0), scaler, 1.0)
    check_enough(len(windows), len(training), len(held_out), recipe.calibration_share)
    model = _model(recipe, *training.values.shape[1:])
    fit = _fit(
        model,
        recipe,
        scaler,
        (training, validation, labelled),
        negatives=negatives,
        progress=progress,
    )
    passed = forward(model, scaler, training.values)
    bank = Bank.build(passed.z, passed.error, training.machine, training.start, recipe.bank_windows)
    if progress is not None:
        progress(1.0)
    report = {
        "windows": len(windows),
        "training": len(training),
        "validation": len(validation),
        "calibration": len(held_out),
        "left_out": len(windows) - len(training) - len(validation) - len(held_out),
        "bank": len(bank),
        **fit,
    }
    return Learned(scaler, model, bank, held_out, report, _span(windows, window_ns))


def usable(windows: Windows, scaler: Scaler, max_missing: float) -> Windows:
    """Return the windows of which enough cells of known sensors are there."""
    missing = missing_share(windows.values, scaler.known)
    # nothing can be said of a window without any value, whatever share is allowed
    return windows.take((missing <= max_missing) & (missing < 1))


def _model(recipe: Recipe, length: int, sensors: int) -> WindowModel:
    """Build the model with the same weights on every device, leaving torch's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = MODELS[recipe.model](
            length, sensors, network=recipe.network, latent_dim=recipe.latent_dim
        )
    return model.to(recipe.device)


def _fit(
    model: WindowModel,
    recipe: Recipe,
    scaler: Scaler,
    parts: tuple[Windows, Windows, Windows],
    *,
    negatives: NDArray[np.float32] | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Fit the model on training, validation and labelled anomalous windows."""

    def scaled(values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(scaler.scale(values)).to(recipe.device)

    training, validation, labelled = parts
    y = None
    if len(labelled):
        y = torch.cat([torch.zeros(len(training)), -torch.ones(len(labelled))]).to(recipe.device)
        training = Windows.concat([training, labelled])
    with one_thread():
        return model.fit(
            scaled(training.values),
            # sensors that first appear in the tail may leave nothing to validate on
            scaled((validation if len(validation) else training).values),
            epochs=recipe.epochs,
            seed=recipe.seed,
            y=y,
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
