"""The latent-insensitive autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from stream_ad.detector.models.base import Body, Progress, WindowModel
from stream_ad.detector.models.descent import descend, mean_error
from stream_ad.detector.models.pieces import masked_error
from stream_ad.detector.networks import NETWORKS, SLOPE, Dense, Tcn
from stream_ad.detector.synthetic import negatives as synthetic

LEAST, MOST = 2_000, 10_000  # synthetic negatives
HELD_OUT = 0.2  # share of the negatives that stop the training
TOLD = 0.99  # how often synthetic negatives may stand out after phase 1 and still teach something
WORSE = 1.5  # times the normal error of phase 1: more is not worth any insensitivity
FEWER = 0.8  # of the synthetic negatives that phase 1 misses: more is not worth what it may harm
ALIKE = 0.8  # rank correlation that the errors of normal windows keep with those of phase 1
BEYOND = 1e6  # added to what phase 2 minimises where it is worse than that
ROWS = 1024  # windows taken at a time

M = TypeVar("M", bound=nn.Module)
Seen = tuple[Tensor, Tensor]  # windows (n, T, C) and their features (n, H)
Errors = tuple[Tensor, Tensor]  # of normal windows (m,) and of negatives (q,)


@dataclass(frozen=True, slots=True)
class Lessons:
    """What both phases learn from and stop by, scaled and on the model's device.

    Parameters
    ----------
    x, validation : float tensors (n, T, C), (m, T, C)
        Normal windows.
    odd, odd_validation : float tensors (p, T, C), (q, T, C)
        Negatives.
    epochs, seed : int
    guess : bool
        Whether the negatives are synthetic: what nobody has seen may be nothing like what comes.
    """

    x: Tensor
    validation: Tensor
    odd: Tensor
    odd_validation: Tensor
    epochs: int
    seed: int
    guess: bool = False

    def picker(self) -> Callable[[Tensor], Tensor]:
        """Return what picks as many negatives as there are rows, by number."""
        generator = torch.Generator().manual_seed(self.seed)

        def pick(rows: Tensor) -> Tensor:
            picked = torch.randint(len(self.odd), (len(rows),), generator=generator)
            return picked.to(rows.device)

        return pick


class LisAe(WindowModel):
    """Autoencoder whose latent layer learns to rebuild normal windows and nothing else.

    Encoder E, latent layer L and decoder D: ``z = tanh(L(E(x)))``, ``x_hat = D(z)``,
    ``error(x) = mean over observed cells of (x - x_hat)^2``. Phase 1 is plain reconstruction
    of normal windows. Phase 2 freezes E and D; only L (weights and offsets) learns from normal
    windows x+ and negatives x- (eq. 1)::

        error(x+) + beta * relu(gamma - error(x-))

    so that it answers to the directions in which negatives differ from normal windows, while
    these are rebuilt as before (section 4.1). Paper: Battikh and Lenskiy, "Latent-insensitive
    autoencoders for anomaly detection", 2022.

    Negatives are those given (windows of another machine type), else windows of the history
    with noise and, where they have a course, faults: see `synthetic.negatives`.

    Where the paper is overruled:

    - Eq. 1 holds ``|gamma - error(x-)|``, which pulls errors above gamma down again; its text
      wants them to exceed gamma. So a hinge.
    - Frozen means evaluation mode too: in training mode the running means of the
      normalisation layers would move on, and with them E and D.
    - The paper names neither gamma nor beta. Here beta = 1, and gamma = 4 times the normal error
      of phase 1: negatives that are rebuilt four times as badly as normal windows are bad enough.
      A gamma in squared spreads asks for 20 times where normal windows are rebuilt well
      (pictures), and L gives them up for it.
    - Phase 2 takes the best weights among those that raise the error of normal validation
      windows to at most 1.5 x; if there are none, phase 1 stays, and ``guards`` says so.
    - Phase 1 stays too where negatives are synthetic and phase 2 does not tell more of those it
      has not learned from (it has to miss a fifth less), or orders normal windows anew (rank
      correlation of their errors below 0.8): what it then does to anomalies is up to chance.
    - Where the error of phase 1 ranks more than 99 % of synthetic negatives above normal
      windows there is no phase 2: there is nothing left to learn from them, and normal windows
      would pay for it. ``guards`` says so.
    - Weights by He et al., offsets zero: a tanh that starts saturated leaves the decoder
      nothing but the mean to rebuild.

    Works badly where negatives are so far off that phase 1 rebuilds none of them (nothing is
    left to gain), and where they lie among the normal windows. Latents are bounded: what is
    far off lies close together for ARES; the error still grows with the distance.

    Costs one to two times the fit of `Ae`, and up to 10,000 windows of memory; to score as `Ae`.

    Examples
    --------
    >>> t = torch.linspace(0, 6, 80)
    >>> x = torch.stack([t.sin(), t.cos(), t.sin()], 1).unsqueeze(1)
    >>> other = torch.stack([t.sin(), t.sin(), t.cos()], 1).unsqueeze(1)
    >>> report = LisAe(1, 3).fit(x[::2], x[1::2], epochs=5, seed=0, negatives=other)
    >>> report["negatives"], report["guards"]
    ('given', [])
    """

    network: Dense | Tcn
    beta: ClassVar[float] = 1.0
    gamma: ClassVar[float] = 4.0  # normal errors of phase 1

    def build(self, network: str, latent_dim: int | None) -> Body:
        """Return the network with the weights of He et al."""
        return kaiming(NETWORKS[network](self.length, self.sensors, latent_dim))

    def encode(self, x: Tensor) -> Tensor:
        """Turn windows without missing cells (B, T, C) into latents (B, D) from -1 to 1."""
        return self.squash(self.network.body(x))

    def squash(self, features: Tensor) -> Tensor:
        """Turn features (B, H) into latents (B, D) from -1 to 1."""
        return torch.tanh(self.network.latent(features))

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,
        seed: int,
        y: Tensor | None = None,  # noqa: ARG002 - anomalies are left out before
        negatives: Tensor | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Learn to rebuild normal windows, then to rebuild nothing else."""
        odd = _shuffled(_made(x, seed) if negatives is None else negatives, seed)
        cut = round(HELD_OUT * len(odd))
        guess = negatives is None
        lessons = Lessons(x, validation, odd[cut:], odd[: cut or 1], epochs, seed, guess)
        phase_1 = self.rebuild(lessons, _within(progress, 0.0, 0.6))
        told = self.told(lessons)
        report = {**phase_1, "negatives": "synthetic", "told": told}
        if guess and told > TOLD:
            said = f"no phase 2: the error tells {told:.2%} of synthetic negatives already"
            return {**report, "latent_phase": None, "guards": [said]}
        phase_2, guards = self.shape_latents(lessons, _within(progress, 0.6, 1.0))
        if not guess:
            report["negatives"] = "given"
        error = mean_error(self, validation)
        return {**report, "validation_error": error, "latent_phase": phase_2, "guards": guards}

    def rebuild(self, lessons: Lessons, progress: Progress | None) -> dict[str, Any]:
        """Phase 1: minimise the mean error of normal windows."""

        def loss(rows: Tensor) -> Tensor:
            error: Tensor = self(lessons.x[rows]).error
            return error.mean()

        return self.descend(self, lessons, loss, progress)

    def descend(
        self,
        trained: nn.Module,
        lessons: Lessons,
        loss: Callable[[Tensor], Tensor],
        progress: Progress | None,
    ) -> dict[str, Any]:
        """Lower a loss and stop by the error of normal validation windows."""
        return descend(
            trained,
            len(lessons.x),
            loss,
            lambda: mean_error(self, lessons.validation),
            epochs=lessons.epochs,
            seed=lessons.seed,
            progress=progress,
        )

    def shape_latents(
        self, lessons: Lessons, progress: Progress | None
    ) -> tuple[dict[str, Any], list[str]]:
        """Phase 2: minimise eq. 1 by the latent layer; return its report and the guards."""
        latent, pick = self.network.latent, lessons.picker()
        phase_1 = {name: value.clone() for name, value in latent.state_dict().items()}
        with self.frozen():
            # what is frozen says the same in every epoch
            normal, odd = self.seen(lessons.x), self.seen(lessons.odd)
            judged = self.seen(lessons.validation), self.seen(lessons.odd_validation)
            before = self.judged(judged[0]), self.judged(judged[1])
            usual = float(before[0].mean())
            gamma, most = self.gamma * usual, WORSE * usual

            def loss(rows: Tensor) -> Tensor:
                other = pick(rows)
                return self.hinge(
                    self.errors(normal[0][rows], normal[1][rows]),
                    self.errors(odd[0][other], odd[1][other]),
                    gamma,
                )

            def validate() -> float:
                error, other = (self.judged(windows) for windows in judged)
                beyond = BEYOND if float(error.mean()) > most else 0.0
                return float(self.hinge(error, other, gamma)) + beyond

            report: dict[str, Any] = descend(
                latent,
                len(lessons.x),
                loss,
                validate,
                epochs=lessons.epochs,
                seed=lessons.seed,
                progress=progress,
            )
            after = self.judged(judged[0]), self.judged(judged[1])
        report |= {
            "normal_error": [float(before[0].mean()), float(after[0].mean())],
            "negative_error": float(after[1].mean()),
        }
        harm = harm_of(before, after, guess=lessons.guess)
        if harm is None:
            return report, []
        latent.load_state_dict(phase_1)
        return report, [f"phase 2 undone: {harm}"]

    def told(self, lessons: Lessons) -> float:
        """Return how often the error of a negative is above that of a normal window (AUC)."""
        with torch.no_grad():
            normal, odd = (
                torch.cat([self(part).error for part in torch.split(windows, ROWS)])
                for windows in (lessons.validation, lessons.odd_validation)
            )
        return auc(normal, odd)

    def hinge(self, error: Tensor, odd: Tensor, gamma: float) -> Tensor:
        """Return eq. 1 of the errors of normal windows (B,) and of negatives (B,)."""
        return error.mean() + self.beta * torch.relu(gamma - odd).mean()

    def seen(self, x: Tensor) -> Seen:
        """Return windows with their features, which the latent layer does not change."""
        with torch.no_grad():
            return x, torch.cat(
                [self.network.body(part.nan_to_num()) for part in torch.split(x, ROWS)]
            )

    def errors(self, x: Tensor, features: Tensor) -> Tensor:
        """Return the errors (B,) of windows whose features are known."""
        return masked_error(x, self.decode(self.squash(features)))

    def judged(self, windows: Seen) -> Tensor:
        """Return the errors (n,) of many windows, without a gradient."""
        pieces = zip(*(torch.split(part, ROWS) for part in windows), strict=True)
        with torch.no_grad():
            return torch.cat([self.errors(x, features) for x, features in pieces])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let nothing but the latent layer learn, normalisation included."""
        self.eval().requires_grad_(False)
        self.network.latent.requires_grad_(True)
        try:
            yield
        finally:
            self.requires_grad_(True)


def kaiming(network: M) -> M:
    """Draw the weights of a network for its LeakyReLU, and set the offsets to zero.

    He et al., "Delving deep into rectifiers", 2015, eq. 15.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def auc(normal: Tensor, odd: Tensor) -> float:
    """Return how often an odd value is above a normal one; ties count one half.

    Examples
    --------
    >>> auc(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0]))
    0.875
    """
    a = normal.sort().values
    below = torch.searchsorted(a, odd) + torch.searchsorted(a, odd, right=True)
    return float(below.double().mean() / (2 * len(a)))


def harm_of(before: Errors, after: Errors, *, guess: bool) -> str | None:
    """Return why phase 2 is not to be kept, from errors of windows that it did not learn from.

    Parameters
    ----------
    before, after : tuple of float tensors (m,), (q,)
        Of normal windows and of negatives, in either phase.
    guess : bool
        Whether the negatives are synthetic.

    Examples
    --------
    >>> normal = torch.tensor([1.0, 2.0, 3.0, 4.0])
    >>> harm_of((normal, normal + 1), (normal, normal + 2), guess=True)
    >>> harm_of((normal, normal + 1), (normal, normal + 1), guess=True)
    'of the synthetic negatives it misses 28.12 %, phase 1 missed 28.12 %'
    """
    worse = float(after[0].mean() / before[0].mean())
    if not worse <= WORSE:
        return f"it raised the error of normal windows {worse:.2f} x, allowed is {WORSE:g} x"
    if not guess:
        return None
    missed, first = (100 * (1 - auc(*errors)) for errors in (after, before))
    if missed > FEWER * first:
        return f"of the synthetic negatives it misses {missed:.2f} %, phase 1 missed {first:.2f} %"
    alike = _rank_correlation(before[0], after[0])
    if alike < ALIKE:
        return f"it orders normal windows anew (rank correlation {alike:.2f}, asked is {ALIKE:g})"
    return None


def _rank_correlation(a: Tensor, b: Tensor) -> float:
    """Return Spearman's correlation of values (m,); 1 where there is nothing to order."""
    if len(a) < 2:
        return 1.0
    ranks = [v.argsort(stable=True).argsort(stable=True).double() for v in (a, b)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def _made(x: Tensor, seed: int) -> Tensor:
    count = min(max(len(x), LEAST), MOST)
    return torch.from_numpy(synthetic(x.cpu().numpy(), count, seed)).to(x.device)


def _shuffled(x: Tensor, seed: int) -> Tensor:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return x[order.to(x.device)]


def _within(progress: Progress | None, first: float, last: float) -> Progress | None:
    """Return the progress of a part of the work."""
    if progress is None:
        return None
    return lambda done: progress(first + (last - first) * done)
