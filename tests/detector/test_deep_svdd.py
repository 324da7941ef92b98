"""Deep SVDD: where the centre lies, what the encoder may have, what is left when it collapses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stream_ad.detector import Detector
from stream_ad.detector.models import hypersphere
from stream_ad.detector.models.deep_svdd import DeepSvdd
from stream_ad.detector.models.hypersphere import Hypersphere
from stream_ad.detector.models.pieces import masked_error
from stream_ad.detector.networks import NETWORKS
from tests.detector.streams import few_steps, waves


def made(length: int = 4, sensors: int = 3, **settings: Any) -> DeepSvdd:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return DeepSvdd(length, sensors, **settings)


def noise(n: int = 60, length: int = 4, sensors: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(n, length, sensors, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def _few_steps() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, 20)
        yield


# --- what keeps the sphere from collapsing


@pytest.mark.parametrize("network", NETWORKS)
def test_the_encoder_has_weights_but_neither_offsets_nor_scales(network: str) -> None:
    model = made(16, 3, network=network).eval()
    model.decode = None  # type: ignore[method-assign, assignment] # only the encoder runs
    used = torch.autograd.grad(
        model.encode(noise(5, 16)).square().sum(),
        weights := list(model.parameters()),
        allow_unused=True,
    )
    encoder = [w for w, gradient in zip(weights, used, strict=True) if gradient is not None]
    assert len(encoder) == sum(w.ndim > 1 for w in encoder) > 2
    assert not any(isinstance(part, (nn.Tanh, nn.Sigmoid)) for part in model.modules())


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_zero_lands_on_zero_before_anything_was_learned(network: str) -> None:
    z = made(16, 3, network=network).eval().encode(torch.zeros(2, 16, 3))
    assert z.tolist() == torch.zeros_like(z).tolist()


# --- the centre


class Given(DeepSvdd):
    """Its latents are the first cells of a window."""

    def encode(self, x: Tensor) -> Tensor:
        return x[:, 0]


def test_the_centre_is_the_mean_latent_but_nowhere_near_zero() -> None:
    model = Given(2, 4, latent_dim=4)
    x = torch.tensor([[0.5, 0.04, -0.02, 0.0], [1.5, 0.06, -0.08, 0.0]])[:, None].repeat(1, 2, 1)
    assert model.place_centre(x) == 0.75
    torch.testing.assert_close(model.c, torch.tensor([1.0, 0.1, -0.1, 0.1]))


def test_a_mean_at_a_tenth_stays() -> None:
    model = Given(1, 3, latent_dim=3)
    assert model.place_centre(torch.tensor([[[0.1, -0.1, 3.0]]])) == 0
    torch.testing.assert_close(model.c, torch.tensor([0.1, -0.1, 3.0]))


@pytest.mark.usefixtures("_few_steps")
def test_the_centre_does_not_move_while_the_encoder_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    placed, place = [], Hypersphere.place_centre

    def watched(self: Hypersphere, normal: Tensor) -> float:
        share = place(self, normal)
        placed.append(self.c.clone())
        return share

    monkeypatch.setattr(Hypersphere, "place_centre", watched)
    model = made()
    model.fit(noise(), noise(20, seed=1), epochs=1, seed=0)
    assert len(placed) == 1
    torch.testing.assert_close(model.c / model.c[0], placed[0] / placed[0][0])
    assert (model.c.abs() >= 0.1 - 1e-7).all()


# --- what the network sees


def test_sensors_are_measured_by_mean_and_deviation_of_what_was_observed() -> None:
    model, x = made(4, 5), noise(50, 4, 5) * torch.tensor([1.0, 9.0, 0.3, 0.0, 1.0]) + 2
    x[3, :, 1] = x[:, :, 4] = torch.nan  # a gap, and a sensor that is not known
    model._measure(x)
    cells = x[:, :, :3].double().numpy()
    np.testing.assert_allclose(model.level[:3], np.nanmean(cells, axis=(0, 1)), rtol=1e-4)
    np.testing.assert_allclose(model.unit[:3], np.nanstd(cells, axis=(0, 1)), rtol=1e-4)
    assert model.level[3:].tolist() == [2.0, 0.0]
    assert model.unit[3:].tolist() == [1.0, 1.0]


@pytest.mark.usefixtures("_few_steps")
def test_a_sensor_in_other_units_changes_nothing() -> None:
    x, units = noise(), torch.tensor([1.0, 64.0, 0.5])  # powers of two: nothing is rounded
    a, b = fitted(x)[0], made()
    b.fit(x * units, noise(20, seed=1) * units, epochs=1, seed=0)
    assert torch.equal(b(x * units).error, a(x).error)
    torch.testing.assert_close(b(x * units).x_hat, a(x).x_hat * units)


# --- distance


def test_the_error_is_the_distance_to_the_centre() -> None:
    model, z = made(latent_dim=2), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    model.c = torch.tensor([0.0, 0.0])
    assert model.own_error(z, torch.ones(2)).tolist() == [5.0, 0.0]
    model.c = torch.tensor([3.0, 2.0])
    assert model.own_error(z, torch.ones(2)).tolist() == [2.0, pytest.approx(13**0.5)]


def test_a_window_without_any_value_has_no_distance() -> None:
    x = noise(2)
    x[0] = torch.nan
    assert made().eval()(x).error.isnan().tolist() == [True, False]


@pytest.mark.usefixtures("_few_steps")
def test_squared_distances_are_summed_and_missing_cells_fed_as_the_median() -> None:
    model, x = made().eval(), noise(7)
    x[2, :, 1] = torch.nan
    filled = x.nan_to_num()
    wanted = ((model.encode(filled) - model.c) ** 2).sum(dim=1)
    torch.testing.assert_close(model.squared_distance(x), wanted)
    torch.testing.assert_close(model(x).error, wanted.sqrt())


def test_the_rebuilding_error_counts_observed_cells_only() -> None:
    x, x_hat = noise(5), noise(5, seed=1)
    x[0, 1:, :2] = x[3, 0, 0] = torch.nan
    cells, rebuilt = x.double().numpy(), x_hat.double().numpy()
    wanted = np.nanmean((cells - rebuilt) ** 2, axis=(1, 2))
    np.testing.assert_allclose(masked_error(x, x_hat), wanted, rtol=1e-5)
    x_hat.requires_grad_()
    masked_error(x, x_hat).sum().backward()  # type: ignore[no-untyped-call]
    assert x_hat.grad is not None
    assert x_hat.grad.isfinite().all()


# --- the fit


def fitted(x: Tensor, **others: Any) -> tuple[DeepSvdd, dict[str, Any]]:
    model = made(*x.shape[1:])
    return model, model.fit(x, noise(20, seed=1), epochs=1, seed=0, **others)


@pytest.mark.usefixtures("_few_steps")
def test_normal_windows_come_closer_to_the_centre() -> None:
    x = noise()
    near, _ = fitted(x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeepSvdd, "squared_distance", lambda self, x: 0 * self.encode(x).sum(1))
        patch.setattr(Hypersphere, "_stretch", lambda self, normal: 1.0)
        untrained, _ = fitted(x)
    for model in near, untrained:  # latents and centre are stretched by one factor
        model.network.latent.weight.data /= (length := model.c.norm())  # type: ignore[attr-defined]
        model.c /= length
    torch.testing.assert_close(near.c, untrained.c)
    assert near(x).error.mean() < untrained(x).error.mean()


@pytest.mark.usefixtures("_few_steps")
def test_the_latents_are_stretched_with_their_centre_and_rank_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = noise()
    stretched, report = fitted(x)
    monkeypatch.setattr(Hypersphere, "_stretch", lambda self, normal: 1.0)
    plain, _ = fitted(x)
    factor = report["stretched"]
    assert factor > 1
    torch.testing.assert_close(stretched(x).error, plain(x).error * factor, rtol=1e-4, atol=0)
    assert stretched(x).error.square().mean().item() == pytest.approx(1, rel=1e-3)
    assert (stretched.c.abs() >= 0.1).all()


@pytest.mark.usefixtures("_few_steps")
def test_the_decoder_is_fitted_without_moving_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    x, encoders, refit = noise(), [], Hypersphere._refit_decoder

    def watched(self: Hypersphere, *args: Any, **kwargs: Any) -> Any:
        encoders.append(self.eval().encode(x).detach())
        before = {name: value.clone() for name, value in self.state_dict().items()}
        report = refit(self, *args, **kwargs)
        encoders.append(self.eval().encode(x).detach())
        moved = [name for name, value in self.state_dict().items() if (value != before[name]).any()]
        assert any("decoder" in name for name in moved)
        return report

    monkeypatch.setattr(Hypersphere, "_refit_decoder", watched)
    fitted(x)
    assert torch.equal(*encoders)


@pytest.mark.usefixtures("_few_steps")
def test_labelled_anomalies_do_not_teach_it() -> None:
    x, y = noise(), torch.zeros(60)
    y[::3] = -1
    spoiled = x.clone()
    spoiled[::3] += 50
    a, b = fitted(spoiled, y=y)[0].state_dict(), fitted(x[y >= 0])[0].state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.usefixtures("_few_steps")
def test_the_report_is_what_a_card_can_hold_and_progress_only_grows() -> None:
    told: list[float] = []
    _, report = fitted(noise(), progress=told.append)
    assert set(report) == {
        *("autoencoder", "encoder", "decoder"),
        *("centre_pushed", "latent_variance", "collapsed", "stretched"),
    }
    assert report["collapsed"] is False
    assert report["latent_variance"] > 0
    assert all(type(report[step]["steps"]) is int for step in ("autoencoder", "encoder", "decoder"))
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] == 1


# --- guards


@pytest.mark.usefixtures("_few_steps")
def test_an_encoder_that_lost_the_windows_goes_back_to_the_autoencoder() -> None:
    x = noise()

    def forgetting(self: DeepSvdd, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.get_parameter("network.latent.weight").zero_()
        return self.encode(x).square().sum(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeepSvdd, "squared_distance", forgetting)
        model, report = fitted(x)
    assert report["collapsed"] is True
    assert report["latent_variance"] < 1e-9
    assert "stretched" not in report
    assert model(x).error.std() > 0.01


@pytest.mark.usefixtures("_few_steps")
def test_a_history_that_stands_still_is_survived_and_said() -> None:
    model = made()
    report = model.fit(torch.zeros(30, 4, 3), torch.zeros(9, 4, 3), epochs=1, seed=0)
    assert report["collapsed"] is True
    out = model(torch.full((1, 4, 3), 5.0))
    assert all(part.isfinite().all() for part in out)
    assert out.error > model(torch.zeros(1, 4, 3)).error


@pytest.mark.usefixtures("_few_steps")
def test_a_sensor_that_stood_still_keeps_its_weights() -> None:
    """The paper's weight decay would carry them to 0, and its moves would not show."""
    x = noise()
    x[:, :, 1] = 0
    before, after = (
        model.get_parameter("network.body.1.weight").detach() for model in (made(), fitted(x)[0])
    )
    assert torch.equal(before[:, 1::3], after[:, 1::3])
    assert (before[:, ::3] != after[:, ::3]).all()


@pytest.mark.usefixtures("_few_steps")
def test_latents_far_from_the_normal_ones_are_rebuilt_as_if_they_lay_near() -> None:
    model, _ = fitted(noise())
    far = model.middle + 1e9 * model.spread
    near = model.middle + hypersphere.FARTHEST * model.spread
    torch.testing.assert_close(model.decode(far[None]), model.decode(near[None]))


# --- in a detector


def test_it_blames_the_sensor_that_is_odd_and_expects_the_ordinary() -> None:
    x = waves(300)
    detector = Detector("deep_svdd", "error", epochs=40).fit(x)
    odd = waves(40)
    odd[:, :, 1] += 4
    told = detector.explain(odd)
    assert (told.share.argmax(axis=1) == 1).mean() > 0.9
    assert np.median(np.abs(told.expected[:, 1] - 20)) < 1.5  # sensor 1 swings around 20 by 1
    assert (detector.predict(odd) == 1).mean() > 0.9


@pytest.mark.usefixtures("_few_steps")
def test_the_centre_comes_back_from_disk(tmp_path: Path) -> None:
    detector = Detector("deep_svdd", "ares", epochs=1).fit(waves(120))
    detector.save(tmp_path / "m")
    again = Detector.load(tmp_path / "m")
    model, other = detector._fitted().model, again._fitted().model
    assert isinstance(model, DeepSvdd)
    assert isinstance(other, DeepSvdd)
    for name in ("level", "unit", "c", "middle", "spread", "home", "width"):
        assert torch.equal(getattr(model, name), getattr(other, name))
    assert again.decision_function(waves(50)).tobytes() == (
        detector.decision_function(waves(50)).tobytes()
    )
