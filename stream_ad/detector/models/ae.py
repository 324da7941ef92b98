"""The plain autoencoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stream_ad.detector.models.base import Progress, WindowModel
from stream_ad.detector.models.descent import descend, mean_error


class Ae(WindowModel):
    """Autoencoder: rebuild normal windows through a bottleneck; what it cannot rebuild is odd.

    ``error(x) = mean over observed cells of (x - x_hat)^2``. The ARES paper writes a sum
    (eq. 2); the mean is used because only so alpha = 0.5 weighs error and density alike.

    Weak where anomalies are easy to rebuild (a constant signal, a stuck sensor) and where
    many of them lie in the history: it learns them.

    Examples
    --------
    >>> import torch
    >>> out = Ae(4, 2).eval()(torch.zeros(3, 4, 2))
    >>> out.z.shape, out.x_hat.shape, out.error.shape, out.sensor_error.shape
    (torch.Size([3, 5]), torch.Size([3, 4, 2]), torch.Size([3]), torch.Size([3, 2]))
    """

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,
        seed: int,
        y: Tensor | None = None,  # noqa: ARG002 - anomalies are left out before
        negatives: Tensor | None = None,  # noqa: ARG002 - the plain autoencoder knows none
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Minimise the mean error over the windows."""

        def loss(rows: Tensor) -> Tensor:
            error: Tensor = self(x[rows]).error
            return error.mean()

        return descend(
            self,
            len(x),
            loss,
            lambda: mean_error(self, validation),
            epochs=epochs,
            seed=seed,
            progress=progress,
        )
