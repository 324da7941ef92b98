"""What every model does: a batch of windows in; latents, reconstructions and errors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from stream_ad.detector.networks import NETWORKS

Progress = Callable[[float], None]


class Output(NamedTuple):
    """What a model says about a batch.

    ``z`` (B, D), ``x_hat`` (B, T, C), ``error`` (B,) the model's own evidence, and
    ``sensor_error`` (B, C) each sensor's part of the reconstruction error.
    """

    z: Tensor
    x_hat: Tensor
    error: Tensor
    sensor_error: Tensor


class Body(Protocol):
    """The parts of a network; see `networks`."""

    @property
    def latent_dim(self) -> int:
        """Return D."""
        ...

    @property
    def body(self) -> Callable[[Tensor], Tensor]:
        """Return what turns windows (B, T, C) into features (B, H)."""
        ...

    @property
    def latent(self) -> Callable[[Tensor], Tensor]:
        """Return what turns features (B, H) into latents (B, D)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into windows (B, T, C)."""
        ...


class WindowModel(nn.Module):
    """Base of the family: a network, a masked reconstruction error and a way to fit it.

    Windows are scaled (`Scaler.scale`), so 0 is a sensor's median. A missing cell (NaN;
    all cells of a sensor that is not known) is fed as 0 and does not count in any error.

    A subclass implements `fit`; it overrides `own_error` where its evidence is something
    else than the reconstruction error, and `build` where its network is always the same. The
    size of the latents may be found by `fit`: the card keeps it, and the model is built again
    with that size before its weights are loaded.

    ``closed_form`` says that `fit` takes a moment: then the alarm line is taken out of fold.
    ``learns_anomalies`` says that `fit` learns from labelled anomalies: others never get any.

    Parameters
    ----------
    length, sensors : int
        T and C of the windows.
    network : str
        A key of ``NETWORKS``.
    latent_dim : int, optional
        D; None follows the network's rule.

    Attributes
    ----------
    mined : bool tensor (n,) or None
        Training windows that `fit` took for contamination: they stay out of the bank. None:
        it does not look for any.
    """

    closed_form: ClassVar[bool] = False
    learns_anomalies: ClassVar[bool] = False
    mined: Tensor | None = None

    def __init__(
        self, length: int, sensors: int, *, network: str = "dense", latent_dim: int | None = None
    ) -> None:
        super().__init__()
        self.length, self.sensors = length, sensors
        self.latent_dim = latent_dim  # as asked; the network knows what came of it
        self.network: Body = self.build(network, latent_dim)

    def build(self, network: str, latent_dim: int | None) -> Body:
        """Return the network, with weights not yet learned."""
        return NETWORKS[network](self.length, self.sensors, latent_dim)

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,
        seed: int,
        y: Tensor | None = None,
        negatives: Tensor | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Learn from windows and say how it went.

        Parameters
        ----------
        x : float tensor (n, T, C)
            Scaled windows in time order, on the model's device.
        validation : float tensor (m, T, C)
            Later normal windows, for early stopping.
        epochs : int
            At most so many passes, unless ``x`` is so small that they make too few steps.
        seed : int
            Of everything random.
        y : int tensor (n,), optional
            0 unlabelled, +1 labelled normal, -1 labelled anomaly; the latter only where the
            model ``learns_anomalies``.
        negatives : float tensor (p, T, C), optional
            Out-of-distribution examples.
        progress : callable, optional
            Called with the share done, 0 to 1.

        Returns
        -------
        dict
            JSON values: what the card keeps of the fit.
        """
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """Turn windows without missing cells (B, T, C) into latents (B, D)."""
        z: Tensor = self.network.latent(self.network.body(x))
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into windows (B, T, C)."""
        return self.network.decode(z)

    def own_error(self, z: Tensor, reconstruction_error: Tensor) -> Tensor:  # noqa: ARG002
        """Return the model's evidence (B,); higher = more anomalous."""
        return reconstruction_error

    def forward(self, x: Tensor) -> Output:
        """Encode, decode and compare the observed cells; x (B, T, C), NaN = missing."""
        if x.is_cpu and not x.sum().isnan():
            # nothing is missing: the same bits, without the passes over the mask
            seen, cells, filled = None, x.new_full((len(x),), x.shape[1] * x.shape[2]), x
        else:
            # (B, T, C) 1 or 0; vectorised, which isnan is not
            seen = torch.mul(x, 0).add_(1).nan_to_num_()
            cells, filled = seen.sum((1, 2)), torch.nan_to_num(x)
        z = self.encode(filled)  # (B, D)
        x_hat = self.decode(z)  # (B, T, C)
        residual = filled - x_hat
        if seen is not None:
            residual = residual.mul_(seen)
        # the mean over cells: a sum would grow with the window and swamp the density of ARES
        sensor_error = residual.square().sum(1) / cells.unsqueeze(1)  # (B, C)
        error = self.own_error(z, sensor_error.sum(1))
        if seen is not None:  # nothing can be said of a window without any value
            error = error.masked_fill(cells == 0, torch.nan)
        return Output(z, x_hat, error, sensor_error)
