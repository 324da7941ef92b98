"""AnoRand: its loss, its score by eqs. 5 and 6, and when the noise block loses its vote."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from stream_ad.detector.blocks import one_thread
from stream_ad.detector.models.anorand import AnoRand, TwoBlocks
from stream_ad.detector.models.lis_ae import auc
from stream_ad.detector.networks import NETWORKS
from tests.detector.streams import few_steps

T, C = 8, 3


def drawn(network: str = "dense", latent_dim: int | None = None) -> AnoRand:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return AnoRand(T, C, network=network, latent_dim=latent_dim)


def normal(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    course = torch.randn(n, T, 1, generator=generator)
    return course + 0.05 * torch.randn(n, T, C, generator=generator)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("alpha", [0.0, 0.03, 0.5, 1.0])
def test_the_evidence_is_minus_the_log_of_one_less_the_score_of_eq_6(alpha: float) -> None:
    error, logit = [0.0, 0.2, 3.0, 8.0], [-9.0, 4.0, -2.0, 6.0]
    evidence = AnoRand.joined(torch.tensor(error), torch.tensor(logit), torch.tensor(alpha))
    for given, e, lo in zip(evidence.tolist(), error, logit, strict=True):
        score = (1 - alpha) * sigmoid(lo) + alpha * sigmoid(e)
        assert given == pytest.approx(-math.log(1 - score), rel=1e-4, abs=1e-4)


def test_what_the_score_rounds_to_one_is_still_told_apart() -> None:
    error = torch.tensor([20.0, 200.0, 2000.0])
    assert (torch.sigmoid(error) == 1).all()
    for alpha in (0.03, 1.0):
        evidence = AnoRand.joined(error, error, torch.tensor(alpha))
        assert evidence.isfinite().all()
        assert (evidence.diff() > 0).all()


def test_alpha_is_the_share_of_the_noise_blocks_third_quartile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = drawn().eval()
    error, logit = torch.arange(5.0), torch.tensor([-3.0, -2.0, -1.0, 0.0, 1.0])
    monkeypatch.setattr(AnoRand, "opinions", lambda self, x: (error, logit))
    found = model.weigh(normal(5), normal(5), seed=0)
    # of five values the fourth is the third quartile: error 3 and log odds 0; a tie is no harm
    assert found["alpha"] == pytest.approx(0.5 / (sigmoid(3) + 0.5))
    assert found["guards"] == []
    assert found["synthetic_auc"] == {"error": 0.5, "noise_block": 0.5, "joined": 0.5}


@pytest.mark.parametrize(
    ("told", "sign", "votes"),
    [
        (False, 1.0, True),
        (False, -1.0, False),  # the block does harm
        (True, 1.0, False),  # the error alone leaves nothing to gain
    ],
)
def test_a_block_that_does_harm_or_has_nothing_to_add_has_no_vote(
    told: bool, sign: float, votes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, validation = drawn().eval(), normal(50)

    def opinions(self: AnoRand, x: Tensor) -> tuple[Tensor, Tensor]:
        size = x.square().mean((1, 2))
        return size if told else x[:, 0, 0].sigmoid(), sign * 5 * (size - 4)

    monkeypatch.setattr(AnoRand, "opinions", opinions)
    found = model.weigh(normal(50, 1), validation, seed=0)
    assert (found["guards"] == []) == votes
    assert (float(model.alpha) < 1) == votes
    if not votes:
        assert found["guards"][0].startswith("noise block has no vote")
        z, error = torch.randn(4, model.network.latent_dim), torch.tensor([0.1, 1.0, 5.0, 30.0])
        expected = torch.nn.functional.softplus(error)  # -log(1 - sigmoid): the error's own rank
        torch.testing.assert_close(model.own_error(z, error), expected)


def test_the_loss_weighs_entropy_and_the_error_of_normal_windows() -> None:
    """Eq. 4 with w = 0.2 and the sign of eq. 2 turned: a larger error is a larger loss."""
    model, x, odd = drawn().eval(), 0.3 * normal(20), 0.3 * normal(7, 1)
    network = model.network
    y = torch.sigmoid(network.logit(network.noise(x)))
    y_odd = torch.sigmoid(network.logit(network.noise(odd)))
    squared = (x - model(x).x_hat).square().mean()
    entropy = -0.95 * (1 - y).log().mean() - 0.05 * y_odd.log().mean()
    torch.testing.assert_close(model.objective(x, odd), 0.2 * entropy + 0.8 * squared)


def test_anomalies_do_not_touch_encoder_and_decoder() -> None:
    states = []
    for size in (1.0, 100.0):
        model = drawn().train()
        objective = model.objective(normal(20), size * torch.ones(3, T, C))
        objective.backward()  # type: ignore[no-untyped-call]
        states.append(
            {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
            | dict(model.named_buffers())
        )
    for name, value in states[0].items():
        if "noise" not in name and "head" not in name:
            assert torch.equal(value, states[1][name]), name


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("asked", [None, 1, 2, 5, 11])
def test_the_latents_are_those_of_both_blocks(network: str, asked: int | None) -> None:
    model = drawn(network, asked).eval()
    x = normal(3)
    z = model(x).z
    wide = model.network.latent_dim
    assert z.shape == (3, wide)
    assert wide == max(2, asked or wide)
    torch.testing.assert_close(z[:, : model.network.noise_dim], model.network.noise(x))
    again = TwoBlocks(T, C, network, wide)  # as an artifact is read
    assert {n: v.shape for n, v in again.state_dict().items()} == {
        n: v.shape for n, v in model.network.state_dict().items()
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_a_fit_on_windows_with_holes_reports_what_happened(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 20)
    x = normal(80)
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.2] = torch.nan
    seen: list[float] = []
    model = drawn(network)
    with one_thread():
        report = model.fit(x[:60], x[60:], epochs=1, seed=0, progress=seen.append)
    assert set(report) >= {"validation_error", "steps", "alpha", "synthetic_auc", "guards"}
    assert report["alpha"] == float(model.alpha) == float(model.state_dict()["alpha"])
    assert (report["alpha"] == 1) == bool(report["guards"])
    assert seen == sorted(seen)
    assert model.eval()(x).error.isfinite().all()


def test_training_teaches_the_block_what_noise_is(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 300)
    model, x = drawn(), normal(300)
    with one_thread():
        report = model.fit(x[:240], x[240:], epochs=1, seed=0)
    assert report["synthetic_auc"]["noise_block"] > 0.75  # untaught: 0.5


def test_the_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 30), rng.integers(2, 9, 20)
    pairs = np.sign(b[:, None] - a).mean() / 2 + 0.5
    given = auc(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    assert given == pytest.approx(pairs)
