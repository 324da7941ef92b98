"""Mining: distances to small samples by brute force, a limit that senses what is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from stream_ad.detector.models import mining, pieces
from stream_ad.detector.models.mining import Dictionary, mine, tail_limit
from stream_ad.detector.models.pieces import in_pieces


def drawing(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clouds(n: int, odd: int, sensors: int = 5, length: int = 2) -> Tensor:
    """Return normal windows, the last ones of them shifted."""
    x = torch.randn(n, length, sensors, generator=drawing(1))
    x[n - odd :] += 5
    return x


def plain(x: Tensor) -> Tensor:
    return 3 * torch.sinh(x.double() / 3)


def test_the_score_is_the_mean_distance_to_the_nearest_of_each_sample() -> None:
    x = clouds(60, 6)
    x[3, 0, 1] = x[7, 1, :2] = torch.nan
    mined = torch.arange(60) >= 54
    dictionary = Dictionary(2, 5)
    dictionary.learn(x, mined, drawing())
    kept = x[~mined]
    totals = []
    for units in (x, kept):
        cells = plain(units).reshape(-1, 5).numpy()
        centre, deviation = np.nanmean(cells, axis=0), np.nanstd(cells, axis=0)
        entries = (plain(dictionary.entries).numpy() - centre) / deviation
        rows = (plain(x).numpy() - centre) / deviation
        apart = np.sqrt(np.nanmean((rows[:, None] - entries[None]) ** 2, axis=(2, 3)))
        mean = apart.reshape(60, mining.SAMPLES, mining.ENTRIES).min(axis=2).mean(axis=1)
        totals.append(mean / torch.from_numpy(mean[:54]).median().numpy())
    expected = torch.from_numpy(np.mean(totals, axis=0)).float()
    torch.testing.assert_close(in_pieces(dictionary, x), expected, rtol=1e-3, atol=1e-4)


def test_samples_hold_only_what_was_not_mined_and_no_window_twice() -> None:
    x = torch.arange(1.0, 41).reshape(40, 1, 1) / 10
    mined = torch.arange(40) % 4 == 0
    dictionary = Dictionary(1, 1)
    dictionary.learn(x, mined, drawing())
    samples = dictionary.entries.reshape(mining.SAMPLES, mining.ENTRIES)
    assert set(samples.flatten().tolist()) == set(x[~mined].flatten().tolist())
    assert all(len(set(sample.tolist())) == mining.ENTRIES for sample in samples)


@pytest.mark.parametrize("odd", [10, 40, 80])
def test_contamination_is_mined_whatever_its_share(odd: int) -> None:
    x = clouds(800, odd)
    found = mine(x, Dictionary(2, 5), drawing())
    assert found.sensed == (odd > 10)  # 1.25 % are no more than an ordinary tail
    assert found.rows[800 - odd :].float().mean() > 0.95
    assert found.rows[: 800 - odd].float().mean() < 0.07


def test_of_a_clean_history_hardly_anything_is_mined() -> None:
    found = mine(clouds(2000, 0), Dictionary(2, 5), drawing())
    assert not found.sensed
    assert found.shares[-1] < 0.045
    assert found.excess == pytest.approx(found.shares[-1] / norm.sf(2.0), rel=1e-2)


def test_later_rounds_find_what_the_first_could_not() -> None:
    x = clouds(800, 80)
    x[760:] *= 20  # its spread hides the rest
    shares = mine(x, Dictionary(2, 5), drawing()).shares
    assert shares == sorted(shares)
    assert shares[-1] >= 0.09 > shares[0]


def test_the_limit_leaves_the_tail_of_a_log_normal_beyond_it() -> None:
    score = torch.from_numpy(np.random.default_rng(0).lognormal(1, 0.7, 100_000))
    share = float((score > tail_limit(score)).double().mean())
    assert share == pytest.approx(norm.sf(2.0), abs=1e-3)


def test_scores_that_are_all_alike_have_no_tail() -> None:
    for level in (0.3, 0.0):
        score = torch.full((50,), level)
        assert not (score > tail_limit(score)).any()


def test_a_sensor_that_stands_still_shows_when_it_moves() -> None:
    x = clouds(100, 0)
    x[:, :, 2] = 0
    dictionary = Dictionary(2, 5)
    dictionary.learn(x, torch.zeros(100, dtype=torch.bool), drawing())
    moved = x.clone()
    moved[:, :, 2] = 30
    assert dictionary(moved).min() > dictionary(x).max()


def test_a_missing_cell_counts_neither_for_nor_against() -> None:
    x = clouds(100, 0)
    dictionary = Dictionary(2, 5)
    dictionary.learn(x, torch.zeros(100, dtype=torch.bool), drawing())
    odd = x[:5].clone()
    odd[:, :, 3] = 1e3
    hole = odd.clone()
    hole[:, :, 3] = torch.nan
    assert (dictionary(odd) > 20 * dictionary(hole)).all()
    assert torch.isfinite(dictionary(hole)).all()


def test_pieces_of_the_history_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x = clouds(50, 5)
    dictionary = Dictionary(2, 5)
    dictionary.learn(x, torch.zeros(50, dtype=torch.bool), drawing())
    whole = in_pieces(dictionary, x)
    monkeypatch.setattr(pieces, "PIECE", 7)
    torch.testing.assert_close(in_pieces(dictionary, x), whole, rtol=1e-4, atol=1e-5)
