"""Bodies of the autoencoders: windows (B, T, C) to latents (B, D) and back.

Every body has the same three parts, so that a model may train, freeze or read each one
alone: ``body`` (B, T, C) -> (B, H), ``latent`` a linear layer (B, H) -> (B, D), and
``decode`` (B, D) -> (B, T, C).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

SLOPE = 0.01
CHANNELS = 16  # of the temporal convolution's inner layers
SLOTS = 8  # to which the temporal convolution shrinks a window


def widths(cells: int, latent_dim: int | None = None) -> tuple[int, int, int]:
    """Return the sizes of the two hidden layers and of the latent.

    The first layer is the largest power of two within half of the cells, between 32 and
    256; the second half of it; the latent a quarter of it, at most two thirds of the cells,
    so that it stays a bottleneck, and at most 16: densities mean less and cost more in more
    dimensions.

    Parameters
    ----------
    cells : int
        T * C, at least 1.
    latent_dim : int, optional
        Size of the latent instead of the rule.

    Examples
    --------
    >>> widths(36), widths(6), widths(274), widths(8 * 64), widths(36, 5)
    ((32, 16, 8), (32, 16, 4), (128, 64, 16), (256, 128, 16), (32, 16, 5))
    """
    first = 2 ** max(5, min(8, int(math.log2(max(1, cells / 2)))))
    latent = latent_dim or max(1, min(first // 4, 16, 2 * cells // 3))
    return first, first // 2, latent


class Dense(nn.Module):
    """Fully connected: Linear, LeakyReLU(0.01), BatchNorm, twice; a linear bottleneck.

    Also the network for tables, where a row is a window of one slot. Overshoots beyond the
    range of the history: BatchNorm amplifies a unit that hardly ever fired there.

    Parameters
    ----------
    length, sensors : int
        T and C.
    latent_dim : int, optional
        D; None follows `widths`.
    bias : bool
        False: the encoder has neither offsets nor learned scales of its units, see `_free`.

    Examples
    --------
    >>> import torch
    >>> net = Dense(4, 2)
    >>> z = net.latent(net.body(torch.zeros(3, 4, 2)))
    >>> z.shape, net.decode(z).shape
    (torch.Size([3, 5]), torch.Size([3, 4, 2]))
    """

    def __init__(
        self, length: int, sensors: int, latent_dim: int | None = None, *, bias: bool = True
    ) -> None:
        super().__init__()
        cells = length * sensors
        first, second, self.latent_dim = widths(cells, latent_dim)
        self.body = nn.Sequential(
            nn.Flatten(),  # (B, T, C) -> (B, T * C)
            *_layer(cells, first, bias=bias),
            *_layer(first, second, bias=bias),
        )
        self.latent = nn.Linear(second, self.latent_dim, bias=bias)
        self.decoder = nn.Sequential(
            *_layer(self.latent_dim, second),
            *_layer(second, first),
            nn.Linear(first, cells),
            nn.Unflatten(1, (length, sensors)),  # (B, T * C) -> (B, T, C)
        )

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into windows (B, T, C)."""
        out: Tensor = self.decoder(z)
        return out


class Tcn(nn.Module):
    """Temporal convolutions: each level halves the time and doubles what a slot sees.

    Fewer weights than `Dense` on long windows, since a pattern is learned once for all
    its places; slower per window.

    Parameters
    ----------
    length, sensors : int
        T and C.
    latent_dim : int, optional
        D; None follows `widths`.
    bias : bool
        False: the encoder has neither offsets nor learned scales of its units, see `_free`.

    Examples
    --------
    >>> import torch
    >>> net = Tcn(20, 2)
    >>> z = net.latent(net.body(torch.zeros(3, 20, 2)))
    >>> z.shape, net.decode(z).shape
    (torch.Size([3, 8]), torch.Size([3, 20, 2]))
    """

    def __init__(
        self, length: int, sensors: int, latent_dim: int | None = None, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.length = length
        self.latent_dim = widths(length * sensors, latent_dim)[2]
        levels = max(0, math.ceil(math.log2(length / SLOTS)))
        slots = math.ceil(length / 2**levels)
        self.padding = slots * 2**levels - length  # empty slots at the end
        self.down = nn.Sequential(
            *_convolution(sensors, CHANNELS, bias=bias),  # (B, C, T) -> (B, 16, T)
            *(
                layer
                for _ in range(levels)
                for layer in _convolution(CHANNELS, CHANNELS, 2, bias=bias)
            ),
            nn.Flatten(),  # (B, 16, S) -> (B, 16 * S)
        )
        self.latent = nn.Linear(CHANNELS * slots, self.latent_dim, bias=bias)
        self.up = nn.Sequential(
            *_layer(self.latent_dim, CHANNELS * slots),
            nn.Unflatten(1, (CHANNELS, slots)),
            *(
                layer
                for _ in range(levels)
                for layer in (Twice(), *_convolution(CHANNELS, CHANNELS))
            ),
            nn.Conv1d(CHANNELS, sensors, 3, padding=1),  # (B, 16, T) -> (B, C, T)
        )

    def body(self, x: Tensor) -> Tensor:
        """Turn windows (B, T, C) into features (B, 16 * S)."""
        padded = nn.functional.pad(x.transpose(1, 2), (0, self.padding))
        out: Tensor = self.down(padded)
        return out

    def decode(self, z: Tensor) -> Tensor:
        """Turn latents (B, D) into windows (B, T, C)."""
        out: Tensor = self.up(z)[:, :, : self.length].transpose(1, 2)
        return out.contiguous()


class Twice(nn.Module):
    """Repeat every slot: (B, C, T) -> (B, C, 2 T)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the doubled slots; an expand, whose gradient repeats bit by bit."""
        return x.unsqueeze(3).expand(-1, -1, -1, 2).flatten(2)


NETWORKS: dict[str, type[Dense] | type[Tcn]] = {"dense": Dense, "tcn": Tcn}


def _layer(wide: int, narrow: int, *, bias: bool = True) -> tuple[nn.Module, ...]:
    linear = nn.Linear(wide, narrow, bias=bias)
    if not bias:
        return linear, *_free(nn.BatchNorm1d(narrow, affine=False))
    return linear, nn.LeakyReLU(SLOPE), nn.BatchNorm1d(narrow)


def _convolution(
    before: int, after: int, stride: int = 1, *, bias: bool = True
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv1d(before, after, 3, stride=stride, padding=1, bias=bias)
    if not bias:
        return convolution, *_free(nn.BatchNorm1d(after, affine=False))
    return convolution, nn.LeakyReLU(SLOPE), nn.BatchNorm1d(after)


def _free(norm: nn.BatchNorm1d) -> tuple[nn.Module, ...]:
    """Put the activation behind the normalisation of an encoder without offsets.

    The other way round its features have mean 0, so latents without offsets do too: nothing
    but zero weights brings them near a centre.
    """
    return norm, nn.LeakyReLU(SLOPE)
