"""The training loop: Adam, time-ordered validation, early stopping, the best weights kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stream_ad.detector.models.base import Progress, WindowModel
from stream_ad.errors import ModelError


@dataclass(frozen=True, slots=True)
class Descent:
    """Settings of `descend`; the defaults are those of the ARES paper for tables.

    ``min_steps`` keeps small histories from stopping before anything was learned: with
    one batch per epoch a number of epochs alone says little.
    """

    rate: float = 1e-3
    weight_decay: float = 1e-6
    batch: int = 250
    patience: int = 20
    min_steps: int = 600


def descend(
    model: nn.Module,
    rows: int,
    loss: Callable[[Tensor], Tensor],
    validate: Callable[[], float],
    *,
    epochs: int,
    seed: int,
    settings: Descent | None = None,
    progress: Progress | None = None,
) -> dict[str, int | float]:
    """Lower a loss and leave the weights of the best validation in the model.

    Parameters
    ----------
    model : nn.Module
        Its parameters that require a gradient are trained.
    rows : int
        Number of training rows, at least 2.
    loss : callable
        From the indices of a batch, int64 tensor (b,), to a scalar.
    validate : callable
        The figure to stop by, computed in evaluation mode; lower is better.
    epochs : int
        At most so many, but at least ``min_steps`` steps.
    seed : int
        Of the order of the batches.
    settings : Descent, optional
    progress : callable, optional
        Called with the share done after each epoch.

    Returns
    -------
    dict
        ``epochs``, ``best_epoch``, ``steps``, ``validation_error``.

    Raises
    ------
    ModelError
        When no epoch gave a finite validation error.
    """
    settings = settings or Descent()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, settings.rate, weight_decay=settings.weight_decay)
    generator = torch.Generator().manual_seed(seed)
    batches = max(1, rows // settings.batch)  # even sizes: no batch of one, none dropped
    epochs = max(epochs, -(-settings.min_steps // batches))
    best, best_epoch, best_state = float("inf"), 0, _state(model)
    epoch = 0
    while epoch < epochs:
        epoch += 1
        model.train()
        order = torch.randperm(rows, generator=generator)
        for batch in order.tensor_split(batches):
            optimiser.zero_grad()
            loss(batch.to(trained[0].device)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        model.eval()
        value = validate()
        if value < best:
            best, best_epoch, best_state = value, epoch, _state(model)
        if progress is not None:
            progress(epoch / epochs)
        if epoch - best_epoch > settings.patience and epoch * batches >= settings.min_steps:
            break
    if best_epoch == 0:
        raise ModelError(f"the training diverged: no finite validation error in {epoch} epochs")
    model.load_state_dict(best_state)
    return {
        "epochs": epoch,
        "best_epoch": best_epoch,
        "steps": epoch * batches,
        "validation_error": best,
    }


def mean_error(model: WindowModel, x: Tensor, rows: int = 1024) -> float:
    """Return the mean error of windows (n, T, C), in pieces of so many rows."""
    with torch.no_grad():
        errors = [model(x[first : first + rows]).error for first in range(0, len(x), rows)]
    return float(torch.cat(errors).double().mean())


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
