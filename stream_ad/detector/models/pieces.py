"""What is asked of many windows: in pieces, and of the observed cells only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PIECE = 1024  # windows


def in_pieces(of: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Join what a function says about windows (n, T, C), some at a time, without gradients.

    Examples
    --------
    >>> in_pieces(lambda part: part.sum((1, 2)), torch.ones(3, 2, 2))
    tensor([4., 4., 4.])
    """
    with torch.no_grad():
        return torch.cat([of(x[first : first + PIECE]) for first in range(0, len(x), PIECE)])


def masked_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Return mean squared errors (B,) over the observed cells of windows (B, T, C).

    Examples
    --------
    >>> x = torch.tensor([[[1.0, torch.nan]], [[2.0, 4.0]]])
    >>> masked_error(x, torch.zeros(2, 1, 2))
    tensor([ 1., 10.])
    """
    missing = x.isnan()
    residual = (x.nan_to_num() - x_hat).masked_fill(missing, 0.0)
    cells = x[0].numel() - missing.sum((1, 2))
    return residual.square().sum((1, 2)) / cells
