"""The linear autoencoder in closed form: principal components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stream_ad.detector.models.base import Progress, WindowModel
from stream_ad.detector.models.descent import mean_error

EXPLAINED = 0.99  # share of the variance that the components explain, where that takes
MOST = 64  # at most so many: searches cost more in more dimensions
EXACT = 1024  # side of the largest matrix that is decomposed exactly, in under a second
OVERSAMPLED, ROUNDS = 16, 6  # of the randomised subspace iteration beyond that
ROWS, COLUMNS = 512, 4096  # windows, or cells of few windows, taken at a time
LANES = 16  # float32 numbers that the widest processors take at once
RANK, LEAST = 1e-10, 1e-14  # variances below this share of the largest, or this, are rounding


class Principal(nn.Module):
    """Flattened windows onto components and back.

    Parameters
    ----------
    length, sensors : int
        T and C.
    latent_dim : int, optional
        D; None: at most 64, and fewer than the cells.

    Examples
    --------
    >>> net = Principal(4, 2)
    >>> z = net.latent(net.body(torch.zeros(3, 4, 2)))
    >>> z.shape, net.decode(z).shape
    (torch.Size([3, 7]), torch.Size([3, 4, 2]))
    """

    components: nn.Parameter  # (D, T * C), orthonormal rows
    centre: nn.Parameter  # (T * C,)

    def __init__(self, length: int, sensors: int, latent_dim: int | None = None) -> None:
        super().__init__()
        cells = length * sensors
        self.size = (length, sensors)
        wide = latent_dim or max(1, min(MOST, cells - 1))
        self.body = nn.Flatten()  # (B, T, C) -> (B, T * C)
        self.components = nn.Parameter(torch.randn(wide, cells) / cells**0.5)
        self.centre = nn.Parameter(torch.zeros(cells))

    @property
    def latent_dim(self) -> int:
        """Return D, the number of components."""
        return len(self.components)

    def latent(self, x: Tensor) -> Tensor:
        """Turn cells (B, T * C) into principal scores (B, D)."""
        wide = self._wide()[:, : len(self.centre)]
        return ((x - self.centre) @ wide.T)[:, : self.latent_dim]

    def decode(self, z: Tensor) -> Tensor:
        """Turn principal scores (B, D) into windows (B, T, C)."""
        cells = (z @ self._wide()[: self.latent_dim])[:, : len(self.centre)]
        return (cells + self.centre).reshape(-1, *self.size)

    def _wide(self) -> Tensor:
        """Return the components with zeros up to whole lanes of a processor in both directions.

        A matrix product of few columns adds in another order in the last rows of a block than
        in the others: a window's bits would depend on its place among its neighbours.
        """
        latents, cells = self.components.shape
        return nn.functional.pad(self.components, (0, -cells % LANES, 0, -latents % LANES))


class Linear(WindowModel):
    """Principal components: the best autoencoder that is linear, without any training.

    With mu the mean window and V the D directions of largest variance,
    ``z = V (x - mu)``, ``x_hat = mu + V' z``, ``error(x) = mean over observed cells of
    (x - x_hat)^2``. No other linear pair of encoder and decoder of the same D has a lower
    mean squared error on the history (Eckart and Young, 1936); a linear autoencoder that
    descends by gradient ends in the same subspace (Baldi and Hornik, "Neural networks and
    principal component analysis", 1989, fact 4). What a network is worth shows beside it.

    D, where ``latent_dim`` is None, is the smallest number of components that explain 99 %
    of the variance, at most 64. Asked for more than the history spans, it keeps what there
    is. Each component points to where its largest cell is positive. ``network``, ``epochs``
    and negatives change nothing; the seed only where both sides of the history exceed 1024.

    Weak where normal windows lie on a curve or in several clusters (between them looks
    normal to the error; ARES on the scores sees it), where an oddity lies within the
    components, such as a larger amplitude, and where much is missing in the history: a
    missing cell counts as the sensor's median, which shrinks its correlations.

    Costs one decomposition of the smaller side of the history (n windows, d = T * C cells):
    n d^2 or n^2 d, milliseconds for some hundred cells. Where both exceed 1024 a randomised
    subspace iteration (Halko, Martinsson, Tropp, "Finding structure with randomness", 2011,
    algorithm 4.4) makes 6 rounds with D + 16 directions. Memory beyond the history: some
    hundred windows, and 1024^2 or (n + d) (D + 16) numbers.

    Examples
    --------
    >>> along = torch.linspace(-1, 1, 9).reshape(9, 1, 1)
    >>> model = Linear(1, 2)
    >>> report = model.fit(torch.cat([along, 2 * along], 2), torch.zeros(2, 1, 2), epochs=1, seed=0)
    >>> model.network.components.data.square().round(decimals=4)
    tensor([[0.2000, 0.8000]])
    >>> model(torch.tensor([[[1.0, 2.0]], [[2.0, -1.0]]])).error.data.round(decimals=4).abs()
    tensor([0.0000, 2.5000])
    """

    network: Principal
    closed_form = True

    def build(self, network: str, latent_dim: int | None) -> Principal:  # noqa: ARG002
        """Return components not yet found: there is no other network."""
        return Principal(self.length, self.sensors, latent_dim)

    def fit(
        self,
        x: Tensor,
        validation: Tensor,
        *,
        epochs: int,  # noqa: ARG002 - nothing is repeated
        seed: int,
        y: Tensor | None = None,  # noqa: ARG002 - anomalies are left out before
        negatives: Tensor | None = None,  # noqa: ARG002 - it knows none
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Take mean and components of the windows."""
        normal = Rows(x)
        if self.latent_dim is None:
            asked, share = max(1, min(MOST, normal.d - 1)), EXPLAINED
        else:
            asked, share = self.latent_dim, 1.0
        directions, variance = normal.principal(asked, seed)
        kept, explained = chosen(variance, normal.variance, share)
        with torch.no_grad():
            # laid out as loading will: another order in memory adds in another order
            found = directions[:kept].to(x.dtype).contiguous()
            self.network.components = nn.Parameter(found)
            self.network.centre = nn.Parameter(normal.mean.to(x.dtype))
        self.eval()
        if progress is not None:
            progress(1.0)
        return {
            "components": kept,
            "explained": explained,
            "validation_error": mean_error(self, validation),
        }


def chosen(variance: Tensor, total: float, share: float) -> tuple[int, float]:
    """Return how many components to keep, and which share of the variance they explain.

    Parameters
    ----------
    variance : float tensor (k,)
        Of the components, descending.
    total : float
        Variance of all cells together; 0 where nothing varies.
    share : float
        To be explained, if the k components do.

    Examples
    --------
    >>> chosen(torch.tensor([6.0, 3.0, 1.0]), 10.0, 0.9)
    (2, 0.9)
    >>> chosen(torch.tensor([0.0, 0.0]), 0.0, 0.9)
    (1, 0.0)
    """
    real = variance[variance > 0]
    explained = [float(part) / total for part in real.double().cumsum(0)]
    enough = next((i for i, part in enumerate(explained, 1) if part >= share - 1e-9), len(real))
    kept = max(1, enough)
    return kept, round(explained[kept - 1], 6) if explained else 0.0


class Rows:
    """Windows as the rows of a matrix that is never copied as a whole.

    Parameters
    ----------
    x : float tensor (n, T, C)
        NaN = missing, taken as 0.
    """

    def __init__(self, x: Tensor) -> None:
        self._x = x
        self.n, self.d = len(x), x.shape[1] * x.shape[2]
        total = x.new_zeros(self.d, dtype=torch.float64)
        for _, rows in self._plain():
            total += rows.sum(0)
        self.mean = total / self.n
        self.variance = sum(float(rows.square().sum()) for _, rows in self._centred()) / self.n

    def principal(self, most: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return directions (k, d), signs settled, and their variances (k,), descending.

        k is ``most`` or the smaller side. What is only rounding is zero, direction and all.
        """
        k = min(most, self.n, self.d)
        if min(self.n, self.d) > EXACT:
            basis = self._span(k + OVERSAMPLED, seed)  # (d, k + 16)
            variance, turn = _descending(_gram(self._times(basis)) / self.n)
            directions = (basis @ turn).T
        elif self.d <= self.n:
            variance, vectors = _descending(self._outer() / self.n)
            directions = vectors.T
        else:
            variance, left = _descending(self._inner() / self.n)
            directions = self._back(left[:, :k]).T
            directions = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-300)
        real = variance[:k] > (RANK * variance[0]).clamp_min(LEAST)
        return _signed(directions[:k] * real.unsqueeze(1)), variance[:k] * real

    def _plain(self) -> Iterator[tuple[slice, Tensor]]:
        for first in range(0, self.n, ROWS):
            place = slice(first, min(first + ROWS, self.n))
            yield place, self._x[place].flatten(1).nan_to_num().double()

    def _centred(self) -> Iterator[tuple[slice, Tensor]]:
        for place, rows in self._plain():
            yield place, rows.sub_(self.mean)

    def _times(self, right: Tensor) -> Tensor:
        """Return X right, (n, k)."""
        return torch.cat([rows @ right for _, rows in self._centred()])

    def _back(self, left: Tensor) -> Tensor:
        """Return X' left, (d, k)."""
        total = left.new_zeros(self.d, left.shape[1])
        for place, rows in self._centred():
            total += rows.T @ left[place]
        return total

    def _outer(self) -> Tensor:
        """Return X' X, (d, d)."""
        total = self.mean.new_zeros(self.d, self.d)
        for _, rows in self._centred():
            total += _gram(rows)
        return total

    def _inner(self) -> Tensor:
        """Return X X', (n, n), from pieces of columns."""
        cells, total = self._x.flatten(1), self.mean.new_zeros(self.n, self.n)
        for first in range(0, self.d, COLUMNS):
            place = slice(first, first + COLUMNS)
            total += _gram((cells[:, place].nan_to_num().double() - self.mean[place]).T)
        return total

    def _span(self, k: int, seed: int) -> Tensor:
        """Return an orthonormal basis (d, k) of nearly the k directions of most variance."""
        device = self._x.device
        generator = torch.Generator(device).manual_seed(seed)
        basis = torch.randn(self.d, k, generator=generator, device=device, dtype=torch.float64)
        for _ in range(ROUNDS):
            basis = torch.linalg.qr(self._back(self._times(basis)))[0]
        return basis


def _gram(rows: Tensor) -> Tensor:
    return rows.T @ rows


def _descending(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (k,), none below 0, and eigenvectors (m, k), the largest first."""
    values, vectors = torch.linalg.eigh(symmetric)
    return values.flip(0).clamp_min(0), vectors.flip(1)


def _signed(directions: Tensor) -> Tensor:
    """Turn each direction so that its largest cell is positive."""
    largest = directions.abs().argmax(1, keepdim=True)
    return directions * torch.where(directions.gather(1, largest) < 0, -1.0, 1.0)
