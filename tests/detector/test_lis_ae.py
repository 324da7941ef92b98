"""LIS-AE and LinSep-LIS-AE: what each phase may move, what guards them, what negatives teach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stream_ad.detector import Detector
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.models import lis_ae
from stream_ad.detector.models.linsep_lis_ae import LinSepLisAe
from stream_ad.detector.models.lis_ae import Lessons, LisAe, harm_of, kaiming
from stream_ad.detector.models.pieces import masked_error
from stream_ad.detector.networks import NETWORKS
from tests.detector.streams import few_steps, waves

FAMILY = [LisAe, LinSepLisAe]
T, C = 8, 3


def drawn(model: type[LisAe], network: str = "dense", length: int = T) -> LisAe:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return model(length, C, network=network)


def normal(n: int, seed: int = 0) -> Tensor:
    """Return scaled windows whose sensors say the same."""
    generator = torch.Generator().manual_seed(seed)
    course = torch.randn(n, T, 1, generator=generator)
    return course + 0.05 * torch.randn(n, T, C, generator=generator)


def lessons(negatives: Tensor | None = None, seed: int = 0) -> Lessons:
    odd = torch.randn(200, T, C, generator=torch.Generator().manual_seed(5))
    odd = odd if negatives is None else negatives
    return Lessons(normal(120), normal(60, 1), odd[40:], odd[:40], epochs=1, seed=seed)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("model", FAMILY)
def test_phase_2_moves_the_latent_layer_and_nothing_else(
    model: type[LisAe], network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 20)
    subject = drawn(model, network)
    with one_thread():
        subject.rebuild(lessons(), None)
        before = {name: value.clone() for name, value in subject.state_dict().items()}
        _, guards = subject.shape_latents(lessons(), None)
    moved = {n for n, value in subject.state_dict().items() if not torch.equal(value, before[n])}
    assert guards == []
    assert moved == {"network.latent.weight", "network.latent.bias"}  # no running mean either
    assert all(weight.requires_grad for weight in subject.parameters())


@pytest.mark.parametrize("model", FAMILY)
def test_phase_2_raises_the_error_of_negatives_and_spares_the_normal(
    model: type[LisAe], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 300)
    subject, taught = drawn(model), lessons()
    with one_thread():
        subject.rebuild(taught, None)
        subject.eval()
        with torch.no_grad():
            before = float(subject(taught.odd_validation).error.mean())
        report, guards = subject.shape_latents(taught, None)
    assert guards == []
    assert report["negative_error"] > before
    assert report["normal_error"][1] <= 1.5 * report["normal_error"][0]


def test_the_hinge_asks_nothing_of_negatives_beyond_gamma() -> None:
    model = drawn(LisAe)
    error, odd = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 9.0])
    # 2 + 1 * mean(4 - 1, 0); the absolute value of the paper would add 5 / 2
    assert float(model.hinge(error, odd, 4.0)) == pytest.approx(2 + 1.5)


def test_gamma_is_four_normal_errors_of_phase_1(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 10)
    subject, taught, asked = drawn(LisAe), lessons(), set[float]()
    hinge = LisAe.hinge

    def heard(model: LisAe, error: Tensor, odd: Tensor, gamma: float) -> Tensor:
        asked.add(gamma)
        return hinge(model, error, odd, gamma)

    monkeypatch.setattr(LisAe, "hinge", heard)
    with one_thread():
        subject.rebuild(taught, None)
        subject.eval()
        with torch.no_grad():
            usual = float(subject(taught.validation).error.mean())
        subject.shape_latents(taught, None)
    assert list(asked) == [pytest.approx(4 * usual)]


NORMAL = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])


@pytest.mark.parametrize(
    ("odd", "undone"),
    [
        ([9.0, 9, 9, 9], False),  # it misses none; phase 1 missed 2 of 20 pairs
        ([4.5, 4.5, 9, 9], True),  # as many as phase 1
    ],
)
def test_synthetic_negatives_have_to_be_told_better_by_a_fifth(
    odd: list[float], undone: bool
) -> None:
    before = torch.tensor([4.5, 4.5, 9, 9])
    harm = harm_of((NORMAL, before), (NORMAL, torch.tensor(odd)), guess=True)
    assert (harm is not None) == undone
    assert harm_of((NORMAL, before), (NORMAL, torch.tensor(odd)), guess=False) is None


def test_an_order_of_normal_windows_turned_round_undoes_phase_2() -> None:
    before, odd = torch.tensor([4.5, 4.5, 9, 9]), torch.full((4,), 9.0)
    harm = harm_of((NORMAL, before), (NORMAL.flip(0), odd), guess=True)
    assert harm is not None
    assert "correlation -1.00" in harm
    assert harm_of((NORMAL, before), (2 * NORMAL / 2, odd), guess=True) is None


@pytest.mark.parametrize("model", FAMILY)
def test_what_synthetic_negatives_undo_given_ones_do_not(
    model: type[LisAe], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 10)
    monkeypatch.setattr(lis_ae, "FEWER", 0.0)  # what no phase 2 can keep
    with one_thread():
        made = drawn(model).fit(normal(80), normal(40, 1), epochs=1, seed=0)
        given = drawn(model).fit(normal(80), normal(40, 1), epochs=1, seed=0, negatives=normal(90))
    assert made["latent_phase"] is None or "synthetic negatives" in made["guards"][0]
    assert given["guards"] == []


@pytest.mark.parametrize("model", FAMILY)
def test_a_second_phase_that_costs_too_much_is_undone_and_reported(
    model: type[LisAe], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 10)
    monkeypatch.setattr(lis_ae, "WORSE", 0.01)  # what no phase 2 can keep
    subject, taught = drawn(model), lessons()
    with one_thread():
        subject.rebuild(taught, None)
        before = {name: value.clone() for name, value in subject.state_dict().items()}
        _, guards = subject.shape_latents(taught, None)
    assert len(guards) == 1
    assert guards[0].startswith("phase 2 undone: it raised the error of normal windows")
    assert all(torch.equal(value, before[n]) for n, value in subject.state_dict().items())


def test_negatives_enter_the_reconstruction_of_neither_variant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the head's cross-entropy no decoder weight feels the negatives."""
    few_steps(monkeypatch, 1)
    gradients = []
    for odd in (normal(200, 3), 50 + normal(200, 4)):
        subject = drawn(LisAe)
        with one_thread():
            subject.rebuild(lessons(odd), None)
        gradients.append(subject.state_dict())
    assert all(torch.equal(gradients[0][name], value) for name, value in gradients[1].items())


def test_the_head_makes_the_input_of_the_latent_layer_separable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A least-squares plane in the features of LinSep parts more than in those of LIS."""
    few_steps(monkeypatch, 300)
    monkeypatch.setattr(LinSepLisAe, "weight", 1.0)
    opposed = normal(300, 3) * torch.tensor([1.0, 1.0, -1.0])  # no plane parts the windows
    wrong = []
    for model in FAMILY:
        subject, taught = drawn(model), lessons(opposed)
        with one_thread(), torch.no_grad():
            with torch.enable_grad():
                subject.rebuild(taught, None)
            both = torch.cat([taught.validation, opposed[:60]])
            features = subject.eval().network.body(both).double()
        features = torch.cat([features, torch.ones(120, 1)], 1)
        label = torch.ones(120).double()
        label[:60] = -1
        plane = torch.linalg.lstsq(features, label.unsqueeze(1)).solution[:, 0]
        wrong.append(float(((features @ plane).sign() != label).double().mean()))
    assert wrong[1] < min(wrong[0], 0.1)


def test_the_head_is_not_kept() -> None:
    assert drawn(LinSepLisAe).state_dict().keys() == drawn(LisAe).state_dict().keys()


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_start_as_he_et_al_and_offsets_at_zero(network: str) -> None:
    """Variance 2 / (1 + slope^2) / fan-in."""
    model = drawn(LisAe, network, 64)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv1d)]
    for layer in layers:
        assert layer.bias is not None
        assert (layer.bias == 0).all()
        if layer.weight.numel() > 2000:
            fan_in = layer.weight[0].numel()
            wanted = 2 / 1.0001 / fan_in
            assert float(layer.weight.detach().var()) == pytest.approx(wanted, rel=0.15)
    bare = torch.nn.Linear(3, 2, bias=False)
    assert kaiming(bare) is bare


def test_latents_are_bounded() -> None:
    model = drawn(LisAe).eval()
    z = model(1e6 * normal(5)).z.detach()
    assert (z.abs() <= 1).all()


def test_the_masked_error_is_the_models_own() -> None:
    model, x = drawn(LisAe).eval(), normal(6)
    x[0, 2:5, 1], x[3, :, 2] = torch.nan, torch.nan
    out = model(x)
    torch.testing.assert_close(masked_error(x, out.x_hat), out.error)
    hand = masked_error(torch.tensor([[[1.0, torch.nan], [4.0, 2.0]]]), torch.zeros(1, 2, 2))
    assert hand.tolist() == [7.0]  # (1 + 16 + 4) / 3


@pytest.mark.parametrize("model", ["lis_ae", "linsep_lis_ae"])
@pytest.mark.parametrize("given", [False, True])
def test_missing_cells_in_history_and_negatives_are_survived(
    model: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 10)
    x = waves(80, T, C)
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    other = waves(30, T, C, seed=9)[:, :, ::-1].copy()
    other[::3, 2:4, 1] = np.nan
    d = Detector(model, "error", epochs=1).fit(x, negatives=other if given else None)
    assert d.report_["negatives"] == ("given" if given else "synthetic")
    assert np.isfinite(d.decision_function(x)).all()


@pytest.mark.parametrize("model", FAMILY)
def test_given_negatives_decide_what_is_not_rebuilt(
    model: type[LisAe], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 300)
    x, opposed = normal(200), normal(300, 7) * torch.tensor([1.0, 1.0, -1.0])
    shown: list[Any] = []
    for other in (None, opposed[:200]):
        subject = drawn(model)
        with one_thread():
            subject.fit(x[:150], x[150:], epochs=1, seed=0, negatives=other)
            with torch.no_grad():
                shown.append(subject(opposed[200:]).error.mean() / subject(x[150:]).error.mean())
    assert shown[1] > shown[0]


@pytest.mark.parametrize("model", FAMILY)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_negatives_are_survived(
    model: type[LisAe], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 5)
    subject = drawn(model)
    with one_thread():
        report = subject.fit(normal(30), normal(9), epochs=1, seed=0, negatives=normal(count, 4))
    assert np.isfinite(report["validation_error"])


def test_progress_rises_from_phase_to_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 10)
    seen: list[float] = []
    with one_thread():
        drawn(LinSepLisAe).fit(normal(30), normal(9), epochs=1, seed=0, progress=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] <= 1
