"""Deep SVDD: a small sphere around the normal windows, without any label."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stream_ad.detector.models.base import Progress
from stream_ad.detector.models.hypersphere import Hypersphere


class DeepSvdd(Hypersphere):
    """Deep SVDD: map normal windows into a small sphere; what lands outside is odd.

    Minimises the mean of ``||z - c||^2`` over the windows, eq. 3 of the Deep SAD paper (one
    class, without a radius). What the windows have in common stays, what differs between
    them shrinks; so an oddity shows by what it does *not* have in common with them. How it
    is trained, and where that differs from the paper: see `Hypersphere`. Labelled anomalies
    are left out; `DeepSad` learns from them.

    Weak where the normal windows fall into several classes (one sphere holds them all, and
    what lies between), where the history is small (cardio: AUC-ROC 70 to 90 by the seed) and
    where it holds anomalies: they are drawn to the centre as well. With ``ares``: see
    `Hypersphere`.

    Costs two to four times the autoencoder's fit: as many epochs in batches half as large,
    an eighth of them again for the encoder, and as many for the decoder alone. Scoring costs
    what the autoencoder's does.

    Examples
    --------
    >>> import torch
    >>> out = DeepSvdd(4, 2).eval()(torch.zeros(3, 4, 2))
    >>> out.z.shape, out.error.shape
    (torch.Size([3, 5]), torch.Size([3]))
    >>> out.error.data.square()  # z = 0, and c = (0.1, ...) before the fit
    tensor([0.0500, 0.0500, 0.0500])
    """

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,
        seed: int,
        y: Tensor | None = None,
        negatives: Tensor | None = None,  # noqa: ARG002 - it knows none
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Learn to rebuild the windows, then draw them to the centre."""
        normal = x if y is None else x[y >= 0]

        def objective(rows: Tensor) -> Tensor:
            return self.squared_distance(normal[rows]).mean()  # eq. 3

        return self.draw(normal, validation, objective, epochs=epochs, seed=seed, progress=progress)
