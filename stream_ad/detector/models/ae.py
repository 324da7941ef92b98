"""The plain autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stream_ad.detector.models.base import Progress, WindowModel
from stream_ad.detector.models.descent import descend, mean_error
from stream_ad.detector.models.pieces import in_pieces, masked_error

NOISE = 0.3  # standard deviations of the scaled rows of a table
REACH = 2.0  # spreads from the middle of the latents: as far is a row of a table rebuilt


class Ae(WindowModel):
    """Autoencoder: rebuild normal windows through a bottleneck; what it cannot rebuild is odd.

    ``error(x) = mean over observed cells of (x - x_hat)^2``. The ARES paper writes a sum
    (eq. 2); the mean is used because only so alpha = 0.5 weighs error and density alike.

    For windows of one slot, the rows of a table, it learns to rebuild a row from a noisy copy
    (Vincent et al. 2008), and rebuilds no row from farther off than two spreads from the middle
    of the latents of the history. There the bottleneck is about as wide as what rows differ in:
    a linear bottleneck then also rebuilds what lies far outside the history, if it lies in a
    direction that the history knows, and the worst anomalies have an ordinary error. ARES sees
    the latents as they are. The paper has neither.

    Weak where anomalies are easy to rebuild (a constant signal, a stuck sensor) and where
    many of them lie in the history: it learns them.

    Attributes
    ----------
    lowest, highest : float tensor (D,)
        Between what the decoder takes latents.

    Examples
    --------
    >>> import torch
    >>> out = Ae(4, 2).eval()(torch.zeros(3, 4, 2))
    >>> out.z.shape, out.x_hat.shape, out.error.shape, out.sensor_error.shape
    (torch.Size([3, 5]), torch.Size([3, 4, 2]), torch.Size([3]), torch.Size([3, 2]))
    """

    lowest: Tensor
    highest: Tensor

    def __init__(
        self, length: int, sensors: int, *, network: str = "dense", latent_dim: int | None = None
    ) -> None:
        super().__init__(length, sensors, network=network, latent_dim=latent_dim)
        anywhere = torch.full((self.network.latent_dim,), torch.inf)
        self.register_buffer("lowest", -anywhere)
        self.register_buffer("highest", anywhere)

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into windows (B, T, C), as if they lay within the bounds."""
        return super().decode(torch.clamp(z, self.lowest, self.highest))

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
        generator = torch.Generator().manual_seed(seed)

        def loss(rows: Tensor) -> Tensor:
            windows = x[rows]
            if self.length > 1:
                error: Tensor = self(windows).error
                return error.mean()
            noise = torch.randn(windows.shape, generator=generator).to(windows.device)
            z = self.encode((windows + NOISE * noise).nan_to_num())
            return masked_error(windows, self.decode(z)).mean()

        report = descend(
            self,
            len(x),
            loss,
            lambda: mean_error(self, validation),
            epochs=epochs,
            seed=seed,
            progress=progress,
        )
        if self.length == 1:
            self._bound(in_pieces(self.encode, x.nan_to_num()))
        return report

    def _bound(self, z: Tensor) -> None:
        """Hold the decoder to where the latents (n, D) of the history lie."""
        middle, spread = z.mean(0), z.std(0)
        self.lowest.copy_(middle - REACH * spread)
        self.highest.copy_(middle + REACH * spread)
