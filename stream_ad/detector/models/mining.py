"""Which windows of a history are contamination: how far from small samples of it they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stream_ad.detector.models.pieces import in_pieces
from stream_ad.detector.scaling import KNEE

SAMPLES, ENTRIES = 128, 6  # samples of the history, and windows in each
ROUNDS, GROWTH = 10, 1.1  # at most so often is what is left sampled again, while more is found
REACH = 2.0  # deviations of the logarithm from the median to the limit
ORDINARY_TAIL = 0.0228  # share of a log-normal that lies so far out
SENSED = 2.0  # times as many are no accident
ROUNDING = 1e-3
UPPER_QUARTILE = 0.6745  # of a standard normal
LEAST = 0.1  # unit of a sensor that hardly ever moves, in those of the scaler
FARTHEST = 1e6  # units; beyond, all are alike, and the squares still fit into float32
MOST = 1_000_000  # scores of which quantiles are taken
TINY = 1e-9


class Dictionary(nn.Module):
    """Many small random samples of a history, and how far from them a window lies.

    The score of a window is the mean over the samples of its distance to the nearest entry: a
    root mean square over the observed cells. An anomaly finds its own kind in a sample of six
    only where its kind is common, so contamination of a few per cent does not vouch for
    itself, as it does where neighbours are searched in all of the history; and a normal state
    that is not the only one still finds its own in half of the samples.

    Distances are taken twice, with each sensor's deviation over all windows as its unit and
    with that over the windows not mined. The first holds where the mined share is wrong or a
    sensor is heavy-tailed by nature, the second where contamination has inflated the units of
    just those sensors which show it. Both in shares of their median over what was not mined,
    the score is their mean: 1 is ordinary.

    Parameters
    ----------
    length, sensors : int
        T and C.

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 50).reshape(50, 1, 1)
    >>> dictionary = Dictionary(1, 1)
    >>> dictionary.learn(x, torch.zeros(50, dtype=torch.bool), torch.Generator().manual_seed(0))
    >>> score = dictionary(torch.tensor([[[0.0]], [[9.0]]]))
    >>> bool(score[0] < 1), bool(score[1] > 20)
    (True, True)
    """

    entries: Tensor  # (SAMPLES * ENTRIES, T, C), in scaled units; missing cells are 0
    centre: Tensor  # (2, 1, 1, C)
    unit: Tensor  # (2, 1, 1, C)
    ordinary: Tensor  # (2,)

    def __init__(self, length: int, sensors: int) -> None:
        super().__init__()
        self.register_buffer("entries", torch.zeros(SAMPLES * ENTRIES, length, sensors))
        self.register_buffer("centre", torch.zeros(2, 1, 1, sensors))
        self.register_buffer("unit", torch.ones(2, 1, 1, sensors))
        self.register_buffer("ordinary", torch.ones(2))

    def learn(self, x: Tensor, mined: Tensor, generator: torch.Generator) -> None:
        """Sample the windows (n, T, C) that are not mined, bool (n,), and take the units."""
        kept = x[~mined]
        for which, windows in enumerate((x, kept)):
            self.centre[which], self.unit[which] = _moments(_plain(windows))
        draws = torch.rand(SAMPLES, len(kept), generator=generator)
        rows = draws.topk(min(ENTRIES, len(kept)), dim=1).indices.to(x.device)  # none twice in one
        rows = rows[:, torch.arange(ENTRIES, device=x.device) % rows.shape[1]]
        self.entries.copy_(kept[rows.flatten()].nan_to_num())
        self.ordinary.fill_(1.0)
        self.ordinary.copy_(in_pieces(self.distances, kept).median(0).values.clamp_min(TINY))

    def distances(self, x: Tensor) -> Tensor:
        """Return the mean distances (B, 2) of windows (B, T, C) in the two kinds of units."""
        seen = torch.mul(x, 0).add(1).nan_to_num().flatten(1)  # (B, T * C)
        a = self._in_units(x.nan_to_num()) * seen  # (2, B, T * C)
        b = self._in_units(self.entries).transpose(1, 2)  # (2, T * C, K)
        square = a.square().sum(2, keepdim=True) - 2 * (a @ b) + seen @ b.square()
        samples = square.reshape(2, len(x), SAMPLES, ENTRIES)
        nearest = samples.amin(3).clamp_min(0) / seen.sum(1, keepdim=True)
        return nearest.sqrt().mean(2).T / self.ordinary

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (B,) of windows (B, T, C); higher = more anomalous."""
        return self.distances(x).mean(1)

    def _in_units(self, x: Tensor) -> Tensor:
        standard = (_plain(x) - self.centre) / self.unit
        return standard.clamp(-FARTHEST, FARTHEST).flatten(2)


@dataclass(frozen=True, slots=True)
class Mined:
    """What of a history is contamination.

    Parameters
    ----------
    rows : bool tensor (n,)
    limit : float
        The score above which a window was, in the last round.
    shares : list of float
        Share of the windows found so far, after each round.
    """

    rows: Tensor
    limit: float
    shares: list[float]

    @property
    def excess(self) -> float:
        """Return how many times as many lie in the tail as in that of a log-normal."""
        return self.shares[-1] / ORDINARY_TAIL

    @property
    def sensed(self) -> bool:
        """Return whether there is contamination at all."""
        return self.excess > SENSED


def mine(x: Tensor, dictionary: Dictionary, generator: torch.Generator) -> Mined:
    """Look for contamination among windows (n, T, C), and let the dictionary learn the rest.

    What a round finds is left out of the samples and units of the next, so the evidence
    against what resembles it grows; a round that adds hardly anything is the last. What lies
    beyond the limit is mined even where there are no more than of a log-normal: the bank and
    the network lose nothing by it.
    """
    rows = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    shares, limit = [0.0], float("inf")
    for _ in range(ROUNDS):
        dictionary.learn(x, rows, generator)
        score = in_pieces(dictionary, x)
        limit = tail_limit(score)
        rows |= score > limit
        shares.append(float(rows.double().mean()))
        if shares[-1] <= GROWTH * shares[-2]:
            break
    dictionary.learn(x, rows, generator)
    return Mined(rows, limit, shares[1:])


def tail_limit(score: Tensor) -> float:
    """Return what hardly anything but contamination exceeds among scores (n,), at least 0.

    A log-normal is put through the median and the upper quartile: the lower half tells of
    repeated windows rather than of how far the ordinary reaches. At most a quarter can lie
    beyond the limit.

    Examples
    --------
    >>> normal = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).exp()
    >>> 0.02 < float((normal > tail_limit(normal)).float().mean()) < 0.025
    True
    >>> few = torch.cat([normal, 1000 + normal[:1_000]])
    >>> bool((few > tail_limit(few))[-1_000:].all())
    True
    """
    logs = score.clamp_min(TINY).log().double()
    logs = logs[:: -(-len(logs) // MOST)]
    ordered = logs.sort().values
    middle, high = (float(ordered[int(share * (len(logs) - 1))]) for share in (0.5, 0.75))
    # where half are alike, rounding is no tail
    return math.exp(middle + max(REACH * (high - middle) / UPPER_QUARTILE, ROUNDING))


def _plain(x: Tensor) -> Tensor:
    """Undo the squash of the scaler: every deviation counts in full."""
    return KNEE * torch.sinh(x / KNEE)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and unit (C,) of the observed cells of windows (n, T, C)."""
    cells = x.flatten(0, 1).double()
    count = (~cells.isnan()).sum(0).clamp_min(1)
    mean = cells.nan_to_num().sum(0) / count
    deviation = ((cells - mean).nan_to_num().square().sum(0) / count).sqrt()
    # one that stands still keeps the unit of the scaler
    return mean, torch.where(deviation > 0, deviation.clamp_min(LEAST), 1.0)
