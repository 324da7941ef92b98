"""AnoRand: an autoencoder beside a perceptron that has been shown noise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stream_ad.detector.models.base import Body, Progress, WindowModel
from stream_ad.detector.models.descent import descend
from stream_ad.detector.models.lis_ae import TOLD, auc, kaiming
from stream_ad.detector.networks import NETWORKS, SLOPE, widths
from stream_ad.detector.synthetic import rare_anomalies

RARE = 0.05  # synthetic anomalies as a share of the rows
LEAST, MOST = 2_000, 10_000  # synthetic anomalies to learn from
ROWS = 1024  # windows taken at a time


class TwoBlocks(nn.Module):
    """The noise block F and the encoder E side by side, and a decoder that reads both.

    F is a perceptron on the flattened window whatever ``network`` is, without normalisation:
    it has to see normal and noisy rows alike, and they come in unequal numbers. Its share of
    the latents is a fifth.

    Parameters
    ----------
    length, sensors : int
        T and C.
    network : str
        A key of ``NETWORKS``: encoder and decoder.
    latent_dim : int, optional
        D, at least 2, of both blocks together; None: a quarter more than `widths` says.

    Examples
    --------
    >>> net = TwoBlocks(4, 2, "dense")
    >>> z = net.latent(net.body(torch.zeros(3, 4, 2)))
    >>> z.shape, net.decode(z).shape, net.logit(z).shape
    (torch.Size([3, 6]), torch.Size([3, 4, 2]), torch.Size([3]))
    """

    def __init__(
        self, length: int, sensors: int, network: str, latent_dim: int | None = None
    ) -> None:
        super().__init__()
        cells = length * sensors
        first, second, plain = widths(cells)
        self.latent_dim = max(2, latent_dim or plain + max(1, plain // 4))
        self.noise_dim = max(1, self.latent_dim // 5)
        self.noise = nn.Sequential(
            nn.Flatten(),  # (B, T, C) -> (B, T * C)
            nn.Linear(cells, first),
            nn.LeakyReLU(SLOPE),
            nn.Linear(first, second),
            nn.LeakyReLU(SLOPE),
            nn.Linear(second, self.noise_dim),
        )
        self.head = nn.Linear(self.noise_dim, 1)
        self.auto = NETWORKS[network](length, sensors, self.latent_dim)
        wide = self.auto.latent.in_features
        self.auto.latent = nn.Linear(wide, self.latent_dim - self.noise_dim)

    def body(self, x: Tensor) -> Tensor:
        """Turn windows (B, T, C) into F's output and E's features, (B, M + H)."""
        return torch.cat([self.noise(x), self.auto.body(x)], 1)

    def latent(self, features: Tensor) -> Tensor:
        """Turn these into latents ``(F(x), E(x))`` (B, D), eq. 1."""
        noise, own = features.tensor_split([self.noise_dim], 1)
        # laid out anew: a product over rows that start at odd addresses adds in another order
        return torch.cat([noise, self.auto.latent(own.contiguous())], 1)

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into windows (B, T, C)."""
        return self.auto.decode(z)

    def logit(self, z: Tensor) -> Tensor:
        """Return the log odds (B,) of being noise, from latents or F's output (B, M)."""
        # a product with one column would add in an order that depends on the row's place
        return (z[:, : self.noise_dim] * self.head.weight).sum(1) + self.head.bias


class AnoRand(WindowModel):
    """Autoencoder helped by a block that tells normal windows from noisy copies of them.

    The decoder reads what the noise block F and the encoder E say, ``z = (F(x), E(x))``
    (eq. 1). Trained together on normal windows (y = 0) and synthetic anomalies (y = 1)::

        w BCE(y, y_hat) + (1 - w) mean over y = 0 of (x - x_hat)^2      (eqs. 2-4, w = 0.2)

    with ``y_hat = sigmoid(head(F(x)))``. The score joins both opinions (eqs. 5, 6)::

        y0 = sigmoid(error),   alpha = Q3(y_hat) / (Q3(y0) + Q3(y_hat)),
        score = (1 - alpha) y_hat + alpha y0

    with the third quartiles of the training windows. Paper: "AnoRand: deep semi-supervised
    anomaly detection with synthetic labels".

    Synthetic anomalies are 5 % of every batch: 2 % of the rows, SMOTE between them, then
    noise of three spreads (`synthetic.rare_anomalies`). Their originals stay normal.

    Where the paper is overruled:

    - Eq. 2 as printed has a minus and would maximise the error.
    - The error is the mean over observed cells: a sum drives the sigmoid to 1 for all.
    - Noise comes after SMOTE, and anomalies are drawn many times over: some dozen of one
      draw are learned by heart.
    - Evidence is ``-log(1 - score)``, which ranks as eq. 6 does: the score itself rounds to
      1, and the worst anomalies could not be told apart.
    - The block is unstable (its AUC on real anomalies runs from 20 to 80 between seeds) and
      alpha gives it nearly all the weight. So the joined score has to tell fresh synthetic
      anomalies from validation windows at least as well as the error alone does, and the error
      alone at most 99 % of them: beyond that there is nothing to gain, and which of the two tells
      more is up to chance. Else alpha is 1, the block only feeds the decoder, and the report says
      so under ``guards``. On tables this is the rule.

    Works badly where anomalies are no farther from the history than normal windows from each
    other. Costs up to twice the fit of `Ae`.

    Examples
    --------
    >>> t = torch.linspace(0, 6, 80)
    >>> x = torch.stack([t.sin(), t.cos(), t.sin()], 1).unsqueeze(1)
    >>> report = AnoRand(1, 3).fit(x[::2], x[1::2], epochs=5, seed=0)
    >>> 0 <= report["alpha"] <= 1
    True
    """

    network: TwoBlocks
    alpha: Tensor
    weight: ClassVar[float] = 0.2

    def __init__(
        self, length: int, sensors: int, *, network: str = "dense", latent_dim: int | None = None
    ) -> None:
        super().__init__(length, sensors, network=network, latent_dim=latent_dim)
        self.register_buffer("alpha", torch.tensor(0.5))

    def build(self, network: str, latent_dim: int | None) -> Body:
        """Return both blocks and the decoder, with Kaiming weights and zero biases."""
        return kaiming(TwoBlocks(self.length, self.sensors, network, latent_dim))

    def own_error(self, z: Tensor, reconstruction_error: Tensor) -> Tensor:
        """Return ``-log(1 - score)`` (B,), the score of eq. 6; never rounded away."""
        return self.joined(reconstruction_error, self.network.logit(z), self.alpha)

    @staticmethod
    def joined(error: Tensor, logit: Tensor, alpha: Tensor) -> Tensor:
        """Join errors and log odds of noise (B,) by eq. 6."""
        normal = torch.stack(
            [
                torch.log1p(-alpha) + functional.logsigmoid(-logit),  # log of (1 - alpha)(1 - y)
                torch.log(alpha) + functional.logsigmoid(-error),
            ]
        )
        evidence: Tensor = -torch.logsumexp(normal, 0)
        return evidence

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,
        seed: int,
        y: Tensor | None = None,  # noqa: ARG002 - anomalies are left out before
        negatives: Tensor | None = None,  # noqa: ARG002 - it makes its own
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Train both blocks together, then weigh their opinions."""
        odd = _noisy(x, min(max(len(x), LEAST), MOST), seed)
        judged = _noisy(validation, len(validation), seed + 1)
        generator = torch.Generator().manual_seed(seed)

        def loss(rows: Tensor) -> Tensor:
            few = torch.randint(len(odd), (max(1, round(RARE * len(rows))),), generator=generator)
            return self.objective(x[rows], odd[few.to(odd.device)])

        report = descend(
            self,
            len(x),
            loss,
            lambda: self._mean_objective(validation, judged),
            epochs=epochs,
            seed=seed,
            progress=progress,
        )
        return {**report, **self.weigh(x, validation, seed + 2)}

    def objective(self, normal: Tensor, odd: Tensor) -> Tensor:
        """Return eq. 4 of normal windows and of anomalies, which count as 5 % of all."""
        out = self(normal)
        squared = out.sensor_error.sum(1).mean()
        # of the anomalies nothing is rebuilt: they pass through F alone
        noisy = self.network.logit(self.network.noise(odd.nan_to_num()))
        entropy = (1 - RARE) * functional.softplus(self.network.logit(out.z)).mean()
        entropy = entropy + RARE * functional.softplus(-noisy).mean()
        objective: Tensor = self.weight * entropy + (1 - self.weight) * squared
        return objective

    def weigh(self, x: Tensor, validation: Tensor, seed: int) -> dict[str, Any]:
        """Set alpha by the training windows (eq. 5), or to 1 where the block does harm."""
        error, logit = self.opinions(x)
        y0, y = (_third_quartile(torch.sigmoid(opinion)) for opinion in (error, logit))
        self.alpha.fill_(y / (y0 + y))
        normal, odd = map(self.opinions, (validation, _noisy(validation, len(validation), seed)))
        found = {
            "error": auc(normal[0], odd[0]),
            "noise_block": auc(normal[1], odd[1]),
            "joined": auc(*(self.joined(*opinions, self.alpha) for opinions in (normal, odd))),
        }
        guards = []
        if found["error"] > TOLD or found["joined"] < found["error"]:
            self.alpha.fill_(1.0)
            guards.append(
                "noise block has no vote: with it synthetic anomalies rank above "
                f"{found['joined']:.2%} of normal windows, by the error alone above "
                f"{found['error']:.2%} (beyond {TOLD:.0%} nothing is left to gain)"
            )
        return {"alpha": float(self.alpha), "synthetic_auc": found, "guards": guards}

    def opinions(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction errors and the log odds of noise (n,) of windows."""
        with torch.no_grad():
            out = [self(part) for part in torch.split(x, ROWS)]
            error = torch.cat([part.sensor_error.sum(1) for part in out])
            return error, torch.cat([self.network.logit(part.z) for part in out])

    def _mean_objective(self, normal: Tensor, odd: Tensor) -> float:
        pieces = zip(torch.split(normal, ROWS), torch.split(odd, ROWS), strict=True)
        with torch.no_grad():
            total = sum(len(part) * float(self.objective(part, other)) for part, other in pieces)
        return total / len(normal)


def _noisy(x: Tensor, count: int, seed: int) -> Tensor:
    return torch.from_numpy(rare_anomalies(x.cpu().numpy(), count, seed)).to(x.device)


def _third_quartile(values: Tensor) -> float:
    return float(np.quantile(values.cpu().numpy(), 0.75))
