"""NCAE: an autoencoder for a history that is not clean."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus
from torch.nn.modules.batchnorm import _BatchNorm

from stream_ad.detector.models.base import Output, Progress, WindowModel
from stream_ad.detector.models.descent import descend
from stream_ad.detector.models.mining import Dictionary, mine, tail_limit
from stream_ad.detector.models.pieces import in_pieces

SIGMA = 0.1  # deviation of the noise that confident normal windows are generated from
TAU = 0.1  # largest share of a batch that is calibrated
WEIGHT = 0.1  # of fooling the discriminators, beside the error
RATE = 1e-3  # of the discriminators
MOMENTUM = 0.1  # of mu_Z
DOUBT = 8  # trust falls with this power of the contamination score
REBUILT = 0.05  # share of the reconstruction in the error, the rest is the contamination score
TINY = 1e-12


class Ncae(WindowModel):
    """Normality-calibrated autoencoder: find what does not belong into the history, unlearn it.

    The encoder f and the decoder g play against two discriminators: latents shall look like
    N(mu_Z, I) (eq. 4, mu_Z the moving mean of eq. 5), and what g makes of N(mu_Z, sigma^2 I)
    like windows (eq. 6). These generated windows are the most ordinary there are. Of what
    mining found, the windows whose latents point least along those of the re-encoded generated
    ones (mean cosine, eq. 7), at most tau of a batch, are rebuilt not as themselves but as
    their mean (eq. 8a); so they keep a large error. The bank leaves out what was mined, and
    ARES then looks at a fifth of it, at 100 neighbours at least: near what mining overlooked
    lies more of it, and few neighbours have errors as large.

    Where the paper is overruled, and why:

    - Mining takes not a fixed share by eq. 7 (which loses as much of a clean history as of a
      dirty one, and of cardio finds 24 % where 10 % are right by chance) but what lies beyond
      the tail of the distances to many small samples; see `mining`. Eq. 7 has to agree before
      a window is pushed; a mined window that it defends only teaches nothing. After training
      the error, which knows the reconstruction too, may add to what is mined.
    - The lowest similarity counts as contaminated; the paper's "descending" takes the highest.
    - A window counts in eq. 8a by ``min(1, 1 / score)^8``: contamination below the limit,
      which no mining finds, is learned the less, the less ordinary it is.
    - The error is not the reconstruction alone (eq. 9) but ``0.95 score + 0.05 root(mean square
      residual)``, both in shares of their median over what was kept, so 1 is ordinary: an
      autoencoder that has seen anomalies rebuilds them, however few it was allowed to learn.
    - The generator maximises log D (eq. 6 would minimise log(1 - D), which has no gradient
      while D wins); eqs. 4 and 6 enter with weight 0.1; generated batches pass through
      BatchNorm in evaluation mode, so that they do not shift its statistics; mu_Z moves by
      0.1 a step, by the learning rate (eq. 5) it would hardly leave its start.

    Works badly where anomalies are as common as some normal state, or lie within the normal
    range: then nothing sets them apart. A rare normal state far from all others is mined
    away, and a clean history with heavy tails loses some per cent of its windows: nothing but
    labels can tell such a tail from contamination. On long windows whose phase is random the
    nearest of a few samples says little.

    Costs about twice the fit of `Ae`; the weights hold 768 windows of the history, and
    each window scored is compared with all of them.

    References
    ----------
    Yu et al., "Normality-calibrated autoencoder for unsupervised anomaly detection on data
    contamination", 2021, and its journal version, whose equations are cited.

    Examples
    --------
    >>> x = torch.randn(200, 1, 4, generator=torch.Generator().manual_seed(0))
    >>> x[::20] += 8  # contamination: one in twenty
    >>> model = Ncae(1, 4)
    >>> report = model.fit(x, x[:40], epochs=1, seed=0)
    >>> bool(model.mined[::20].all()), report["mined_share"] < 0.1
    (True, True)
    >>> error = model.eval()(x).error
    >>> bool(error[::20].min() > 2 * error[1::20].max())
    True
    """

    ordinary: Tensor

    def __init__(
        self, length: int, sensors: int, *, network: str = "dense", latent_dim: int | None = None
    ) -> None:
        super().__init__(length, sensors, network=network, latent_dim=latent_dim)
        self.dictionary = Dictionary(length, sensors)
        self.register_buffer("ordinary", torch.ones(()))  # reconstruction error of the kept

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,
        seed: int,
        y: Tensor | None = None,  # noqa: ARG002 - anomalies are left out before
        negatives: Tensor | None = None,  # noqa: ARG002 - it knows none
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Mine, learn from what is trusted, and look again with what was learned."""
        generator = torch.Generator().manual_seed(seed)
        self.eval()
        found = mine(x, self.dictionary, generator)
        trust = self._trust(x, found.limit)
        game = Game(self, x, found.rows, trust, generator=generator, seed=seed)
        judged = self._trust(validation, found.limit)
        if not judged.any():
            judged = torch.ones_like(judged)

        def validate() -> float:
            error = in_pieces(self.reconstruction_error, validation)
            return float((error * judged).sum() / judged.sum())

        fit = descend(
            self, len(x), game.loss, validate, epochs=epochs, seed=seed, progress=progress
        )
        kept = in_pieces(self.reconstruction_error, x[~found.rows])
        self.ordinary.copy_(kept.median().clamp_min(TINY))
        self.mined = found.rows | self._late(x) if found.sensed else found.rows
        share = float(self.mined.double().mean())
        return {
            **fit,
            **game.report(),
            "contaminated": found.sensed,
            "tail_excess": found.excess,
            "mined_rounds": found.shares,
            "mined_share": share,
            "guards": []
            if found.sensed
            else ["no contamination sensed: only the usual tail is left out"],
        }

    def forward(self, x: Tensor) -> Output:
        """Return what the network says, with the contamination score joined to its error."""
        out = super().forward(x)
        rebuilt = (out.error / self.ordinary).clamp_min(TINY).sqrt()
        error = (1 - REBUILT) * self.dictionary(x) + REBUILT * rebuilt
        return out._replace(error=error)

    def reconstruction_error(self, x: Tensor) -> Tensor:
        """Return mean squares (B,) of the residuals of windows (B, T, C)."""
        return super().forward(x).error

    def _trust(self, x: Tensor, limit: float) -> Tensor:
        """Return how much windows (n, T, C) shall count, 0 to 1: (n,)."""
        score = in_pieces(self.dictionary, x)
        return torch.where(score <= limit, score.clamp_min(1) ** -DOUBT, 0.0)

    def _late(self, x: Tensor) -> Tensor:
        """Return which windows (n, T, C) the joined error gives away, bool (n,)."""
        error = in_pieces(lambda part: self(part).error, x)
        return error > tail_limit(error)


class Game:
    """Encoder and decoder against the discriminators of samples and of latents.

    Parameters
    ----------
    model : Ncae
    x : float tensor (n, T, C)
    mined : bool tensor (n,)
        Windows that are calibrated where eq. 7 agrees.
    trust : float tensor (n,)
        How much a window counts that is not calibrated.
    generator : torch.Generator
        Of the noise, on the CPU: the same numbers for every device.
    seed : int
        Of the first weights of the discriminators.
    """

    def __init__(
        self,
        model: Ncae,
        x: Tensor,
        mined: Tensor,
        trust: Tensor,
        *,
        generator: torch.Generator,
        seed: int,
    ) -> None:
        self.model, self.x, self.mined, self.trust = model, x, mined, trust
        self.generator = generator
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.sample = _discriminator(x[0].numel()).to(x.device)  # D_s
            self.latent = _discriminator(model.network.latent_dim).to(x.device)  # D_l
        both = [*self.sample.parameters(), *self.latent.parameters()]
        self.optimiser = torch.optim.Adam(both, RATE)
        self.steps, self.totals = 0, torch.zeros(4, device=x.device)
        with still(model):
            self.centre = in_pieces(model.encode, x.nan_to_num()).mean(0)  # mu_Z, eq. 5

    def loss(self, rows: Tensor) -> Tensor:
        """Return what encoder and decoder shall lower (eq. 8), after a step of the others."""
        windows = self.x[rows]
        filled = windows.nan_to_num()
        z = self.model.encode(filled)  # (b, D)
        x_hat = self.model.decode(z)  # (b, T, C)
        with still(self.model):
            made = self.model.decode(self._noise(z, SIGMA))  # (b, T, C)
            with torch.no_grad():
                dictionary = self.model.encode(made)
        sample, latent = self._discriminate(filled, made.detach(), z.detach())
        calibrated = self.mined[rows] & least_similar(z.detach(), dictionary)
        goal = torch.where(calibrated[:, None, None], made.detach().mean(0), filled)  # eq. 8a
        seen = torch.mul(windows, 0).add(1).nan_to_num()
        error = ((goal - x_hat).square() * seen).sum((1, 2)) / seen.sum((1, 2))
        weight = torch.where(calibrated, 1.0, self.trust[rows])
        error = (error * weight).sum() / weight.sum().clamp_min(TINY)
        self.centre = self.centre + MOMENTUM * (z.detach().mean(0) - self.centre)
        self.steps += 1
        self.totals += torch.stack(
            [error.detach(), sample, latent, calibrated.to(error.dtype).mean()]
        )
        fooled = _taken_for_real(self.latent(z)) + _taken_for_real(self.sample(made))
        return error + WEIGHT * fooled

    def report(self) -> dict[str, float]:
        """Return means over the steps so far: losses, and the share that was calibrated."""
        names = ("calibrated_error", "sample_loss", "latent_loss", "calibrated_share")
        means = map(float, self.totals / max(1, self.steps))
        return dict(zip(names, means, strict=True))

    def _discriminate(self, x: Tensor, made: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step towards telling real from made, eqs. 4 and 6; return both losses."""
        self.optimiser.zero_grad()
        sample = _taken_for_real(self.sample(x)) + _taken_for_real(-self.sample(made))
        real = _taken_for_real(self.latent(self._noise(z, 1.0)))
        latent = real + _taken_for_real(-self.latent(z))
        (sample + latent).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return sample.detach(), latent.detach()

    def _noise(self, like: Tensor, deviation: float) -> Tensor:
        noise = torch.randn(like.shape, generator=self.generator).to(like.device)
        return self.centre + deviation * noise


def least_similar(z: Tensor, dictionary: Tensor) -> Tensor:
    """Return the tau of latents (b, D) with the lowest mean cosine to a dictionary (m, D), eq. 7.

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0], [2, 1], [-1, 1]])
    >>> least_similar(z, torch.tensor([[3.0, 0], [1, 0]]))
    tensor([False, False,  True])
    """
    similar = normalize(z, dim=1) @ normalize(dictionary, dim=1).mean(0)
    lowest = torch.zeros(len(z), dtype=torch.bool, device=z.device)
    lowest[similar.argsort()[: math.ceil(TAU * len(z))]] = True
    return lowest


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Keep the statistics of normalisation layers as they are inside the ``with``."""
    layers = [part for part in model.modules() if isinstance(part, _BatchNorm)]
    before = [layer.training for layer in layers]
    for layer in layers:
        layer.training = False
    try:
        yield
    finally:
        for layer, training in zip(layers, before, strict=True):
            layer.training = training


def _taken_for_real(logit: Tensor) -> Tensor:
    """Return the mean of -log D, from the logit of D."""
    return softplus(-logit).mean()


def _discriminator(wide: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(wide, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
