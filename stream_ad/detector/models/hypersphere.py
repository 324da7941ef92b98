"""What Deep SVDD and Deep SAD share: an encoder without offsets, a centre, distances to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from stream_ad.detector.models import descent
from stream_ad.detector.models.base import Body, Progress, WindowModel
from stream_ad.detector.models.descent import descend
from stream_ad.detector.models.pieces import in_pieces, masked_error
from stream_ad.detector.networks import NETWORKS

BATCH = 128
DRAWN_EPOCHS, DRAWN_STEPS = 8, 2  # an eighth of the epochs, half of the least steps
WEIGHT_DECAY = 0.0  # see Hypersphere
LEAST_UNIT = 0.1  # a sensor that moves less keeps the unit it came with
LEAST = 0.1  # distance of every coordinate of the centre from 0
ROUNDING = 1e-5  # latents this close together, seen from 0, differ by little but rounding
SMALLEST = 1e-12  # spread of a latent, so that it divides
FARTHEST = 3.0  # spreads from the middle of the latents that the decoder has learned from
ENCODED, DRAWN = 0.55, 0.7  # share of the work done after the first and the second step

Objective = Callable[[Tensor], Tensor]


class Hypersphere(WindowModel):
    """An encoder that maps normal windows close to a centre c; the evidence is the distance.

    Equation numbers are those of the Deep SAD paper. `draw` goes three steps: an autoencoder
    learns to rebuild normal windows (appendix C); c becomes the mean of their latents and
    the encoder is trained on, towards the objective of the subclass; the decoder is fitted
    again to the encoder as it then stands, frozen. ``error(x) = ||z - c||`` (eq. 4).

    Against a collapse, where every window lands on c, the encoder has no offsets and no
    bounded activation (appendix C), and its normalisation learns no scale. Where the latents
    of normal windows differ by little but rounding all the same, the encoder goes back to
    what the autoencoder learned.

    The network sees each sensor with mean 0 and variance 1 over the normal windows (appendix
    B of the paper): the scaler before it measures the middle half of the values only, and a
    sensor with long tails would drown the others.

    Beyond the paper: each coordinate of c lies at least 0.1 from 0, for what is at 0 a layer
    of zeros reaches. No weight decay (the paper: 1e-6): Adam turns the smallest decay into
    full steps where nothing else pulls, so a sensor that stood still in the history loses
    its weights, and its moves would not show. Rate 1e-3 and early stopping (the paper: 1e-4,
    then 1e-5, for a fixed number of epochs): small sets would not get far enough. The way to
    c takes an eighth of the autoencoder's epochs, or half of the least steps where that is
    more: each step towards c wipes out more of what normal windows differ in. On satellite
    and landsat a fourth ranks alike, all of them one or two points lower, and little is left
    to rebuild.

    The decoder serves explanations only: what it rebuilds is what the latents of *normal*
    windows say, so it takes latents beyond three spreads of them as if they lay there. It
    knows the less, the closer normal windows came to c: expected values then tend to the
    mean window, most of all on long windows with the network ``tcn``.

    Last, latents and c are stretched until the root mean squared distance of normal windows
    is 1, if it is less. That changes no ranking, but ARES adds error and density, and an
    error on a tenth of the density's scale would not be heard. Even so ARES with k = 10 ranks
    below ``error`` where there are labels (satellite 86 against 92, thyroid 97 against 99.8);
    with k = 100 it comes within a point.

    Attributes
    ----------
    level, unit : float tensor (C,)
        Mean and standard deviation of each sensor in the normal windows.
    c : float tensor (D,)
        The centre.
    middle, spread : float tensor (D,)
        Mean and standard deviation of the latents of normal windows.
    home, width : float tensor (D,)
        The same before they were drawn to c: there and so wide the decoder sees them.
    """

    level: Tensor
    unit: Tensor
    c: Tensor
    middle: Tensor
    spread: Tensor
    home: Tensor
    width: Tensor

    def __init__(
        self, length: int, sensors: int, *, network: str = "dense", latent_dim: int | None = None
    ) -> None:
        super().__init__(length, sensors, network=network, latent_dim=latent_dim)
        wide = self.network.latent_dim
        self.register_buffer("level", torch.zeros(sensors))
        self.register_buffer("unit", torch.ones(sensors))
        self.register_buffer("c", torch.full((wide,), LEAST))
        self.register_buffer("middle", torch.zeros(wide))
        self.register_buffer("spread", torch.ones(wide))
        self.register_buffer("home", torch.zeros(wide))
        self.register_buffer("width", torch.ones(wide))

    def build(self, network: str, latent_dim: int | None) -> Body:
        """Return a network whose encoder has no offsets."""
        return NETWORKS[network](self.length, self.sensors, latent_dim, bias=False)

    def own_error(self, z: Tensor, reconstruction_error: Tensor) -> Tensor:
        """Return distances to the centre (B,), eq. 4; NaN where nothing was observed."""
        distance: Tensor = torch.linalg.vector_norm(z - self.c, dim=1)
        return distance.masked_fill(reconstruction_error.isnan(), torch.nan)

    def encode(self, x: Tensor) -> Tensor:
        """Turn windows without missing cells (B, T, C) into latents (B, D)."""
        return super().encode((x - self.level) / self.unit)

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into the windows (B, T, C) of the nearest that are known."""
        known = ((z - self.middle) / self.spread).clamp(-FARTHEST, FARTHEST)
        return self._unscaled(self.network.decode(self.home + self.width * known))

    def squared_distance(self, x: Tensor) -> Tensor:
        """Return squared distances (B,) to c, summed over dimensions; NaN = missing, fed as 0."""
        return (self.encode(x.nan_to_num()) - self.c).square().sum(1)

    def draw(
        self,
        normal: Tensor,
        validation: Tensor,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        progress: Progress | None,
    ) -> dict[str, Any]:
        """Fit autoencoder, centre, encoder and decoder, in this order.

        Parameters
        ----------
        normal : float tensor (n, T, C)
            Windows that are not labelled anomalies; NaN = missing.
        validation : float tensor (p, T, C)
            Normal windows to stop by.
        objective : callable
            From rows of ``normal``, int64 tensor (b,), to what is to fall, a scalar.
        epochs : int
            At most so many of autoencoder and decoder, an eighth of them of the encoder.
        seed : int
        progress : callable, optional

        Returns
        -------
        dict
            JSON values: how the three steps went, ``centre_pushed`` the share of c's
            coordinates that were moved away from 0, ``latent_variance`` of the normal
            windows, all dimensions together, ``collapsed``, and where they did not, by how
            much they were ``stretched``.
        """
        settings = _settings()
        self._measure(normal)
        report: dict[str, Any] = {
            "autoencoder": self._rebuild(
                normal, validation, epochs=epochs, seed=seed, progress=_part(progress, 0, ENCODED)
            )
        }
        report["centre_pushed"] = self.place_centre(normal)
        before = {name: value.clone() for name, value in self.state_dict().items()}
        report["encoder"] = descend(
            self,
            len(normal),
            objective,
            lambda: float(in_pieces(self.squared_distance, validation).double().mean()),
            epochs=max(1, epochs // DRAWN_EPOCHS),
            seed=seed,
            settings=replace(settings, min_steps=max(1, settings.min_steps // DRAWN_STEPS)),
            progress=_part(progress, ENCODED, DRAWN),
        )
        report["latent_variance"], report["collapsed"] = self._collapse(normal)
        if report["collapsed"]:
            self.load_state_dict(before)
        else:
            report["stretched"] = self._stretch(normal)
        report["decoder"] = self._refit_decoder(
            normal, validation, epochs=epochs, seed=seed, progress=_part(progress, DRAWN, 1)
        )
        return report

    def place_centre(self, normal: Tensor) -> float:
        """Put c at the mean latent, in evaluation mode, but nowhere near 0.

        Returns the share of coordinates that were pushed out to +-0.1.
        """
        z = self._latents(normal)
        self.home, self.width = z.mean(0), z.std(0, correction=0)
        self.c = torch.copysign(self.home.abs().clamp_min(LEAST), self.home)
        return float((self.home.abs() < LEAST).double().mean())

    def _rebuild(
        self, normal: Tensor, validation: Tensor, *, epochs: int, seed: int, progress: Progress
    ) -> dict[str, int | float]:
        """Train encoder and decoder to rebuild windows."""

        def error(x: Tensor) -> Tensor:
            return self._apart(x, self._unscaled(self.network.decode(self.encode(x.nan_to_num()))))

        return descend(
            self,
            len(normal),
            lambda rows: error(normal[rows]).mean(),
            lambda: float(in_pieces(error, validation).double().mean()),
            epochs=epochs,
            seed=seed,
            settings=_settings(),
            progress=progress,
        )

    def _stretch(self, normal: Tensor) -> float:
        """Blow latents and centre up until normal windows lie 1 from it; return the factor."""
        mean = in_pieces(self.squared_distance, normal).double().mean()
        factor = max(1.0, 1 / math.sqrt(float(mean)))
        with torch.no_grad():
            self.get_parameter("network.latent.weight").mul_(factor)
        self.c = self.c * factor
        return factor

    def _refit_decoder(
        self, normal: Tensor, validation: Tensor, *, epochs: int, seed: int, progress: Progress
    ) -> dict[str, int | float]:
        """Train the decoder alone: the latents are taken once, and stay."""
        z, later = self._latents(normal), self._latents(validation)
        self.middle, self.spread = z.mean(0), z.std(0, correction=0).clamp_min(SMALLEST)

        def error() -> float:
            with torch.no_grad():
                return float(self._apart(validation, self.decode(later)).double().mean())

        return descend(
            self,
            len(normal),
            lambda rows: self._apart(normal[rows], self.decode(z[rows])).mean(),
            error,
            epochs=epochs,
            seed=seed,
            settings=_settings(),
            progress=progress,
        )

    def _measure(self, normal: Tensor) -> None:
        """Take level and unit of the sensors."""
        self.level = normal.nanmean((0, 1)).nan_to_num()
        deviation = (normal - self.level).square().nanmean((0, 1)).sqrt().nan_to_num()
        self.unit = torch.where(deviation > LEAST_UNIT, deviation, 1.0)

    def _unscaled(self, x_hat: Tensor) -> Tensor:
        return x_hat * self.unit + self.level

    def _apart(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Return rebuilding errors (B,) in the units of the sensors."""
        return masked_error(x / self.unit, x_hat / self.unit)

    def _latents(self, x: Tensor) -> Tensor:
        """Return latents (n, D) in evaluation mode."""
        self.eval()
        return in_pieces(lambda part: self.encode(part.nan_to_num()), x)

    def _collapse(self, normal: Tensor) -> tuple[float, bool]:
        """Return the variance of the latents, and whether it is next to nothing."""
        z = self._latents(normal).double()
        variance, level = z.var(0, correction=0).sum(), z.square().sum(1).mean()
        return float(variance), bool(variance <= ROUNDING**2 * level)


def _settings() -> descent.Descent:
    return descent.Descent(batch=BATCH, weight_decay=WEIGHT_DECAY)


def _part(progress: Progress | None, first: float, last: float) -> Progress:
    """Tell a step's progress as that of the whole work."""

    def told(done: float) -> None:
        if progress is not None:
            progress(first + (last - first) * done)

    return told
