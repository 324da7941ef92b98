"""The plain autoencoder on rows of a table: noise while it learns, bounds when it rebuilds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stream_ad.detector.models.ae import REACH, Ae
from stream_ad.detector.models.pieces import in_pieces
from tests.detector.streams import few_steps

C = 4


def drawn(length: int = 1, latent_dim: int = 1) -> Ae:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return Ae(length, C, latent_dim=latent_dim)


def line(n: int = 400, length: int = 1, seed: int = 0) -> Tensor:
    """Return windows whose sensors say the same, but for a little."""
    generator = torch.Generator().manual_seed(seed)
    course = torch.randn(n, length, 1, generator=generator)
    return course + 0.05 * torch.randn(n, length, C, generator=generator)


def fitted(x: Tensor, length: int = 1) -> Ae:
    model = drawn(length)
    model.fit(x[50:], x[:50], epochs=1, seed=0)
    return model.eval()


def test_bounds_are_two_spreads_from_the_middle_of_the_latents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch)
    x = line()
    model = fitted(x)
    z = in_pieces(model.encode, x[50:]).double()
    middle, spread = z.mean(0), ((z - z.mean(0)).square().sum(0) / (len(z) - 1)).sqrt()
    torch.testing.assert_close(model.lowest.double(), middle - REACH * spread)
    torch.testing.assert_close(model.highest.double(), middle + REACH * spread)


def test_a_row_beyond_the_bounds_is_rebuilt_as_one_at_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch)
    model = fitted(line())
    with torch.no_grad():
        beyond = model.decode(model.highest + torch.tensor([[0.5], [50.0]]))
        bound = model.decode(model.highest[None])
    torch.testing.assert_close(beyond, bound.expand(2, -1, -1))


def test_what_lies_far_out_in_a_known_direction_is_not_rebuilt() -> None:
    """All sensors at 9 obey the history's correlation: only how far it goes is odd."""
    x = line()
    bounded = fitted(x)
    far = torch.full((1, 1, C), 9.0)
    with torch.no_grad():
        usual = bounded(x[:50]).error.max()
        assert bounded(far).error > 10 * usual
        assert bounded(far).error > bounded(far * 0.7).error


def test_latents_are_not_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch)
    model = fitted(line())
    far = torch.full((1, 1, C), 40.0)
    with torch.no_grad():
        z = model(far).z
    assert ((z < model.lowest) | (z > model.highest)).any()


def test_longer_windows_are_rebuilt_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)
    model = fitted(line(length=3), 3)
    assert model.lowest.isneginf().all()
    assert model.highest.isposinf().all()


def test_the_noise_is_of_the_seed_and_torchs_own_generator_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch)
    x, before = line(), torch.get_rng_state()
    first, again = fitted(x), fitted(x)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        assert torch.equal(first(x).error, again(x).error)


def test_missing_values_of_rows_teach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)
    x = line()
    x[::3, 0, 1] = torch.nan
    model = fitted(x)
    with torch.no_grad():
        assert model(x).error.isfinite().all()
